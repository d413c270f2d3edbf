"""Faults: turns an exception of a load or a run into a Fault; used by Process.

A Fault has a message and a hint for the caller, and a traceback without our own frames for the operator.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Collection
from types import TracebackType
from typing import Final

import msgspec

from ..authoring import call_forms
from ..names import RUN_CODE
from ..values.exceptions import part, text_of, type_name
from ..values.records import CallError
from ..values.refusals import NonDeterminism, Refusal
from ..wire import Fault
from . import resource_limits
from .link.sanitize import clean
from .source.entry import NoRun
from .source.loader import PACKAGE, BadSyntax, Version
from .source.missing_imports import advice, missing_modules
from .source.suspects import suspects

_MAX_MESSAGE: Final = 4_000
_MAX_TRACEBACK: Final = 20_000
"""In characters; enough for some hundred frames."""
_MAX_LINE: Final = 120
_DEEPEST: Final = 5
"""Depth of nested exception groups whose messages are included."""

_AMBIENT: Final = frozenset(
    {*call_forms.FORMS, "workflows", "tools", "artifacts", "step", "log", "session_state", "cached"}
)
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{2,80}")
_OURS: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def of_load(error: BaseException, version: Version) -> Fault:
    """Why the module could not be loaded."""
    try:
        return _of_load(error, version)
    except BaseException:  # the exception's own code may raise anything
        return _minimal_fault(error, version)


def of_run(error: BaseException, version: Version) -> Fault:
    """Why the run failed."""
    try:
        return _quoted(_of_run(error, version), version)
    except BaseException:  # the exception's own code may raise anything
        return _minimal_fault(error, version)


def _minimal_fault(error: BaseException, version: Version) -> Fault:
    """The fault of an exception whose own code raises: its type, where it was raised, and its text as far as that can be read."""
    frames = part(error, "__traceback__")
    shown = "".join(traceback.format_tb(_from_first(frames, version.filenames)))
    message = clean(_message(error), _MAX_MESSAGE)
    text = f"Traceback (most recent call last):\n{shown}{type_name(error)}: {message}"
    return Fault(
        "exception", type_name(error), message, line=_line(frames, version), traceback=clean(text, _MAX_TRACEBACK)
    )


def _of_load(error: BaseException, version: Version) -> Fault:
    if isinstance(error, BadSyntax):
        return Fault(
            "syntax_error",
            "SyntaxError",
            clean(str(error), _MAX_MESSAGE),
            line=error.line,
            hint="Correct that line and try again.",
        )
    if isinstance(error, NoRun):
        hint = "Define `def run(...)` or `async def run(...)` at the top level, with type hints and a docstring."
        return Fault("no_run", "NoRun", str(error), hint=hint)
    if isinstance(error, Refusal | SystemExit | KeyboardInterrupt | MemoryError):
        return of_run(error, version)
    line = _line(part(error, "__traceback__"), version)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(PACKAGE):
        return Fault(
            "import_failed",
            "ModuleNotFoundError",
            clean(_missing_message(error, version), _MAX_MESSAGE),
            line=line,
            hint=_missing_hint(error, version),
            traceback=_traceback(error, version.filenames),
        )
    if isinstance(error, ImportError) and (error.name or "").startswith(PACKAGE):
        wanted = (error.name or "").removeprefix(PACKAGE).lstrip(".")
        message = (
            f"the file imports {f'.{wanted}' if wanted else 'a module'} relatively, and no such file lies beside it"
        )
        hint = (
            f"Write {wanted.replace('.', os.sep) or 'the module'}.py in {version.tree.folder}, or correct the import."
        )
        return Fault("import_failed", type(error).__name__, clean(message, _MAX_MESSAGE), line=line, hint=hint)
    name = type(error).__name__
    message = f"the module's top level raised {name}: {_message(error)}"
    return Fault(
        "import_failed",
        name,
        clean(message, _MAX_MESSAGE),
        line=line,
        hint=_missing_variable(error) or resource_limits.hint_of(error),
        traceback=_traceback(error, version.filenames),
    )


def _missing_variable(error: BaseException) -> str | None:
    """A hint for `os.environ["SOME_KEY"]` without that variable."""
    name = error.args[0] if isinstance(error, KeyError) and error.args else None
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        return None
    return f"If {name} is an environment variable, set it for the host and name it in the setting worker_env."


def _of_run(error: BaseException, version: Version) -> Fault:
    line = _line(part(error, "__traceback__"), version)
    if isinstance(error, Refusal):
        hint = error.hint
        if isinstance(error, NonDeterminism) and (likely := suspects(version.code.source)) is not None:
            hint = f"{likely} {hint or ''}".strip()
        return Fault(error.code, error.kind, clean(error.message, _MAX_MESSAGE), line=error.line or line, hint=hint)
    if isinstance(error, CallError):
        message = clean(error.message, _MAX_MESSAGE)
        return Fault(
            "call_failed",
            error.type,
            message,
            line=line,
            hint=error.hint,
            traceback=_traceback(error, version.filenames),
        )
    if isinstance(error, MemoryError):
        return _out_of_memory(error, line)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        said = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else "KeyboardInterrupt"
        message = f"the workflow ended itself with {said} instead of returning"
        hint = "Return a value, or raise an exception that says what went wrong."
        return Fault("exit", type(error).__name__, clean(message, _MAX_MESSAGE), line=line, hint=hint)
    message, hint = _told(error, version)
    return Fault(
        "exception",
        type_name(error),
        clean(message, _MAX_MESSAGE),
        line=line,
        hint=hint,
        traceback=_traceback(error, version.filenames),
    )


def _quoted(fault: Fault, version: Version) -> Fault:
    """Of code that is run once, the hint has the text of the line: its number is that of the module that the code became."""
    lines = version.code.source.split("\n")
    if version.code.name != RUN_CODE or fault.line is None or not 0 < fault.line <= len(lines):
        return fault
    text = lines[fault.line - 1].strip()[:_MAX_LINE]
    return msgspec.structs.replace(fault, hint=f"The line is: {text}" + (f"  {fault.hint}" if fault.hint else ""))


def _told(error: BaseException, version: Version) -> tuple[str, str | None]:
    """The message of a body's exception, and a hint where we know what to do."""
    message = _message(error)
    if isinstance(error, ModuleNotFoundError):
        return message, _missing_hint(error, version)
    if isinstance(error, TypeError) and (corrected := call_forms.misuse(message)) is not None:
        return corrected
    return message, resource_limits.hint_of(error)


