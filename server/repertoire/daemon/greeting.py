"""Greeting: the first lines of a connection to the daemon, which say who connects and what for; used by server.py and by clients.

`Hello` is the first line. Where the daemon's answer asks for environment variables, a second line tells them.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

import anyio
import msgspec

from repertoire.daemon.line_channel import LineChannel, LineTooLong

logger = logging.getLogger("repertoire.daemon")

HELLO_S: Final = 5.0
"""A client that says nothing for so long is not one of ours."""


class Hello(msgspec.Struct, frozen=True):
    """The first line of a connection: what it wants to be and who is asking. Paths are absolute."""

    mode: Literal["mcp", "control"]
    version: str
    session: str = ""
    """The session named by `--session`. "": the client's own name is the session's."""
    roots: tuple[str, ...] = ()
    cwd: str | None = None
    env: dict[str, str] = {}
    """Not part of the line itself: told after it, and only the variables that the answer asks for."""


_hello_decoder = msgspec.json.Decoder(Hello)
_env_decoder = msgspec.json.Decoder(dict[str, str])


async def read_hello(channel: LineChannel) -> tuple[Hello | None, str]:
    """The hello, or None and the reason for the client."""
    try:
        with anyio.fail_after(HELLO_S):
            line = await channel.receive()
        if line is None:
            return None, "the connection ended before its first line"
        return _hello_decoder.decode(line), ""
    except TimeoutError:
        return None, f"no first line within {HELLO_S:.0f} s"
    except LineTooLong:
        return None, "the first line is longer than 64 KiB"
    except msgspec.DecodeError as error:
        return None, f"the first line is not a hello: {error}"


async def read_env(channel: LineChannel, wanted: tuple[str, ...]) -> dict[str, str]:
    """The environment variables that the client was asked for; empty where its second line is something else."""
    try:
        with anyio.fail_after(HELLO_S):
            sent = _env_decoder.decode(await channel.receive() or b"{}")
    except (TimeoutError, LineTooLong, msgspec.DecodeError):
        logger.warning("a client did not tell the environment variables that it was asked for")
        return {}
    return {name: sent[name] for name in wanted if name in sent}
