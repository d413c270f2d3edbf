"""Analysis: the facts of a source that its syntax tree shows: entry, description, options, use of state, imports.

`parse` makes the tree, `analyse_tree` reads it; used by `Folder`, `Bundle` and the service. Nothing of the source runs here.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import textwrap
import threading

import msgspec

from ..errors import Refused
from ..model.workflow_options import Options
from ..text import readable, well_formed, well_formed_json
from .class_finder import ClassWorkflow, class_workflows, opening, unfinished_class
from .plain_files import hint_of, told_of
from .pyflue_files import handler_of, missing_run
from .source_imports import Uses, uses_of

_PARSING = threading.Lock()
"""One parse at a time: CPython 3.11 counts the parser's recursion across threads and then fails with SystemError (gh-106905)."""
_FENCED = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+)[^\n`]*\n(?P<inside>.*?)(?:^[ \t]*(?P=fence)[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_WORD = re.compile(r"\w+|[^\w\s]")
_MOST_WORDS = 90_000
"""A third of the characters of the longest source: code has one for each four or five. Python parses that many in some tenths of a second,
and everything else in this process waits for it."""
_MOST_WRAPPING = 10_000
"""Characters of what may stand around a source."""
TOOL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\.\*)?")
"""An entry of the option `tools`."""
_STATE_NAMES = frozenset(
    {"session_state", "commit_state", "cached", "persist", "add_history_to_messages", "add_chat_history_to_messages"}
)


class Analysis(msgspec.Struct, frozen=True):
    """`uses` are its imports anywhere in the text, to find the files beside it. `classes` are its class workflows, empty for a module
    with a `run` of its own: that module is one workflow."""

    description: str
    options: Options
    uses_state: bool
    uses: Uses
    classes: tuple[ClassWorkflow, ...] = ()


_INVISIBLE = "Take that invisible character away, as copied text may have it; inside of a string write its escape."


def unwrapped(source: str, max_bytes: int) -> str:
    """The source without what models put around it: a code fence, or an indentation of the whole. A source that parses is not touched."""
    wrapped = _FENCED.search(source) if "```" in source or "~~~" in source else None
    if wrapped is not None and any(quotes in source[: wrapped.start()] for quotes in ('"""', "'''")):
        wrapped = None  # the fence may stand in a string
    indented = source.lstrip("\r\n")[:1] in (" ", "\t")
    if (wrapped is None and not indented) or len(source) > max_bytes + _MOST_WRAPPING or _parses(source):
        return source
    inside = wrapped["inside"] if wrapped is not None else source
    return textwrap.dedent(inside).strip("\r\n") + "\n"


def _parses(source: str) -> bool:
    try:
        parse(source, len(source) * 4)
    except Refused:
        return False
    return True


def parse(source: str, max_bytes: int) -> ast.Module:
    """The syntax tree. Raises Refused with the line and column of the error."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise Refused(
            f"The source is {size} bytes long; at most {max_bytes} are allowed.",
            "Split it, or import a package that holds the larger part.",
            code="source_too_large",
        )
    if len(source) > _MOST_WORDS and len(_WORD.findall(source)) > _MOST_WORDS:
        raise Refused(
            f"The source has more than {_MOST_WORDS:,} words and signs.",
            "Put data into a file or an artifact, or import a package that holds the larger part.",
            code="source_too_large",
        )
    try:
        with _PARSING:
            return ast.parse(source)
    except SyntaxError as error:
        raise Refused(
            f"Syntax error in line {error.lineno}, column {error.offset}: {error.msg}.",
            _INVISIBLE if "non-printable" in str(error.msg) else "Correct that line and try again.",
            code="syntax_error",
            line=error.lineno,
            column=error.offset,
        ) from error
    except (ValueError, RecursionError, MemoryError, SystemError) as error:
        raise Refused(f"The source cannot be parsed: {error or type(error).__name__}.", code="syntax_error") from error


def read_source(path: str, max_bytes: int) -> str:
    """The text of a file; at most `max_bytes` + 1 bytes are read, so that `parse` refuses a larger one. Raises Refused."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Refused("It is not a regular file.", "Put the source itself there.", code="unreadable")
        with open(path, "rb") as file:
            return file.read(max_bytes + 1).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"The file is not UTF-8: {error.reason} at byte {error.start}."
        raise Refused(message, "Save it as UTF-8.", code="not_utf8") from error
    except OSError as error:
        raise Refused(f"The file cannot be read: {error.strerror or error}.", code="unreadable") from error


def analyse(source: str, *, max_bytes: int, description: str | None = None) -> Analysis:
    """Read a workflow's source without running it. Raises Refused: too large, does not parse, no `run`, bad `__workflow__`."""
    return analyse_tree(parse(source, max_bytes), description)


def analyse_tree(tree: ast.Module, description: str | None = None) -> Analysis:
    """The same for a source that is parsed already. Raises Refused: no `run`, bad `__workflow__`."""
    run, bound = _find_run(tree)
    classes = () if bound else class_workflows(tree)
    handler = None if bound or classes else handler_of(tree)
    if not bound and not classes and handler is None:
        if (foreign := missing_run(tree)) is not None:
            raise Refused(foreign[0], foreign[1], code="no_run", line=foreign[2])
        message, line = unfinished_class(tree) or (told_of(tree), None)
        raise Refused(message, hint_of(tree), code="no_run", line=line)
    return Analysis(
        description=readable(
            well_formed((description or "").strip() or first_paragraph(tree) or _paragraph_of(run or handler))
        ),
        options=_options(tree),
        uses_state=handler is not None or uses_state(tree),
        uses=uses_of(tree),
        classes=classes,
    )


def uses_state(tree: ast.Module) -> bool:
    """Whether the source mentions `session_state`, `commit_state`, `cached`, or the `persist` of an agent.

    Code that hides the names still has its state, but its runs do not take turns.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in _STATE_NAMES:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _STATE_NAMES:
            return True
        if isinstance(node, ast.alias) and node.name in _STATE_NAMES:
            return True
        if isinstance(node, ast.keyword) and node.arg in _STATE_NAMES:  # an argument of a class's constructor
            return True
        if isinstance(node, ast.Dict) and any(
            _is_text(key, "persist") for key in node.keys
        ):  # of an agent's definition
            return True
    return False


def _is_text(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _find_run(tree: ast.Module) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef | None, bool]:
    """The `def run` of the top level, and whether anything binds that name."""
    bound, top = False, set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "run" and node in top:
            return node, True
        bound = bound or (isinstance(node, ast.Name) and node.id == "run" and isinstance(node.ctx, ast.Store))
        bound = bound or (isinstance(node, ast.alias) and (node.asname or node.name) == "run")
    return None, bound


def _paragraph_of(function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> str:
    return "" if function is None else first_paragraph(function)


def first_paragraph(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The first paragraph of its docstring, in one line."""
    return opening(ast.get_docstring(node))


def _options(tree: ast.Module) -> Options:
    value, line = literal_of(tree, "__workflow__")
    return Options() if line is None else _read_options(value, line)


def literal_of(tree: ast.Module, name: str) -> tuple[ast.expr | None, int | None]:
    """The value that the top level assigns to this name, and its line. The line is None where nothing is assigned."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return (node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None), node.lineno
    return None, None


def _read_options(value: ast.expr | None, line: int) -> Options:
    known = ", ".join(Options.__struct_fields__)
    try:
        options = msgspec.convert(well_formed_json(ast.literal_eval(value)) if value else None, Options, strict=False)
    except (ValueError, TypeError, RecursionError, MemoryError, msgspec.ValidationError) as error:
        raise Refused(
            f"__workflow__ in line {line} is not what it should be: {str(error)[:300]}.",
            f"It is a literal dict with any of: {known}.",
            code="bad_options",
            line=line,
        ) from error
    if wrong := [one for one in options.tools if not TOOL.fullmatch(one)]:
        raise Refused(
            f"tools in __workflow__ has {wrong[0][:100]!r}, which names no tool.",
            'An entry is "github.create_issue", "fetch", or "github.*" for all tools of a source.',
            code="bad_options",
            line=line,
        )
    if options.timeout_s is not None and not 0 < options.timeout_s <= 86_400:
        raise Refused("timeout_s in __workflow__ must lie between 0 and 86400 seconds.", code="bad_options", line=line)
    return _readable(options)


def _readable(options: Options) -> Options:
    """The options without characters that nobody sees, in the texts that are shown to people and models."""
    title, tags = options.title, tuple(map(readable, options.tags))
    return msgspec.structs.replace(options, title=title and readable(title), tags=tags)
