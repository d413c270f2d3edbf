"""Results that are hostile to the host: numbers, depth, keys, and objects whose methods lie or never end."""

from __future__ import annotations

import re
from typing import Any, Final

from .attack import FAILED, Table, Targets
from .server import Server

RESULTS: Final = Table("results")
alone, outside = RESULTS.alone, RESULTS.outside
_ENDS: Final = ("completed .*", *FAILED)


@alone("returns an integer of a million digits", _ENDS, raw=True)
def huge_integer(t: Targets) -> object:
    return 1 << 3_000_000


@alone("returns numbers that JSON has not", _ENDS, raw=True)
def no_numbers(t: Targets) -> object:
    return [float("nan"), float("inf"), -float("inf"), 1e308 * 10, -0.0, 5e-324]


@alone("returns a million keys", _ENDS, raw=True, timeout_s=4, costly=True)
def many_keys(t: Targets) -> object:
    return {f"k{n}": n for n in range(1_000_000)}


@alone("returns halves of characters, in keys too", _ENDS, raw=True)
def surrogates(t: Targets) -> object:
    return {"\ud800": ["\udfff", "\ud83d", "a\udc80b"], "\ud800x": "\x00\x1b[31m\u202e"}


@alone("returns lists in lists, a hundred thousand deep", _ENDS, raw=True)
def deep(t: Targets) -> object:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@alone("returns a list that contains itself", _ENDS, raw=True)
def circle(t: Targets) -> object:
    value: list[Any] = []
    value.append(value)
    return value


@alone("returns one list a billion times, by doubling it", FAILED, raw=True, timeout_s=2, costly=True)
def laughs(t: Targets) -> object:
    value: list[Any] = ["ha"]
    for _ in range(30):
        value = [value, value]
    return value


@alone("returns an object whose repr never ends", _ENDS, raw=True, timeout_s=1)
def hostile_repr(t: Targets) -> object:
    class Hostile:
        def __repr__(self) -> str:
            while True:
                pass

    return Hostile()


@alone("returns an object that is equal to everything", _ENDS, raw=True)
def hostile_equal(t: Targets) -> object:
    class Hostile:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

        def __bool__(self) -> bool:
            raise ValueError("neither")

    return {"a": Hostile(), "b": [Hostile()]}


@alone("returns keys that all have the same hash", _ENDS, raw=True, timeout_s=1)
def same_hashes(t: Targets) -> object:
    class Key(str):
        def __hash__(self) -> int:
            return 1

    return {Key(n): n for n in range(3000)}


@alone(
    "returns an object that says that it is a dict", (*_ENDS, "failed exception AttributeError: .*items.*"), raw=True
)
def hostile_class(t: Targets) -> object:
    class Hostile:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            return dict

        def keys(self) -> Any:
            raise SystemExit(0)

    return Hostile()


@alone("returns a text whose length is a lie", _ENDS, raw=True)
def lying_text(t: Targets) -> object:
    class Lie(str):
        def __len__(self) -> int:
            return -1

        def encode(self, *_: object) -> bytes:
            return b"\xff" * 100

    return [Lie("x"), {Lie("y"): Lie("z")}]


@alone("returns a dict that gives other items each time", _ENDS, raw=True)
def lying_dict(t: Targets) -> object:
    class Lie(dict[str, int]):
        def items(self) -> Any:
            return iter([("a", self)] * 3)

        def __iter__(self) -> Any:
            return iter(range(10))

    return Lie(a=1)


@alone("raises an exception whose text never ends", _ENDS, raw=True, timeout_s=1)
def hostile_text(t: Targets) -> object:
    class Hostile(Exception):
        def __str__(self) -> str:
            while True:
                pass

    raise Hostile


@alone("raises an exception whose text raises, and whose name is a terminal's escape", FAILED, raw=True)
def hostile_exception(t: Targets) -> object:
    def text(self: object) -> str:
        raise KeyboardInterrupt

    raise type("\x1b[2J\u202eevil", (Exception,), {"__str__": text, "__repr__": text, "__module__": 7})()


@alone("raises an exception of a hundred megabytes", FAILED, raw=True)
def large_exception(t: Targets) -> object:
    raise ValueError("x" * (100 << 20))


@alone("raises a chain of a hundred thousand causes", FAILED, raw=True, timeout_s=3)
def long_chain(t: Targets) -> object:
    error: Exception = ValueError("first")
    for n in range(100_000):
        following = ValueError(n)
        following.__cause__ = error
        error = following
    raise error


@alone("raises what a server would take for its own end", FAILED, raw=True)
def system_exit(t: Targets) -> object:
    raise SystemExit({"code": "completed"})


@outside("has the server read its runs after all of that", ("completed \\d+",))
def runs_are_readable(server: Server) -> str:
    """Listing and reading runs with such results, events and errors works, through the tools and at the command line."""
    listed = server.tool("list_runs", limit=100)
    for row in listed["runs"]:
        shown = server.tool("get_run", run_id=row["run_id"])
        if "protocol_error" in shown or (shown.get("error") or {}).get("code") == "internal":
            return f"{row['run_id']}: {shown}"[:300]
    printed = server.command_line("runs", "--limit", "100")
    if "Traceback" in printed or re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", printed):
        return f"printed {printed[:300]!r}"
    return f"completed {len(listed['runs'])}"
