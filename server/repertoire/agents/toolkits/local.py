"""Local toolkits: `CalculatorTools`, `FileTools`, `PythonTools`, `ShellTools` and `SleepTools`, which need no network. Used by workflow files.

They do what a body could do itself, in the same process and with the same rights.
"""

from __future__ import annotations

import contextlib
import io
import math
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .toolkit import Toolkit, as_text

_MOST_TEXT: Final = 100_000
"""Characters of a file or of an output that a model is given."""
_COMMAND_S: Final = 120.0
_MOST_FACTORIAL: Final = 5_000


class CalculatorTools(Toolkit):
    """Calculates with numbers. Options that choose functions are accepted, and all functions are given."""

    def __init__(self, **options: Any) -> None:
        known = ("add", "subtract", "multiply", "divide", "exponentiate", "factorial", "is_prime", "square_root")
        rest = {name: value for name, value in options.items() if name not in (*known, "enable_all")}
        super().__init__("calculator", [getattr(self, name) for name in known], **rest)

    def add(self, a: float, b: float) -> str:
        """a + b"""
        return as_text({"operation": "addition", "result": a + b})

    def subtract(self, a: float, b: float) -> str:
        """a - b"""
        return as_text({"operation": "subtraction", "result": a - b})

    def multiply(self, a: float, b: float) -> str:
        """a * b"""
        return as_text({"operation": "multiplication", "result": a * b})

    def divide(self, a: float, b: float) -> str:
        """a / b"""
        return as_text({"operation": "division", "result": a / b} if b else {"error": "division by zero is undefined"})

    def exponentiate(self, a: float, b: float) -> str:
        """a to the power of b"""
        return as_text({"operation": "exponentiation", "result": math.pow(a, b)})

    def factorial(self, n: int) -> str:
        """n!"""
        if not 0 <= n <= _MOST_FACTORIAL:
            return as_text({"error": f"the factorial is calculated for 0 to {_MOST_FACTORIAL}"})
        return as_text({"operation": "factorial", "result": math.factorial(n)})

    def is_prime(self, n: int) -> str:
        """Whether n is a prime number."""
        prime = n > 1 and all(n % one for one in range(2, math.isqrt(min(n, 10**12)) + 1))
        return as_text({"operation": "prime_check", "result": prime})

    def square_root(self, n: float) -> str:
        """The square root of n."""
        return as_text({"operation": "square_root", "result": math.sqrt(n)} if n >= 0 else {"error": "n is negative"})


class SleepTools(Toolkit):
    """Waits."""

    def __init__(self, **options: Any) -> None:
        super().__init__("sleep", [self.sleep], **options)

    def sleep(self, seconds: int) -> str:
        """Wait for some seconds."""
        time.sleep(seconds)
        return f"Slept for {seconds} seconds"


class FileTools(Toolkit):
    """Reads and writes files below a folder.

    Args:
        base_dir: The folder; by default the present one. Paths that lead out of it are refused.
        save_files, read_files, list_files, search_files: True to give the agent this function.
        options: The options of every toolkit.
    """

    def __init__(
        self,
        base_dir: Path | str | None = None,
        save_files: bool = True,
        read_files: bool = True,
        list_files: bool = True,
        search_files: bool = True,
        **options: Any,
    ) -> None:
        self.base_dir = Path(base_dir) if base_dir is not None else Path.cwd()
        wanted = ((save_files, self.save_file), (read_files, self.read_file), (list_files, self.list_files))
        chosen: list[Any] = [one for is_wanted, one in (*wanted, (search_files, self.search_files)) if is_wanted]
        super().__init__("file_tools", chosen, **options)

    def save_file(self, contents: str, file_name: str, overwrite: bool = True) -> str:
        """Save a file; its name."""
        path = self._path(file_name)
        if path.exists() and not overwrite:
            return f"File {file_name} already exists"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents, "utf-8")
        return file_name

    def read_file(self, file_name: str) -> str:
        """The text of a file."""
        return self._path(file_name).read_text("utf-8", "replace")[:_MOST_TEXT]

    def list_files(self) -> str:
        """The files of the folder, as a JSON list."""
        return as_text(sorted(str(one.relative_to(self.base_dir)) for one in self.base_dir.iterdir()))

    def search_files(self, pattern: str) -> str:
        """The files whose names match a pattern such as `**/*.txt`, as JSON."""
        found = [one for one in self.base_dir.glob(pattern.lstrip("/")) if self._is_below(one)]
        return as_text({"pattern": pattern, "files": sorted(str(one.relative_to(self.base_dir)) for one in found)})

    def _path(self, name: str) -> Path:
        path = self.base_dir / name
        if not self._is_below(path):
            raise ValueError(f"{name!r} lies outside of {self.base_dir}")
        return path

    def _is_below(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.base_dir.resolve())


