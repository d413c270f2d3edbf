"""Seeded random: the modules `random` and `uuid` as workflow files see them, with generators seeded by the run; used by `shims`.

Each task, thread and step draws from its own generators. So the draws of one do not depend on the progress of the others. A replay skips a
step whose result is recorded, and this does not change the draws after it.
`LibrarySeeds` seeds the global generators of numpy and torch, which exist once for the whole run.
`SystemRandom`, `secrets` and `os.urandom` stay real, because their values must not be guessable. A body should call them in a step.
"""

from __future__ import annotations

import random as _random
import sys
import uuid as _uuid
from abc import ABCMeta
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from . import call_paths
from .run_clock import RunFunction

T = TypeVar("T")

_TO_1582: Final = 0x01B21DD213814000
"""From the beginning of UUID time (1582) to 1970, in units of 100 ns."""


class _PerNode(Generic[T]):
    """One value for each node, made from the node's seed when it is first needed."""

    def __init__(self, seed: str, make: Callable[[str], T]) -> None:
        self.seed = seed
        self._make = make

    def __call__(self) -> T:
        node = call_paths.current()
        found: T | None = node.kept.get(self)
        if found is None:
            found = self.keep(self._make(f"{self.seed}:{node.prefix}" if node.prefix else self.seed))
        return found

    def keep(self, value: T) -> T:
        """Use this value for the current node from now on."""
        call_paths.current().kept[self] = value
        return value


