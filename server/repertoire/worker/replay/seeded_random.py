"""The modules `random` and `uuid` as code of workflow files sees them: drawn from generators that the run's seed determines.

Each task, thread and step draws from generators of its own: what one draws does not depend on how far the others are, and a step
whose result is recorded, so that a replay leaves it out, takes nothing from what comes after it.
numpy's and torch's own global generators are the run's too, one for the whole run (`LibrarySeeds`).
`SystemRandom`, `secrets` and `os.urandom` stay real, for what must not be guessed: let a step give what they give.
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
"""From the beginning of UUID time to 1970, in 100 ns."""


class _PerNode(Generic[T]):
    """One for each sequence of calls, made from its seed when it is first asked for."""

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
        """For this sequence from now on."""
        call_paths.current().kept[self] = value
        return value


class LibrarySeeds:
    """Seeds the global generators of numpy and torch from the run's seed, each once, as soon as the library is loaded."""

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
    """What the module `random` has otherwise during a run."""
    generator_class = _random_class(_PerNode(f"{seed}:seeds", _random.Random))
    generator = _PerNode(seed, generator_class)
    names: dict[str, Any] = {"Random": generator_class, "_inst": generator()}
    for name, value in vars(_random).items():
        owner = getattr(value, "__self__", None)
        if type(owner) is _random.Random:  # the functions of the module are methods of its one generator
            names[name] = RunFunction(_method(generator, name), value)
    names["seed"] = RunFunction(_seeding(generator), _random.seed)
    return names


def _method(generator: _PerNode[_random.Random], name: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: getattr(generator(), name)(*args, **kwargs)


def _seeding(generator: _PerNode[_random.Random]) -> Callable[..., None]:
    """Tasks and threads that begin to draw later do so from this seed too."""

    def seed(a: Any = None, version: int = 2) -> None:
        generator().seed(a, version)
        generator.seed = f"{a!r}" if a is not None else generator.seed

    return seed


def _random_class(seeds: _PerNode[_random.Random]) -> type[_random.Random]:
    """`random.Random` whose instances, where no seed is given, get one from `seeds`; otherwise it passes for the real class."""

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
            constructor = (
                _random.Random if type(self) is Random else type(self)
            )  # pickle finds only the real one by its name
            return constructor, (), self.getstate()

    Random.__module__, Random.__qualname__ = "random", "Random"
    return Random


def uuid_names(seed: str, read: Callable[[], float]) -> dict[str, Any]:
    """What the module `uuid` has otherwise during a run; generators of its own, so that it does not disturb `random`."""
    machine = _random.Random(f"{seed}:uuid").getrandbits(48) | 1 << 40
    generator = _PerNode(f"{seed}:uuid", lambda seed: _Ids(_random.Random(seed), read, machine))
    names = ("uuid1", "uuid4", "uuid6", "uuid7", "uuid8")
    return {
        name: RunFunction(_uuid_function(generator, name), getattr(_uuid, name))
        for name in names
        if hasattr(_uuid, name)
    }


def _uuid_function(generator: _PerNode[_Ids], name: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: getattr(generator(), name)(*args, **kwargs)


class _Ids:
    def __init__(self, generator: _random.Random, read: Callable[[], float], machine: int) -> None:
        """`machine` is no real one, says its bit 40: a run may go on on another."""
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
        """As uuid1, its time in the order in which it sorts."""
        ticks, sequence, node = self._ticks(), *self._sequence_and_node(node, clock_seq)
        return _with_version((ticks >> 12) << 80 | (ticks & 0x0FFF) << 64 | sequence << 48 | node, 6)

    def uuid7(self) -> _uuid.UUID:
        """Generate a UUID from the milliseconds of the clock and random bits; later ones of a run sort later."""
        value = int(self._read() * 1000) << 74 | self._bits(74)
        value = self._last_7 = max(value, self._last_7 + 1)
        return _with_version(value >> 74 << 80 | (value >> 62 & 0x0FFF) << 64 | value & (1 << 62) - 1, 7)

    def uuid8(self, a: int | None = None, b: int | None = None, c: int | None = None) -> _uuid.UUID:
        """Generate a UUID from three custom blocks, random where not given."""
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
    """By hand: `UUID(version=7)` is refused before Python 3.14."""
    value &= ~(0xF000 << 64 | 0xC000 << 48)
    return _uuid.UUID(int=value | version << 76 | 0x8000 << 48)
