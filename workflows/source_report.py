"""Report on Python source code: its size, longest functions, most imported modules and files that do not parse.

Takes a folder, a single file, or the name of an installed package. The code is parsed, never imported or run.
"""

import ast
import importlib.machinery
import importlib.util
import io
import os
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repertoire import progress

__workflow__ = {
    "title": "Source report",
    "tags": ["python", "code", "report"],
    "timeout_s": 300,
    "read_only": True,
}

MAX_FILES = 20_000
MAX_FILE_BYTES = 2 * 1024 * 1024
"""Larger files are generated ones as a rule, and parsing takes about a hundred times their size in memory."""
LISTED_IMPORTS = 20
LISTED_PROBLEMS = 50


@dataclass(frozen=True)
class Lines:
    """Lines by kind. Docstrings are code; a comment is a line with nothing before its `#`."""

    total: int
    code: int
    comment: int
    blank: int


@dataclass(frozen=True)
class LongFunction:
    """A function or method, with its place. `lines` counts from `def` to the end of the body."""

    name: str
    file: str
    line: int
    lines: int


@dataclass(frozen=True)
class ImportedModule:
    """A top-level module and the number of files that import it; relative imports are left out."""

    module: str
    files: int


@dataclass(frozen=True)
class Problem:
    """A file that was not counted, and why."""

    file: str
    line: int | None
    reason: str


@dataclass(frozen=True)
class SourceReport:
    """All numbers cover the files that parse; `problem_count` tells how many do not, `problems` lists the first 50."""

    root: str
    files: int
    lines: Lines
    functions: int
    classes: int
    longest_functions: list[LongFunction]
    imports: list[ImportedModule]
    problem_count: int
    problems: list[Problem]


def run(path: str | None = None, package: str | None = None, longest: int = 10) -> SourceReport:
    """Measure a Python source tree.

    Hidden folders, virtual environments, `node_modules` and `__pycache__` are left out.

    Args:
        path: A folder or a `.py` file; an absolute path is safest. Give this or `package`.
        package: The import name of an installed package, such as `json`. Give this or `path`.
        longest: How many of the longest functions to list, 0 to 1000.

    Returns:
        The counts, the longest functions, the most imported modules, and the files that do not parse.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ModuleNotFoundError: No package of that name is installed.
        ValueError: Both or neither of `path` and `package` are given, there is no Python source, or there is too much.
    """
    if not 0 <= longest <= 1000:
        raise ValueError("`longest` must be between 0 and 1000.")
    if (path is None) == (package is None):
        raise ValueError("Give either `path` (a folder or a .py file) or `package` (the name of an installed package).")
    root = _package_root(package) if package is not None else Path(path or "").expanduser().absolute()
    if not root.exists():
        raise FileNotFoundError(f"There is nothing at {root}. Give the absolute path of a folder or a .py file.")
    files = list(_python_files(root))
    if not files:
        raise ValueError(f"There are no .py files at {root}.")

    tally = _Tally(root if root.is_dir() else root.parent)
    for number, file in enumerate(files, start=1):
        name = file.relative_to(tally.base).as_posix()
        tally.add(file, name)
        progress(number, len(files), name)
    return tally.report(root, longest)