class LibrarySeeds:
    """Seeds the global generators of numpy and torch from the run's seed, once each, as soon as the library is loaded."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._done: set[str] = set()

    def __call__(self) -> None:
        for name, seed in _LIBRARIES.items():
            module = sys.modules.get(name)
            if module is not None and name not in self._done:
                self._done.add(name)
                seed(module, _random.Random(f"{self._seed}:{name}"))


def _seed_numpy(module: Any, seeds: _random.Random) -> None:
    module.seed([seeds.getrandbits(32) for _ in range(4)])


def _seed_torch(module: Any, seeds: _random.Random) -> None:
    module.default_generator.manual_seed(seeds.getrandbits(63))


_LIBRARIES: Final[dict[str, Callable[[Any, _random.Random], None]]] = {
    "numpy.random": _seed_numpy,
    "torch": _seed_torch,
}


def random_names(seed: str) -> dict[str, Any]:
    """The names that replace those of the module `random` during a run."""
    generator_class = _random_class(_PerNode(f"{seed}:seeds", _random.Random))
    generator = _PerNode(seed, generator_class)
    names: dict[str, Any] = {"Random": generator_class, "_inst": generator()}
    for name, value in vars(_random).items():
        owner = getattr(value, "__self__", None)
        if type(owner) is _random.Random:  # the module's functions are methods of its one generator
            names[name] = RunFunction(_method(generator, name), value)
    names["seed"] = RunFunction(_seeding(generator), _random.seed)
    return names


def _method(generator: _PerNode[_random.Random], name: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: getattr(generator(), name)(*args, **kwargs)


def _seeding(generator: _PerNode[_random.Random]) -> Callable[..., None]:
    """`random.seed`, which also sets the seed of tasks and threads that draw for the first time later."""

    def seed(a: Any = None, version: int = 2) -> None:
        generator().seed(a, version)
        generator.seed = f"{a!r}" if a is not None else generator.seed

    return seed


def _random_class(seeds: _PerNode[_random.Random]) -> type[_random.Random]:
    """A class in place of `random.Random`: instances without a given seed get one from `seeds`. Type checks accept the real class too."""

    class Kind(ABCMeta):  # of ABCMeta, so that a subclass may be abstract too
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, _random.Random) if cls is Random else super().__instancecheck__(instance)

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, _random.Random) if cls is Random else super().__subclasscheck__(other)

    class Random(_random.Random, metaclass=Kind):
        __doc__ = _random.Random.__doc__

        def seed(self, a: Any = None, version: int = 2) -> None:
            super().seed(seeds().getrandbits(256) if a is None else a, version)

        def __reduce__(self) -> Any:
            # pickle finds only the real class by its name
            constructor = _random.Random if type(self) is Random else type(self)
            return constructor, (), self.getstate()

    Random.__module__, Random.__qualname__ = "random", "Random"
    return Random


def uuid_names(seed: str, read: Callable[[], float]) -> dict[str, Any]:
    """The names that replace those of the module `uuid` during a run. They have their own generators, apart from those of `random`."""
    machine = _random.Random(f"{seed}:uuid").getrandbits(48) | 1 << 40
    generator = _PerNode(f"{seed}:uuid", lambda seed: _UuidGenerator(_random.Random(seed), read, machine))
    names = ("uuid1", "uuid4", "uuid6", "uuid7", "uuid8")
    return {
        name: RunFunction(_uuid_function(generator, name), getattr(_uuid, name))
        for name in names
        if hasattr(_uuid, name)
    }


def _uuid_function(generator: _PerNode[_UuidGenerator], name: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: getattr(generator(), name)(*args, **kwargs)


class _UuidGenerator:
    def __init__(self, generator: _random.Random, read: Callable[[], float], machine: int) -> None:
        """`machine` is a random node id, marked by its bit 40: a run may be continued on another machine."""
        self._bits = generator.getrandbits
        self._read = read
        self._node = machine
        self._last_ticks = 0
        self._last_7 = 0

    def uuid4(self) -> _uuid.UUID:
        """Generate a random UUID."""
        return _uuid.UUID(int=self._bits(128), version=4)

    def uuid1(self, node: int | None = None, clock_seq: int | None = None) -> _uuid.UUID:
        """Generate a UUID from a node, sequence number, and the current time."""
        ticks, sequence, node = self._ticks(), *self._sequence_and_node(node, clock_seq)
        fields = (ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF, sequence >> 8, sequence & 0xFF, node)
        return _uuid.UUID(fields=fields, version=1)

    def uuid6(self, node: int | None = None, clock_seq: int | None = None) -> _uuid.UUID:
        """As uuid1, with the time's fields in sortable order."""
        ticks, sequence, node = self._ticks(), *self._sequence_and_node(node, clock_seq)
        return _with_version((ticks >> 12) << 80 | (ticks & 0x0FFF) << 64 | sequence << 48 | node, 6)

    def uuid7(self) -> _uuid.UUID:
        """Generate a UUID from the milliseconds of the clock and random bits. Later ones of a run sort later."""
        value = int(self._read() * 1000) << 74 | self._bits(74)
        value = self._last_7 = max(value, self._last_7 + 1)
        return _with_version(value >> 74 << 80 | (value >> 62 & 0x0FFF) << 64 | value & (1 << 62) - 1, 7)

    def uuid8(self, a: int | None = None, b: int | None = None, c: int | None = None) -> _uuid.UUID:
        """Generate a UUID from three custom blocks. A missing block is random."""
        high = self._bits(48) if a is None else a & (1 << 48) - 1
        middle = self._bits(12) if b is None else b & 0x0FFF
        low = self._bits(62) if c is None else c & (1 << 62) - 1
        return _with_version(high << 80 | middle << 64 | low, 8)

    def _ticks(self) -> int:
        ticks = round(self._read() * 1e7) + _TO_1582
        ticks = self._last_ticks = max(ticks, self._last_ticks + 1)
        return ticks

    def _sequence_and_node(self, node: int | None, clock_seq: int | None) -> tuple[int, int]:
        sequence = self._bits(14) if clock_seq is None else clock_seq & 0x3FFF
        return sequence, self._node if node is None else node & (1 << 48) - 1


def _with_version(value: int, version: int) -> _uuid.UUID:
    """The UUID with these version bits. Set by hand, because `UUID(version=7)` is refused before Python 3.14."""
    value &= ~(0xF000 << 64 | 0xC000 << 48)
    return _uuid.UUID(int=value | version << 76 | 0x8000 << 48)
