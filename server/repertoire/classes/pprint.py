"""Pretty print: `pprint_run_response` shows a response or a stream of them on the terminal. Used by workflow files.

It uses `rich` if that is installed, else plain text.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any

from .response import StreamContent, event_name, plain_value


def pprint_run_response(run_response: Any, markdown: bool = False, show_time: bool = False) -> None:
    """Show a RunResponse, an event, or the items of an iterable as they come. A text that a completed event repeats is shown once.

    Args:
        run_response: The result of `run`.
        markdown: Show text as Markdown.
        show_time: Show how many seconds it took.
    """
    with _Screen(markdown, show_time) as screen:
        for item in _items(run_response):
            screen.add(item)


async def apprint_run_response(run_response: Any, markdown: bool = False, show_time: bool = False) -> None:
    """Like `pprint_run_response`, also for an async iterable, such as `arun` of an async generator gives."""
    with _Screen(markdown, show_time) as screen:
        if isinstance(run_response, AsyncIterable):
            async for item in run_response:
                screen.add(item)
        else:
            for item in _items(run_response):
                screen.add(item)


def _items(response: Any) -> Iterator[Any]:
    single = isinstance(response, str | bytes | dict) or hasattr(response, "content") or hasattr(response, "model_dump")
    if single or not isinstance(response, Iterable):
        yield response
    else:
        yield from response


class _Screen:
    """Shows the items so far. On a terminal the output grows in place; a file gets it once, at the end."""

    def __init__(self, markdown: bool, show_time: bool) -> None:
        self._markdown = markdown
        self._show_time = show_time
        self._since = time.monotonic()
        self._content = StreamContent()
        self._structured: list[Any] = []
        self._live: Any = None

    def __enter__(self) -> _Screen:
        try:
            from rich.console import Console
            from rich.live import Live
        except ImportError:
            return self
        console = Console()
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=8)
            self._live.__enter__()
        return self

    def add(self, item: Any) -> None:
        content = getattr(item, "content", item)
        if self._content.take(event_name(item), content) and not isinstance(content, str):
            self._structured.append(content)
        if self._live is not None:
            self._live.update(self._panel())

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Show the items, also those before an error."""
        if self._live is not None:
            self._live.update(self._panel())
            self._live.__exit__(None, None, None)
            return
        try:
            from rich.console import Console
        except ImportError:
            sys.stdout.write("\n".join([self._text(), *self._footer()]) + "\n")
            return
        Console().print(self._panel())

    def _text(self) -> str:
        text, _ = self._content.content()
        parts = [text] if isinstance(text, str) else []
        parts += [json.dumps(plain_value(one), indent=2, ensure_ascii=False) for one in self._structured]
        return "\n".join(parts)

    def _footer(self) -> list[str]:
        return [f"{time.monotonic() - self._since:.1f} s"] if self._show_time else []

    def _panel(self) -> Any:
        from rich.console import Group
        from rich.markdown import Markdown
        from rich.panel import Panel
        from rich.text import Text

        text = self._text()
        body: Any = Markdown(text) if self._markdown and not self._structured else Text(text)
        return Panel(Group(body, *map(Text, self._footer())))
