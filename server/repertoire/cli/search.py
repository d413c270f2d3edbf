"""`repertoire search`: prints the matches and why they fit, and the progress of a first indexing; used by commands.py."""

from __future__ import annotations

from typing import Any

from . import output
from .home_client import HomeClient


async def find(calls: HomeClient, args: dict[str, Any]) -> dict[str, Any]:
    """The answer. A terminal shows that it is awaited, and while texts are being indexed, how many are done."""
    with output.Waiting("searching") as waiting:

        async def show(event: dict[str, Any]) -> None:
            waiting.update("indexing workflows", event["done"], event["total"])

        answer: dict[str, Any] = await calls.call("search", args, show)
    return answer


def show(answer: dict[str, Any]) -> None:
    """Print a row for each match: its score, and the similarity and the words that it matched by. What probably does not fit goes to
    stderr, because a script must not take it for an answer."""
    rows = [{**match, "score": f"{match['score']:.2f}", "why": _why(match["why"])} for match in answer["matches"]]
    columns = {"score": "SCORE", "name": "NAME", "why": "WHY", "description": "DESCRIPTION"}
    output.table(columns, rows, answer.get("hint", "Nothing fits."))
    for one in answer.get("nearest", ()):
        output.err.print(f"probably not: {one['name']}  {one['description']}", markup=False)
    if answer.get("note"):
        output.say(answer["note"], "yellow")


def _why(why: dict[str, Any]) -> str:
    meaning = [] if why["meaning"] is None else [f"meaning {why['meaning']:.2f}"]
    words = [f"words {' '.join(why['words'])}"] if why["words"] else []
    return ", ".join(meaning + words) or "words"
