"""Door types: what checkers see of `ask`, `now`, `sleep`, `step`, `cached` and `artifacts`; used by those. Nothing of it exists at run time.

Each call gives its plain value, and the same value can be awaited. Python's types have no "a T that is also awaitable". So:

1. A value of a usual type has a subclass here that can be awaited (`AwaitableText`). It is a `str` to every checker.
2. The answer of `ask` of any other type T is an `Answer[T]`. Awaited it is a T. Without `await` it fits every declared type:
   `order: Order = ask("Which?", Order)`.
3. `step(function, argument)` gives its function's own type. A step of an async function is awaited; so is `step.aio(function, argument)`.
4. `step(function)` alone may be a call or a decorator. Its `Decorated` is both: it can be called and awaited, and fits every declared type.
"""

# mypy: disable-error-code="overload-overlap"
# Checkers take the first that fits, and that is meant here.

from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import datetime
from typing import Any, Generic, Never, ParamSpec, Protocol, TypeVar, overload

P = ParamSpec("P")
K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

class AwaitableTime(datetime):
    def __await__(self) -> Generator[Any, Any, datetime]: ...

class AwaitableBool(bool):  # type: ignore[misc]  # a final class; this one is never made
    def __await__(self) -> Generator[Any, Any, bool]: ...

class AwaitableInt(int):
    def __await__(self) -> Generator[Any, Any, int]: ...

class AwaitableFloat(float):
    def __await__(self) -> Generator[Any, Any, float]: ...

class AwaitableText(str):
    def __await__(self) -> Generator[Any, Any, str]: ...

class AwaitableList(list[T]):
    def __await__(self) -> Generator[Any, Any, list[T]]: ...

class AwaitableDict(dict[K, V]):
    def __await__(self) -> Generator[Any, Any, dict[K, V]]: ...

class Answer(Awaitable[T], Any):  # type: ignore[misc]  # rule 2 of the header
    def __await__(self) -> Generator[Any, Any, T]: ...

class Now(Protocol):
    def __call__(self) -> AwaitableTime: ...
    def aio(self) -> Awaitable[datetime]: ...

class Sleep(Protocol):
    def __call__(self, seconds: float) -> Awaitable[None]: ...
    def aio(self, seconds: float) -> Awaitable[None]: ...

class Ask(Protocol):
    @overload
    def __call__(self, question: str, schema: None = None, *, expires_s: float | None = None) -> AwaitableText: ...
    @overload
    def __call__(self, question: str, schema: type[bool], *, expires_s: float | None = None) -> AwaitableBool: ...
    @overload
    def __call__(self, question: str, schema: type[int], *, expires_s: float | None = None) -> AwaitableInt: ...
    @overload
    def __call__(self, question: str, schema: type[float], *, expires_s: float | None = None) -> AwaitableFloat: ...
    @overload
    def __call__(self, question: str, schema: type[str], *, expires_s: float | None = None) -> AwaitableText: ...
    @overload
    def __call__(self, question: str, schema: type[list[T]], *, expires_s: float | None = None) -> AwaitableList[T]: ...
    @overload
    def __call__(
        self, question: str, schema: type[dict[K, V]], *, expires_s: float | None = None
    ) -> AwaitableDict[K, V]: ...
    @overload
    def __call__(self, question: str, schema: type[T], *, expires_s: float | None = None) -> Answer[T]: ...
    @overload
    def __call__(self, question: str, schema: Any, *, expires_s: float | None = None) -> Any: ...
    def aio(self, question: str, schema: Any = None, *, expires_s: float | None = None) -> Awaitable[Any]: ...

class ArtifactCalls(Protocol):
    def save(
        self,
        name: str,
        data: Any,
        description: str = "",
        metadata: dict[str, Any] | None = None,
        *,
        mime_type: str | None = None,
    ) -> AwaitableDict[str, Any]: ...
    def load(self, name: str) -> Any: ...
    def get(self, name: str) -> Answer[dict[str, Any] | None]: ...
    def list(self, prefix: str = "") -> AwaitableList[dict[str, Any]]: ...
    def exists(self, name: str) -> AwaitableBool: ...
    def delete(self, name: str) -> AwaitableBool: ...

class Decorated(Awaitable[T], Any, Generic[P, T]):  # type: ignore[misc]  # rule 4 of the header
    def __await__(self) -> Generator[Any, Any, T]: ...
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def aio(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Any]: ...
    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Decorated[P, T]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., T]: ...

class Decorator(Protocol):
    # `@step(retries=3)`

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Decorated[P, Awaitable[T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Decorated[P, T]: ...

class Cached(Protocol):
    @overload
    def __call__(
        self,
        *,
        ttl: float | None = None,
        key: Callable[..., Any] | None = None,
        shared: bool = False,
        expires_s: float | None = None,
    ) -> Cacher: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]: ...

class Cacher(Protocol):
    # `@cached(expires_s=60)`
    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]: ...

class Step(Protocol):
    @overload
    def __call__(self, *, retries: int = 0, timeout: float | None = None) -> Decorator: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Decorated[P, Awaitable[T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Decorated[P, T]: ...
    @overload  # a function that is typed to give Any: nothing else fits Never
    def __call__(self, function: Callable[P, Never], /, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def __call__(
        self,
        function: Callable[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        retries: int,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Awaitable[T]: ...
    @overload
    def __call__(
        self,
        function: Callable[..., Coroutine[Any, Any, T]],
        /,
        *args: Any,
        timeout: float | None,
        **kwargs: Any,
    ) -> Awaitable[T]: ...
    @overload
    def __call__(
        self,
        function: Callable[..., T],
        /,
        *args: Any,
        retries: int,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> T: ...
    @overload
    def __call__(
        self,
        function: Callable[..., T],
        /,
        *args: Any,
        timeout: float | None,
        **kwargs: Any,
    ) -> T: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]: ...
    @overload
    def __call__(self, function: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[None]: ...
    @overload
    def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @property
    def key(self) -> str: ...
    def aio(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        retries: int = 0,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Awaitable[Any]: ...
