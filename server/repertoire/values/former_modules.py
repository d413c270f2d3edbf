"""Former modules: maps the old module of a Repertoire class to its module of today, so that old stored values still load.

Used by `instances` and `records`. A row stays for ever: a home may be much older than its server.
"""

from __future__ import annotations

from typing import Final

_MOVED: Final = {
    "repertoire.authoring.agents": "repertoire.agents.agent",
    "repertoire.classes.agents": "repertoire.agents.agent",
    "repertoire.authoring.complaints": "repertoire.signature.validation_messages",
    "repertoire.authoring.later": "repertoire.authoring.unavailable",
    "repertoire.authoring.memory": "repertoire.classes.memory_storage",
    "repertoire.authoring.places": "repertoire.classes.session_locks",
    "repertoire.authoring.recorded": "repertoire.values.records",
    "repertoire.authoring.refusals": "repertoire.values.refusals",
    "repertoire.authoring.response": "repertoire.classes.response",
    "repertoire.authoring.run_info": "repertoire.worker.source.run_info",
    "repertoire.authoring.sessions": "repertoire.classes.stored_sessions",
    "repertoire.authoring.storage": "repertoire.classes.sqlite_storage",
    "repertoire.authoring.toolkits": "repertoire.agents.toolkits",
    "repertoire.authoring.views": "repertoire.classes.agent_views",
    "repertoire.authoring.workflow": "repertoire.classes.workflow",
    "repertoire.classes.toolkits": "repertoire.agents.toolkits",
}


def current_module(name: str) -> str:
    """The module that now holds the classes of the module `name`."""
    return _MOVED.get(name, name)
