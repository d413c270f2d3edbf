"""Publishing: callers, two small sources, and a small home; used by tests of publishing."""

from __future__ import annotations

from typing import Any

import pytest

from repertoire.app import App
from repertoire.errors import Refused
from repertoire.model.session import Caller

ME = Caller(client="a test 1.0")

DOUBLE = '''"""Double a number."""


def run(n: int) -> int:
    """Double a number.

    Args:
        n: The number.
    """
    return n * 2
'''

TRIPLE = DOUBLE.replace("n * 2", "n * 3")

OFF = {"ready_workflows": "false", "search_model": "off"}


async def refused(app: App, *args: Any, **kwargs: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await app.service.publishing.create(ME, *args, **kwargs)
    return caught.value


def rules(answer: dict[str, Any]) -> list[str]:
    return [finding["rule"] for finding in answer["findings"]]
