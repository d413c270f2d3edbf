"""Attack: one row of the tables: an id, what it tries, its code, and the outcomes that count as contained; used by every subject.

The code of an attack is a function in its subject's module, so that it is formatted, linted and typed as all code is. `bodies.py` makes
the source of a workflow of it. The three decorators say where a function runs:

1. `probe`: in the sandbox, one of many in the same run. It returns what it got, or raises.
2. `alone`: in the sandbox, in a run of its own: it may end its process, or use up a limit.
3. `outside`: in the test, with the tools of an MCP client. It gives the outcome itself.

An outcome is a short text, and `expected` are regular expressions, one of which has to match it whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from .server import Server

Targets = dict[str, Any]
"""What an attack is told: paths, ports and process ids. Never the secrets themselves."""
Body = Callable[[Targets], object]
FromOutside = Callable[[Server], str]
Kind = Literal["probe", "alone", "outside"]

NOTHING: Final = "nothing"
"""The attack ended without an error, and says that it got nothing."""
BLOCKED: Final = ("EPERM", "EACCES", "ENOSYS")
"""The kernel did not look at the call: any other error means that it did."""
REFUSED: Final = (*BLOCKED, "ENOENT", "EROFS", "ESRCH", "ENOTDIR", "EXDEV", NOTHING)
"""The same, or there is no such thing in the sandbox."""
UNREACHED: Final = (*REFUSED, "EAFNOSUPPORT", "ECONNREFUSED", "ENETUNREACH", "EPROTONOSUPPORT", "EADDRNOTAVAIL")
"""The same, or the network is another one. The listeners of the test show that nobody came."""
FAILED: Final = ("failed (?!exception (NameError|AttributeError|TypeError|ImportError|PermissionError|OSError)).+",)
"""The run failed, but not by an error of the attack's own code."""
KILLED: Final = ("failed worker_lost", "failed worker_exit")


@dataclass(frozen=True)
class Attack:
    id: str
    tries: str
    kind: Kind
    code: Callable[..., object]
    expected: tuple[str, ...]
    is_raw: bool = False
    """The run's result is the attack: it is returned as it is. Otherwise the run returns the outcome as a text."""
    timeout_s: float | None = None
    """As its `__workflow__` declares it."""
    is_costly: bool = False
    """It takes about a second of processor time, so it is tried at one server only."""

    @property
    def subject(self) -> str:
        return self.id.partition(".")[0]

    def is_contained_by(self, outcome: str) -> bool:
        return any(re.fullmatch(one, outcome, re.DOTALL) for one in self.expected)


class Table:
    """The attacks of one subject, in their order. Ids are `SUBJECT.FUNCTION`."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.attacks: list[Attack] = []

    def probe(self, tries: str, expected: tuple[str, ...] = REFUSED) -> Callable[[Body], Body]:
        def add(body: Body) -> Body:
            self._add(body, tries, "probe", expected)
            return body

        return add

    def alone(
        self, tries: str, expected: tuple[str, ...] = REFUSED, *, raw: bool = False, timeout_s: float | None = None,
        costly: bool = False,
    ) -> Callable[[Body], Body]:  # fmt: skip
        def add(body: Body) -> Body:
            self._add(body, tries, "alone", expected, is_raw=raw, timeout_s=timeout_s, is_costly=costly)
            return body

        return add

    def outside(
        self, tries: str, expected: tuple[str, ...], *, costly: bool = False
    ) -> Callable[[FromOutside], FromOutside]:
        def add(attack: FromOutside) -> FromOutside:
            self._add(attack, tries, "outside", expected, is_costly=costly)
            return attack

        return add

    def _add(self, code: Callable[..., Any], tries: str, kind: Kind, expected: tuple[str, ...], **more: Any) -> None:
        name = code.__name__.strip("_")
        self.attacks.append(Attack(f"{self.subject}.{name}", tries, kind, code, expected, **more))
