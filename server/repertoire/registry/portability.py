"""Findings on parts of a schema that are not listed, because hosts or model providers refuse them; used by `folder.with_schemas`.

The rules are in `model.portable_schema`.
"""

from __future__ import annotations

from typing import Any, Final

from ..model.portable_schema import LeftOut, portable_input, portable_output
from ..model.workflow_version import Finding

_MOST: Final = 10
_INSTEAD: Final = "The workflow itself still checks it. docs/workflows.md says what hosts are shown."


def unlisted_parts(takes: dict[str, Any], gives: dict[str, Any]) -> tuple[Finding, ...]:
    """At most ten remarks; none of them stops publishing."""
    given, given_back = portable_input(takes, taken=("session_id",)), portable_output(gives)
    found = [_rename_finding(name, alias) for alias, name in given.aliases.items()]
    found += [_left_out_finding("parameter", one) for one in given.left_out]
    found += [_left_out_finding("result", one) for one in given_back.left_out]
    return tuple(dict.fromkeys(found))[:_MOST]


def _rename_finding(name: str, alias: str) -> Finding:
    message = f"The parameter `{name[:100]}` is listed as `{alias}`: model providers refuse other names than [a-zA-Z0-9_.-]{{1,64}}."
    return Finding("not_portable", "info", message, hint="Both names are understood. Rename it to have one.")


def _left_out_finding(what: str, one: LeftOut) -> Finding:
    location = f"{what} `{one.location[:100]}`" if one.location else what
    return Finding(
        "not_portable", "info", f"`{one.keyword}` of the {location} is not listed: {one.why}.", hint=_INSTEAD
    )
