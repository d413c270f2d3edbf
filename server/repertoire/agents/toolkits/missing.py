"""Missing toolkits: makes a class for a toolkit that we do not have, so that files which use it load. Used by `toolkits`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ...distributions import distribution_of
from ...names import snake_case
from ...values.refusals import NotAvailable
from .toolkit import Toolkit


class MissingToolkit(Toolkit):
    """Takes any arguments. Its one function, and each method that a body calls, raise NotAvailable."""

    _path = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(type(self).__name__, [_refusing(self._path, type(self).__name__)], **_common(options))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name in ("session_id", "run", "arun", "content", "event", "run_id"):
            raise AttributeError(name)
        return _refusing(self._path, name)

    def __enter__(self) -> MissingToolkit:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> MissingToolkit:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


def missing_toolkit(path: str, name: str) -> type[Toolkit]:
    return type(name, (MissingToolkit,), {"__module__": path.rpartition(".")[0], "_path": path})


def _common(options: dict[str, Any]) -> dict[str, Any]:
    """The options without those that choose functions: this toolkit has other ones."""
    return {
        name: value
        for name, value in options.items()
        if name not in ("name", "tools", "include_tools", "exclude_tools")
    }


def _refusing(path: str, name: str) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> NoReturn:
        package = path.partition(".")[0]
        real = distribution_of(package) or package
        raise NotAvailable(
            f"Repertoire has no {path}",
            hint=f"Write a function of your own and give it to the agent, or install '{real}' with what the toolkit needs and set "
            f"prefer_installed.",
        )

    refuse.__name__ = refuse.__qualname__ = snake_case(name)
    refuse.__doc__ = f"{path}: not available here, a call fails."
    return refuse