class _Tally:
    """The sums over the files seen so far."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.files = self.total = self.comment = self.blank = self.classes = 0
        self.functions: list[LongFunction] = []
        self.imports: Counter[str] = Counter()
        self.problems: list[Problem] = []

    def add(self, file: Path, name: str) -> None:
        try:
            size = file.stat().st_size
            if size > MAX_FILE_BYTES:
                self.problems.append(Problem(name, None, f"larger than {MAX_FILE_BYTES} bytes ({size})"))
                return
            text = _read(file)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a doubtful escape in the code that we measure is not our matter
                tree = ast.parse(text)
            self._add_tree(tree, text, name)
        except SyntaxError as error:
            self.problems.append(Problem(name, error.lineno, f"does not parse: {error.msg}"))
        except UnicodeDecodeError as error:
            self.problems.append(Problem(name, None, f"is not {error.encoding} text"))
        except (ValueError, RecursionError, MemoryError) as error:
            self.problems.append(Problem(name, None, f"does not parse: {error or type(error).__name__}"))
        except OSError as error:
            self.problems.append(Problem(name, None, f"cannot be read: {error.strerror}"))

    def _add_tree(self, tree: ast.Module, text: str, name: str) -> None:
        modules: set[str] = set()
        in_string: set[int] = set()
        for node, qualname in _walk(tree):
            match node:
                case ast.FunctionDef(lineno=line) | ast.AsyncFunctionDef(lineno=line):
                    self.functions.append(LongFunction(qualname, name, line, (node.end_lineno or line) - line + 1))
                case ast.ClassDef():
                    self.classes += 1
                case ast.Import(names=names):
                    modules.update(alias.name.partition(".")[0] for alias in names)
                case ast.ImportFrom(module=str(module), level=0):
                    modules.add(module.partition(".")[0])
                case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
                    in_string.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
                case _:
                    pass
        self.imports.update(modules)
        self.files += 1
        for number, source_line in enumerate(io.StringIO(text), start=1):
            self.total += 1
            stripped = source_line.strip()
            if not stripped:
                self.blank += 1
            elif stripped.startswith("#") and number not in in_string:
                self.comment += 1

    def report(self, root: Path, longest: int) -> SourceReport:
        by_length = sorted(self.functions, key=lambda function: (-function.lines, function.file, function.line))
        imports = sorted(self.imports.items(), key=lambda item: (-item[1], item[0]))
        code = self.total - self.comment - self.blank
        return SourceReport(
            root=str(root),
            files=self.files,
            lines=Lines(self.total, code, self.comment, self.blank),
            functions=len(self.functions),
            classes=self.classes,
            longest_functions=by_length[:longest],
            imports=[ImportedModule(module, files) for module, files in imports[:LISTED_IMPORTS]],
            problem_count=len(self.problems),
            problems=self.problems[:LISTED_PROBLEMS],
        )


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every node with the dotted name of the function or class it is or belongs to; without recursion."""
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, qualname = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            qualname = f"{qualname}.{node.name}" if qualname else node.name
        yield node, qualname
        stack.extend((child, qualname) for child in ast.iter_child_nodes(node))


def _read(file: Path) -> str:
    """The text of a source file in the encoding that it declares, with every line end as one newline."""
    data = file.read_bytes()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def _python_files(root: Path) -> Iterator[Path]:
    """The `.py` files at or below `root`, in a fixed order. Raises ValueError beyond MAX_FILES."""
    if root.is_file():
        if root.suffix in {".py", ".pyw"}:
            yield root
        return
    count = 0
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _left_out(parent, name))
        for name in sorted(names):
            file = Path(parent, name)
            if file.suffix == ".py" and file.is_file():
                count += 1
                if count > MAX_FILES:
                    raise ValueError(
                        f"{root} holds more than {MAX_FILES} .py files. Report on its subfolders one by one."
                    )
                yield file


def _left_out(parent: str, name: str) -> bool:
    if name.startswith(".") or name in {"__pycache__", "node_modules"}:
        return True
    return os.path.exists(os.path.join(parent, name, "pyvenv.cfg"))


def _package_root(package: str) -> Path:
    """Where an installed top-level package or module keeps its source, found without importing it."""
    if not package.isidentifier():
        raise ValueError(
            f"{package!r} is not the name of a top-level package. Give it as `import` has it, without dots."
        )
    try:
        # PathFinder first: it runs no import hook, and it finds `os` and other frozen modules as files.
        spec = importlib.machinery.PathFinder.find_spec(package) or importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise ModuleNotFoundError(
            f"No package {package!r} is installed here. Install it, or give its source folder as `path`."
        )
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    if not spec.origin or not spec.origin.endswith(".py"):
        raise ValueError(
            f"{package!r} is compiled ({spec.origin or 'no file'}); there is no Python source to report on."
        )
    return Path(spec.origin)
