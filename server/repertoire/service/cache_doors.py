"""CacheDoors: the doors `cache.find` and `cache.keep` of `@cached(shared=True)`; `app` gives them to the runner.

Results belong to a principal and a workflow: runs of the workflow in all sessions share them. Code that is run once shares them with runs of
the same text only, because its name stands for any code.
"""

from __future__ import annotations

from typing import Any, Final

from ..engine.doors import Door, DoorCall, DoorResult
from ..errors import BadArguments
from ..store import Store
from ..store.shared_cache import Place

_MOST_CHARS: Final = 256 * 1024
"""Of one result, as JSON. A larger one belongs into an artifact."""
_NAME_CHARS: Final = 200


class CacheDoors:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def doors(self) -> dict[str, Door]:
        return {"cache.find": self._find, "cache.keep": self._keep}

    async def _find(self, call: DoorCall) -> DoorResult:
        ttl = call.args.get("ttl")
        return DoorResult(
            await self._store.find_cached(_place(call), float(ttl) if isinstance(ttl, int | float) else None)
        )

    async def _keep(self, call: DoorCall) -> DoorResult:
        value: Any = call.args.get("value")
        if not isinstance(value, str) or len(value) > _MOST_CHARS:
            raise BadArguments(
                f"A result that all sessions share may have {_MOST_CHARS:,} characters as JSON.",
                "Save it as an artifact, and let the function return its name.",
            )
        await self._store.keep_cached(_place(call), value)
        return DoorResult()


def _place(call: DoorCall) -> Place:
    live = call.live
    scope = live.version.hash if live.version.is_unnamed else live.run.workflow
    function, key = str(call.args.get("function"))[:_NAME_CHARS], str(call.args.get("key"))[:_NAME_CHARS]
    return Place(live.run.principal, scope, function, key)
