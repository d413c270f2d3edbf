"""The names that a workflow file imports, outside a run, and how states are put together."""

from __future__ import annotations

import math
from typing import Any

import pytest

from repertoire.authoring import ambient


def test_in_a_script_the_names_write_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    ambient.progress(1, 2, "half")
    ambient.log.warning("careful", n=1)
    ambient.log("plain")
    ambient.commit_state()
    assert capsys.readouterr().err == "progress 1/2 half\nwarning: careful n=1\ninfo: plain\n"


@pytest.mark.parametrize("bad", ["x", None, True, math.nan])
def test_progress_wants_numbers(bad: Any) -> None:
    with pytest.raises(TypeError, match="done must be a number"):
        ambient.progress(bad)


def test_stored_state_wins_over_defaults_at_every_depth() -> None:
    ambient.begin(None)
    ambient.session_state.update({"a": {"x": 0, "y": 0}, "b": 1})
    ambient.restore({"a": {"x": 5}, "c": 2})
    assert ambient.session_state == {"a": {"x": 5, "y": 0}, "b": 1, "c": 2}
    ambient.end()


def test_the_front_door_exports_what_it_lists() -> None:
    import repertoire

    assert all(getattr(repertoire, name) is not None for name in repertoire.__all__)
    assert repertoire.session_state is ambient.session_state
    with pytest.raises(AttributeError):
        _ = repertoire.nothing
