"""Agent views: gives each run its own view of an agent, with the run's session id and last response. Used by `class_run`, `workflow`.

Agents are attributes of a class, so runs of several sessions share them. A `session_id` on the shared object would be that of the run
that began last. A view is an object of a subclass that is made for it, and it uses the agent's own `__dict__`. So a change by its
methods is a change of the agent itself, but `session_id` is the run's.
"""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final

_VIEW: Final = "_repertoire_view"
"""The attribute of an agent's class that holds the class of its views, so that both are freed together."""

NEVER_AGENTS: Final = (
    frozenset({str, int, float, bool, type(None), dict, list, tuple, set, frozenset, type, ModuleType})
    | {property, staticmethod, classmethod}
    | {FunctionType, MethodType, BuiltinFunctionType}
)
"""The types of most attributes. A quick test, because each run checks every attribute."""


def is_agent(value: object) -> bool:
    """True for an agent or a team: an object with `session_id` and `run`."""
    if type(value) in NEVER_AGENTS or isinstance(value, type | ModuleType):
        return False
    try:
        return hasattr(value, "session_id") and callable(getattr(value, "run", None))
    except Exception:  # an attribute of any object may raise anything
        return False


def give_session(agent: Any, session_id: str) -> None:
    """Set the session id on the agent itself, for code that reads it outside a run."""
    try:
        agent.session_id = session_id
    except (AttributeError, TypeError):
        pass  # frozen or slotted; in a run its view has the id, if its class allows a view


def view_of(agent: Any, session_id: str) -> Any:
    """A view of the agent for a run of this session; the agent itself if its class allows no view."""
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
            setattr(kind, _VIEW, _make_view_class(kind))
        except TypeError:  # a class defined in C
            return None
    view: type | None = vars(kind)[_VIEW]
    return view


def _make_view_class(kind: type) -> type | None:
    if isinstance(vars(kind).get("session_id"), property) or hasattr(kind, "__pydantic_fields__"):
        return None  # the class has its own rule for `session_id`

    def session_id(self: Any) -> Any:
        return self._repertoire_own[0]

    def set_session_id(self: Any, value: Any) -> None:
        self._repertoire_own[0] = value

    def run_response(self: Any) -> Any:
        own = self._repertoire_own
        return own[1] if len(own) > 1 else self.__dict__.get("run_response", getattr(kind, "run_response", None))

    def set_run_response(self: Any, value: Any) -> None:
        self._repertoire_own[1:] = [value]
        self.__dict__["run_response"] = value  # the agent itself shows the last response

    body: dict[str, Any] = {
        "__slots__": ("_repertoire_own",),  # a slot, so that it is not in the shared __dict__
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "session_id": property(session_id, set_session_id),
    }
    if not isinstance(getattr(kind, "run_response", None), property):
        body["run_response"] = property(run_response, set_run_response)
    try:
        return type(kind)(kind.__name__, (kind,), body)
    except Exception:  # a library's metaclass or __init_subclass__; runs then share the agent itself
        return None
