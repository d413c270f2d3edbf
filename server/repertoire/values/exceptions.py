"""Exceptions: writes an exception as a tree for the journal and rebuilds it: type, arguments, attributes, notes, cause and context.

`describe` writes, `rebuild` reads; no constructor runs. An exception's methods and properties are its author's code, so we read around
them. If an attribute or the message raises, we lose that attribute or message and nothing else. Used by `records` and the worker.
"""

from __future__ import annotations

import contextlib
import types
from typing import Any, Final, NoReturn

from . import instances, trees
from .refusals import StateError
from .trees import TAG, TreeEncoder, tag_value

_MOST_LINKS: Final = 20
"""The depth to which causes of causes, and errors within groups, are kept."""
_HEAP_TYPE: Final = 1 << 9


class NotRecorded:
    """Stands for a value in an exception that cannot be recorded. Every use of it raises a StateError that says so."""

    def __init__(self, why: str) -> None:
        self.__dict__["_why"] = why

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)  # Python itself looks such names up
        raise _refusal(self.__dict__["_why"])

    def _raise(self, *_: Any, **__: Any) -> NoReturn:
        raise _refusal(self.__dict__["_why"])

    __call__ = __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = __str__ = __int__ = __float__ = (
        __enter__
    ) = _raise

    def __repr__(self) -> str:
        return f"<not recorded: {self.__dict__['_why']}>"


def _refusal(why: str) -> StateError:
    return StateError(
        f"the error of a step is recorded without this: {why}",
        hint="Read what you need of it within the step, and return it or raise it in an exception of your own.",
    )


# Reading an exception


def text_of(error: BaseException) -> str:
    """The message; a replacement if the author's `__str__` raises."""
    try:
        return str(error)
    except BaseException:  # the author's __str__
        return f"{type_name(error)} (its message cannot be shown)"


def type_name(error: BaseException) -> str:
    return str(type.__dict__["__name__"].__get__(type(error)))


def part(error: BaseException, name: str) -> Any:
    """`args`, `__cause__` and the like, even if the class overrides them."""
    return BaseException.__dict__[name].__get__(error)


def read(error: BaseException, name: str, otherwise: Any = None) -> Any:
    """An attribute, or `otherwise` if reading it raises."""
    try:
        return getattr(error, name)
    except BaseException:  # the author's __getattribute__
        return otherwise


def _fields(kind: type) -> dict[str, Any]:
    """The class's slots, and the fields that exceptions in C hold beside their arguments, by name."""
    found = {}
    for one in reversed(kind.__mro__):
        if issubclass(one, BaseException) and one is not BaseException:
            members = (types.MemberDescriptorType, types.GetSetDescriptorType)
            found.update(
                {name: got for name, got in vars(one).items() if type(got) in members and not name.startswith("__")}
            )
    return found


# Writing


def describe(error: BaseException) -> dict[str, Any]:
    """The exception as a tree. Raises StateError if it cannot be rebuilt from that.

    In `error` itself, values that cannot be recorded are replaced by NotRecorded: the body sees now what it would see on replay.
    """
    tree = _describe(error, 0)
    twin = rebuild(tree)
    again = _describe(twin, 0)
    if _without_text(again) != _without_text(tree):
        raise StateError(f"a {type_name(error)} could not be made again as it is")
    _replace_lost(error, twin, tree)
    return tree


def _describe(error: BaseException, depth: int) -> dict[str, Any]:
    kind = type(error)
    if instances.reference(kind) is None:
        raise StateError(
            f"its class {kind.__qualname__} could not be found again; define it at the top level of a file"
        )
    encoder = TreeEncoder(_within)
    tree: dict[str, Any] = {"module": kind.__module__, "name": kind.__qualname__, "text": text_of(error)}
    if isinstance_of(error, BaseExceptionGroup):
        inner = BaseExceptionGroup.__dict__["exceptions"].__get__(error)
        if depth >= _MOST_LINKS:
            raise StateError("its errors are nested too deeply")
        tree["message"] = BaseExceptionGroup.__dict__["message"].__get__(error)
        tree["inner"] = [_describe(one, depth + 1) for one in inner]
    elif (maker := _maker(error)) is not None:
        name, arguments = maker
        tree["maker"], tree["args"] = name, _write(encoder, arguments, "args")
        return tree
    else:
        tree["args"] = _write(encoder, list(part(error, "args")), "args")
    tree["attributes"] = {str(name): _write(encoder, got, str(name)) for name, got in _attributes(error).items()}
    tree["fields"] = {name: _write(encoder, got, name) for name, got in _read_fields(error).items()}
    tree["suppress"] = part(error, "__suppress_context__")
    for name in ("cause", "context"):
        if (link := part(error, f"__{name}__")) is not None and depth < _MOST_LINKS:
            tree[name] = _link(link, depth + 1)
    return tree


def isinstance_of(error: BaseException, kind: type) -> bool:
    """Like `isinstance`, but does not read the exception's `__class__`, which may be its author's code."""
    return issubclass(type(error), kind)


def _attributes(error: BaseException) -> dict[str, Any]:
    try:
        return dict(object.__getattribute__(error, "__dict__"))
    except AttributeError:
        return {}


