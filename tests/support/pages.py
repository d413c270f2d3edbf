"""Pages of the documentation, read by tests."""

from __future__ import annotations

import re


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