class PythonTools(Toolkit):
    """Runs Python code in the body's own process.

    Args:
        base_dir: The folder of the scripts; by default the present one. Paths that lead out of it are refused.
        pip_install, uv_pip_install: Accepted and ignored: installing is up to the person who runs the server.
        options: The options of every toolkit; flags that choose functions are accepted, and all functions are given.
    """

    def __init__(
        self,
        base_dir: Path | str | None = None,
        pip_install: bool = False,
        uv_pip_install: bool = False,
        **options: Any,
    ) -> None:
        self._files = FileTools(base_dir)
        self.base_dir = self._files.base_dir
        known = (
            self.run_python_code,
            self.save_to_file_and_run,
            self.run_python_file_return_variable,
            self.read_file,
            self.list_files,
        )
        flags = {"save_and_run", "run_code", "read_files", "list_files", "run_files", "safe_globals", "safe_locals"}
        super().__init__(
            "python_tools", list(known), **{name: one for name, one in options.items() if name not in flags}
        )

    def run_python_code(self, code: str, variable_to_return: str | None = None) -> str:
        """Run Python code; the value of the variable, or the printed text."""
        said, names = io.StringIO(), {"__name__": "__main__"}
        try:
            with contextlib.redirect_stdout(said):
                exec(code, names)
        except Exception as error:  # the code's own: the model corrects it
            return f"Error running python code: {type(error).__name__}: {error}"
        return _value_of(names, variable_to_return, said.getvalue() or "successfully ran python code")

    def save_to_file_and_run(
        self, file_name: str, code: str, variable_to_return: str | None = None, overwrite: bool = True
    ) -> str:
        """Save Python code to a file and run it; the value of the variable, or a note that it ran."""
        if (said := self._files.save_file(code, file_name, overwrite)) != file_name:
            return said
        return self.run_python_file_return_variable(file_name, variable_to_return)

    def run_python_file_return_variable(self, file_name: str, variable_to_return: str | None = None) -> str:
        """Run a Python file; the value of the variable, or a note that it ran."""
        try:
            names = runpy.run_path(str(self._files._path(file_name)), run_name="__main__")
        except Exception as error:  # the code's own: the model corrects it
            return f"Error running {file_name}: {type(error).__name__}: {error}"
        return _value_of(names, variable_to_return, f"successfully ran {file_name}")

    def read_file(self, file_name: str) -> str:
        """The text of a file."""
        return self._files.read_file(file_name)

    def list_files(self) -> str:
        """The files of the folder, as a JSON list."""
        return self._files.list_files()


class ShellTools(Toolkit):
    """Runs programs.

    Args:
        base_dir: The folder in which they run; by default the present one.
        options: The options of every toolkit.
    """

    def __init__(self, base_dir: Path | str | None = None, **options: Any) -> None:
        self.base_dir = None if base_dir is None else Path(base_dir)
        super().__init__("shell_tools", [self.run_shell_command], **options)

    def run_shell_command(self, args: list[str], tail: int = 100) -> str:
        """Run a program, given as its name and its arguments; the last lines of its output, or its error."""
        try:
            done = subprocess.run(
                _words(args),
                cwd=self.base_dir,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"Error: {error}"
        if done.returncode:
            return f"Error: {done.stderr or done.stdout or f'exit code {done.returncode}'}"[-_MOST_TEXT:]
        return "\n".join(done.stdout.splitlines()[-tail:])[-_MOST_TEXT:]


def _words(args: Sequence[str]) -> list[str]:
    if isinstance(args, str) or not args or not all(isinstance(one, str) for one in args):
        raise ValueError('args is a list of texts: ["ls", "-l"]')
    return [sys.executable if one == "python" and n == 0 else one for n, one in enumerate(args)]


def _value_of(names: dict[str, Any], wanted: str | None, said: str) -> str:
    if not wanted:
        return said[:_MOST_TEXT]
    return str(names[wanted])[:_MOST_TEXT] if wanted in names else f"Variable {wanted} not found"