def _out_of_memory(error: MemoryError, line: int | None) -> Fault:
    if (frames := part(error, "__traceback__")) is not None:
        traceback.clear_frames(frames)  # frees the body's memory, so that there is enough to report the error
    return Fault(
        "out_of_memory",
        "MemoryError",
        "the workflow used more memory than a run may use",
        line=line,
        hint=resource_limits.hint_of(error) or "Use less: stream the input instead of holding all of it.",
    )


def _message(error: BaseException, depth: int = 0) -> str:
    text = text_of(error) or type_name(error)
    if issubclass(type(error), BaseExceptionGroup) and depth < _DEEPEST:
        errors = BaseExceptionGroup.__dict__["exceptions"].__get__(error)
        return f"{text}: " + "; ".join(f"{type_name(one)}: {_message(one, depth + 1)}" for one in errors[:5])
    return text


def _missing_message(error: ModuleNotFoundError, version: Version) -> str:
    if not error.name:
        return _message(error)
    first, *others = missing_modules(version, error.name.partition(".")[0])
    if _is_own(error.name, version) or not others:
        return f"the Python that runs workflows has no module {error.name!r}"
    return f"the Python that runs workflows has no modules {', '.join(map(repr, [first, *others]))}"


def _missing_hint(error: ModuleNotFoundError, version: Version) -> str | None:
    if not error.name:
        return None
    package, *rest = error.name.split(".")
    if _is_own(error.name, version):
        folder = os.path.join(version.tree.folder, package, *rest[:-1])
        return f"{package} is the workflow's own: write {rest[-1] if rest else package}.py in {folder}, or correct the import."
    missing = missing_modules(version, package)
    told = [f"Take the import away: `{name}` is there without one." for name in missing if name in _AMBIENT]
    if others := [name for name in missing if name not in _AMBIENT]:
        told.append(advice(others, version.tree.folder))
    return " ".join(told)


def _is_own(name: str, version: Version) -> bool:
    package = name.partition(".")[0]
    return any(one == package or one.startswith(f"{package}.") for one in version.own_modules)


def _line(tb: TracebackType | None, version: Version) -> int | None:
    """The innermost line in the workflow's own file that led here."""
    line = None
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == version.code.filename:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def traceback_of(error: BaseException, version: Version) -> str:
    """The traceback as a script shows it, without our own frames."""
    return _traceback(error, version.filenames)


def _traceback(error: BaseException, files: Collection[str]) -> str:
    shown = traceback.TracebackException(type(error), error, _from_first(part(error, "__traceback__"), files))
    _drop_our_frames(shown)
    text = "".join(shown.format())
    if len(text) > _MAX_TRACEBACK:
        text = text[: _MAX_TRACEBACK // 2] + "\n  …\n" + text[-_MAX_TRACEBACK // 2 :]
    return clean(text, len(text))


def _from_first(tb: TracebackType | None, files: Collection[str]) -> TracebackType | None:
    """The traceback from its first frame in the workflow's files: without our frames and asyncio's that led to the body."""
    found = tb
    while found is not None and found.tb_frame.f_code.co_filename not in files:
        found = found.tb_next
    return found or tb


def _drop_our_frames(shown: traceback.TracebackException) -> None:
    seen: list[traceback.TracebackException | None] = [shown]
    while seen:
        one = seen.pop()
        if one is not None:
            kept = [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
            one.stack = traceback.StackSummary.from_list(kept)
            seen += [one.__cause__, one.__context__, *(one.exceptions or [])]
