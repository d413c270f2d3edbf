"""An agent as one run sees it: the same object in all but its session id and its last response.

Agents are attributes of a class, so runs of several sessions share them. Setting `session_id` on the shared object would let the
run that began last decide for all. A view is an object of a subclass made for it, living on the agent's own `__dict__`:
whatever its methods change is changed in the agent itself, but `session_id` is the run's.
"""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final

_VIEW: Final = "_repertoire_view"
"""Where an agent's class keeps the class of its views: there both go together when nobody uses them."""

NEVER_AGENTS: Final = frozenset(
    {str, int, float, bool, type(None), dict, list, tuple, set, frozenset, type, ModuleType, property, staticmethod, classmethod}
    | {FunctionType, MethodType, BuiltinFunctionType}
)  # fmt: skip
"""Most attributes are of one of these types, and each run asks of every one."""


def is_agent(value: object) -> bool:
    """Whether it is an agent or a team, known by what it can do."""
    if type(value) in NEVER_AGENTS or isinstance(value, type | ModuleType):
        return False
    try:
        return hasattr(value, "session_id") and callable(getattr(value, "run", None))
    except Exception:  # an attribute of any object may raise anything
        return False


def give_session(agent: Any, session_id: str) -> None:
    """For who looks at the agent itself, outside a run."""
    try:
        agent.session_id = session_id
    except (AttributeError, TypeError):
        pass  # frozen or slotted: inside a run its view answers, if it can have one


def view_of(agent: Any, session_id: str) -> Any:
    """The agent as a run of this session sees it; the agent itself when its class allows no view."""
    view_class = _view_class(type(agent))
    try:
        if view_class is None:
            raise TypeError("no view")
        view: Any = object.__new__(view_class)
        object.__setattr__(view, "__dict__", agent.__dict__)
        object.__setattr__(view, "_repertoire_own", [session_id])
    except (AttributeError, TypeError):
        give_session(agent, session_id)
        return agent
    return view


def _view_class(kind: type) -> type | None:
    if _VIEW not in vars(kind):
        try:
            setattr(kind, _VIEW, _make(kind))
        except TypeError:  # a class of C code
            return None
    made: type | None = vars(kind)[_VIEW]
    return made


def _make(kind: type) -> type | None:
    if isinstance(vars(kind).get("session_id"), property) or hasattr(kind, "__pydantic_fields__"):
        return None  # it has a rule of its own for its session

    def session_id(self: Any) -> Any:
        return self._repertoire_own[0]

    def set_session_id(self: Any, value: Any) -> None:
        self._repertoire_own[0] = value

    def run_response(self: Any) -> Any:
        own = self._repertoire_own
        return own[1] if len(own) > 1 else self.__dict__.get("run_response", getattr(kind, "run_response", None))

    def set_run_response(self: Any, value: Any) -> None:
        self._repertoire_own[1:] = [value]
        self.__dict__["run_response"] = value  # and whoever looks at the agent sees the last one

    body: dict[str, Any] = {
        "__slots__": ("_repertoire_own",),  # beside the shared __dict__, not in it
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "session_id": property(session_id, set_session_id),
    }
    if not isinstance(getattr(kind, "run_response", None), property):
        body["run_response"] = property(run_response, set_run_response)
    try:
        return type(kind)(kind.__name__, (kind,), body)
    except Exception:  # a metaclass or __init_subclass__ of any library: such agents are shared as they are
        return None
