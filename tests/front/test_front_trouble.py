"""A front whose daemon does not start, or not this one: killed while it starts, no disk for a while, a newer version."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from repertoire import home as homes
from repertoire.front.installed_version import Program, newer_program, record_program
from support import fronts
from support.daemons import PATIENCE_S, Home, until
from support.fronts import Start

home, host = fronts.home, fronts.host


# Killed while it starts.


def _kills(tmp_path: Path, count: int) -> str:
    (tmp_path / "kills").write_bytes(b"x" * count)
    return str(tmp_path / "kills")


@pytest.mark.parametrize("count", [1, 2])
def test_r11_a_daemon_that_is_killed_while_it_starts_is_started_again(
    home: Home, host: Start, tmp_path: Path, count: int
) -> None:
    it = host(FAKE_KILLS=_kills(tmp_path, count))
    assert it.begin() == home.pid()
    log = Path(homes.log_path(home.path)).read_text()
    assert log.count("the daemon was killed by signal 9 while it started; it is started again") == count


def test_r11_one_that_is_killed_every_time_is_given_up_with_the_reason(host: Start, tmp_path: Path) -> None:
    it = host(FAKE_KILLS=_kills(tmp_path, 100))
    it.ask("initialize")
    error = it.receive()["error"]
    assert error["code"] == -31001 and "status -9" in error["message"]
    assert it.process.wait(PATIENCE_S) == 1
    assert (tmp_path / "kills").stat().st_size == 97, "three were tried"


# No daemon for a while.


def test_r20_a_front_that_had_a_daemon_stays_without_one_and_tells_every_call_why(
    home: Home, host: Start, tmp_path: Path
) -> None:
    trouble = tmp_path / "trouble"
    it = host(FAKE_TROUBLE=str(trouble))
    first = it.begin()
    trouble.touch()
    home.kill()
    for tool in ("slow", "get_run"):
        refused = it.answer("tools/call", name=tool, arguments={})
        assert refused["error"]["code"] == -31001 and "the test said: for now" in refused["error"]["message"]
        assert homes.log_path(home.path) in refused["error"]["message"]
    assert it.process.poll() is None
    trouble.unlink()
    until(lambda: "result" in it.answer("tools/list"))
    assert home.pid() not in (None, first)
    assert [line["method"] for line in home.heard(pid=home.pid()) if "method" in line][:1] == ["initialize"]


def test_r20_what_listens_goes_on_to_wait_and_is_told_to_the_next_daemon_without_a_call(
    home: Home, host: Start, tmp_path: Path
) -> None:
    trouble = tmp_path / "trouble"
    it = host(FAKE_TROUBLE=str(trouble))
    it.begin()
    listening = it.ask("subscriptions/listen")
    first = until(lambda: home.heard(id=listening))[0]["pid"]
    trouble.touch()
    home.kill()
    assert "error" in it.answer("tools/list"), "the daemon was tried and failed"
    trouble.unlink()
    again = until(lambda: [line for line in home.heard(id=listening) if line["pid"] != first])
    assert again[0]["method"] == "subscriptions/listen"
    assert "result" in it.answer("tools/list")


def test_r20_a_front_without_a_daemon_ends_with_its_host(home: Home, host: Start, tmp_path: Path) -> None:
    it = host(FAKE_TROUBLE=str(tmp_path / "trouble"))
    it.begin()
    (tmp_path / "trouble").touch()
    home.kill()
    assert "error" in it.answer("tools/list")
    assert it.end() == 0


def test_a_home_that_was_deleted_under_a_front_is_made_again(home: Home, host: Start) -> None:
    it = host()
    it.begin()
    home.kill()
    shutil.rmtree(home.path)
    assert it.answer("tools/list")["result"]["pid"] == home.pid()


# A newer version.


def test_r7_an_old_fronts_next_call_starts_the_newer_version_although_its_front_has_gone(
    home: Home, host: Start
) -> None:
    older = host()
    old = older.begin()
    newer = host(FAKE_VERSION="0.2.0")
    assert newer.begin() != old
    newer.end()
    home.kill()
    assert older.answer("tools/list")["result"]["pid"] == home.pid()
    started = home.heard(started=True)
    assert [line["version"] for line in started] == ["0.1.0", "0.2.0", "0.2.0"]
    assert host().begin() == home.pid(), "an old host that begins later finds it too"
    home.kill()
    assert host().begin() == home.pid()
    assert home.heard(started=True)[-1]["version"] == "0.2.0"


def test_r7_a_newer_version_whose_front_was_only_a_probe_is_started_by_the_old_front(home: Home, host: Start) -> None:
    """The old daemon hands over to it when its last run has ended, and then nobody of the newer version is there."""
    older = host()
    older.begin()
    call = older.ask("tools/call", name="slow", arguments={"sleep_s": 1})
    until(lambda: home.heard(noted=call))
    probe = host(FAKE_VERSION="0.2.0")
    probe.begin()
    probe.end()
    assert older.receive()["id"] == call
    until(lambda: home.heard(ended="handed over"))
    assert older.answer("tools/list")["result"]["pid"] == home.pid()
    assert home.heard(started=True)[-1]["version"] == "0.2.0"


@pytest.mark.parametrize("gone", ["program", "module"])
def test_r7_a_newer_version_that_is_no_longer_installed_is_not_started(
    home: Home, host: Start, tmp_path: Path, gone: str
) -> None:
    os.makedirs(home.path)
    command = [str(tmp_path / "nowhere")] if gone == "program" else [sys.executable, "-m", "no_such_module"]
    newest = {"version": "0.2.0", "program": command, "pythonpath": ""}
    Path(homes.newest_path(home.path)).write_text(json.dumps(newest))
    assert host().begin() == home.pid()
    assert home.heard(started=True)[-1]["version"] == "0.1.0"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": "9", "program": [], "pythonpath": ""}', "\xff"]
)
def test_a_damaged_record_of_the_newest_version_is_none(tmp_path: Path, text: str) -> None:
    Path(homes.newest_path(str(tmp_path))).write_text(text, encoding="latin-1")
    assert newer_program(str(tmp_path), "0.1.0") is None
    record_program(str(tmp_path), ours := Program("0.3.0", [sys.executable], "here:"))
    found = newer_program(str(tmp_path), "0.1.0")
    assert found is not None and found.as_json() == ours.as_json()
    assert found.environment()["PYTHONPATH"] == os.path.abspath("here")
    record_program(str(tmp_path), Program("0.2.9", [sys.executable], ""))
    assert newer_program(str(tmp_path), "0.2.9") is not None and newer_program(str(tmp_path), "0.3.0") is None
