"""State key: the home's key that seals the state which clients return with the answers to a question; used by the app.

It is stored in the home, so that these answers are still valid after a restart.
"""

from __future__ import annotations

import os

from ...home import At
from .sdk_adapter import KEY_BYTES, new_state_key


def state_key(home: str) -> bytes:
    """Read it from HOME/request-state.key, or make it. Only the home's owner may call this, so that two keys are never made at once."""
    path = os.path.join(home, "request-state.key")
    try:
        with open(path, "rb") as file:
            key = file.read()
    except FileNotFoundError:
        key = b""
    if len(key) >= KEY_BYTES:
        return key
    key = new_state_key()
    beside = f"{path}.new"
    with At(beside):
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            file.write(key)
        os.replace(beside, path)
    return key