def _read_fields(error: BaseException) -> dict[str, Any]:
    found = {}
    for name, member in _fields(type(error)).items():
        with contextlib.suppress(Exception):  # the field is empty
            found[name] = member.__get__(error)
    return {name: got for name, got in found.items() if got is not None and name not in ("exceptions", "message")}


def _write(encoder: TreeEncoder, value: Any, path: str) -> Any:
    try:
        return encoder.write(value, path)
    except (StateError, RecursionError) as error:
        why = error.message if isinstance(error, StateError) else f"{path} is nested too deeply"
        return tag_value("unrecorded", why)


def _within(value: Any, path: str) -> Any:
    """The tree of a value that an exception may hold and a state may not: another exception, or one that is not recorded."""
    if isinstance_of(value, BaseException):
        return tag_value("error", _link(value, _MOST_LINKS))
    if type(value) is NotRecorded:
        return tag_value("unrecorded", value.__dict__["_why"])
    kind = type(value)
    return tag_value("unrecorded", f"{path}: a {kind.__module__}.{kind.__qualname__} cannot be stored")


def _link(error: BaseException, depth: int) -> dict[str, Any]:
    """An exception that another one refers to. If it cannot be rebuilt, its type and text only."""
    try:
        tree = _describe(error, depth)
        rebuild(tree)
        return tree
    except (StateError, RecursionError):
        return {"stands_for": type_name(error), "text": text_of(error)}


def _maker(error: BaseException) -> tuple[str, list[Any]] | None:
    """Name and arguments of the class's factory method, for a class without a constructor.

    For example pydantic's ValidationError, whose `__reduce__` tells them.
    """
    kind = type(error)
    base = _base_in_c(kind)
    try:
        base.__new__(kind)
        return None
    except TypeError:
        pass
    try:
        reduced: Any = error.__reduce__()
        if getattr(reduced[0], "__self__", None) is kind:
            return str(reduced[0].__name__), list(reduced[1])
    except Exception:  # the author's __reduce__
        pass
    return None


def _without_text(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_text(one) for name, one in tree.items() if name not in ("text", "stands_for")}
    return [_without_text(one) for one in tree] if isinstance(tree, list) else tree


def _replace_lost(error: BaseException, twin: BaseException, tree: dict[str, Any]) -> None:
    for name, kept in tree.get("attributes", {}).items():
        if _is_lost(kept):
            object.__getattribute__(error, "__dict__")[name] = _attributes(twin)[name]
    if _is_lost(tree.get("args")):
        BaseException.__dict__["args"].__set__(error, part(twin, "args"))
    for name in ("cause", "context"):
        if "attributes" in (tree.get(name) or {}):
            _replace_lost(part(error, f"__{name}__"), part(twin, f"__{name}__"), tree[name])


def _is_lost(tree: Any) -> bool:
    if isinstance(tree, dict):
        return tree.get(TAG) == "unrecorded" or any(map(_is_lost, tree.values()))
    return isinstance(tree, list) and any(map(_is_lost, tree))


# Rebuilding an exception


def rebuild(tree: dict[str, Any]) -> BaseException:
    """The exception that the tree describes. Raises StateError if it cannot be rebuilt."""
    if "stands_for" in tree:
        from .records import CallError

        return CallError(tree["text"], code="exception", type=tree["stands_for"])
    kind = instances.find_class(f"{tree['module']}:{tree['name']}")
    try:
        error = _rebuild_as(kind, tree)
    except Exception as failure:  # the class's code may raise anything
        raise StateError(f"a {tree['name']} could not be made again ({text_of(failure)})") from None
    if type(error) is not kind:
        raise StateError(f"a {tree['name']} could not be made again")
    return error


def _rebuild_as(kind: Any, tree: dict[str, Any]) -> BaseException:
    error: BaseException
    if "maker" in tree:
        found: BaseException = getattr(kind, tree["maker"])(*trees.read_tree(tree["args"]))
        return found
    if "inner" in tree:
        error = BaseExceptionGroup.__new__(kind, tree["message"], [rebuild(one) for one in tree["inner"]])
    else:
        args = trees.read_tree(tree["args"])
        arguments = tuple(args) if isinstance(args, list) else (args,)
        error = _base_in_c(kind).__new__(kind, *arguments)
        BaseException.__dict__["args"].__set__(error, arguments)
    for name, kept in tree["fields"].items():
        with contextlib.suppress(AttributeError, TypeError):  # a field that cannot be set comes from the arguments
            _fields(kind)[name].__set__(error, trees.read_tree(kept))
    if tree["attributes"]:
        held = {name: trees.read_tree(kept) for name, kept in tree["attributes"].items()}
        object.__getattribute__(error, "__dict__").update(held)
    for name in ("cause", "context"):
        if name in tree:
            BaseException.__dict__[f"__{name}__"].__set__(error, rebuild(tree[name]))
    BaseException.__dict__["__suppress_context__"].__set__(error, tree["suppress"])
    return error


def _base_in_c(kind: type) -> Any:
    return next(one for one in kind.__mro__ if not one.__flags__ & _HEAP_TYPE)


trees.READERS["error"] = lambda kept, models: rebuild(kept[trees.VALUE])
trees.READERS["unrecorded"] = lambda kept, models: NotRecorded(kept[trees.VALUE])
