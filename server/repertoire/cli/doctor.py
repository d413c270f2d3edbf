"""`repertoire doctor`: checks the installation, the home and the workflow files, and says what to do. It changes nothing."""

from __future__ import annotations

import os
import sqlite3
import sys
from importlib.util import find_spec
from typing import Any

from .. import home as homes
from ..encoder.models import MULTILINGUAL, Candidate, NoModel, candidates, is_minilm, languages, problem
from ..errors import RepertoireError
from ..providers.keys import access_in, default_model, missing_key
from ..providers.model_ids import CLIENT, PROVIDERS
from ..providers.requests import INSTALL
from ..registry.review import ruff_path
from ..settings import Settings
from .control_client import ControlError
from .doctor_sandbox import sandbox_rows
from .home_client import HomeClient, carry_out

Check = dict[str, Any]


def examine(settings: Settings) -> list[Check]:
    """All checks, those of workflow files last. Never raises."""
    checks = [_python(), _sqlite(), _home(settings), _encoder(settings), _ruff(), *_models(settings)]
    return checks + _of_open_home(settings)


def _row(check: str, ok: bool, message: str, hint: str | None = None) -> Check:
    return {"check": check, "ok": ok, "message": message, "hint": hint}


def _python() -> Check:
    ok = sys.version_info >= (3, 11)
    return _row(
        "python", ok, f"{sys.version.split()[0]} at {sys.executable}", None if ok else "Python 3.11 or newer is needed."
    )


def _sqlite() -> Check:
    try:
        sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5 (x)")
    except sqlite3.OperationalError:
        return _row(
            "sqlite",
            False,
            f"SQLite {sqlite3.sqlite_version} has no FTS5.",
            "Search needs a Python whose SQLite has it.",
        )
    return _row("sqlite", True, f"SQLite {sqlite3.sqlite_version} with FTS5")


def _home(settings: Settings) -> Check:
    try:
        home = homes.make_home(settings.home)
    except OSError as error:
        return _row("home", False, f"{settings.home} cannot be made: {error.strerror}", "Choose another with --home.")
    if not os.access(home, os.W_OK):
        return _row("home", False, f"{home} cannot be written.", "Choose another with --home.")
    others = os.stat(home).st_mode & 0o077
    if others:
        return _row("home", False, f"{home} is open to other users.", f"chmod 700 {home}")
    return _row("home", True, home)


def _encoder(settings: Settings) -> Check:
    """The model that search would use. It looks at files only: importing the encoder takes seconds."""
    try:
        tried = candidates(settings.search_model, download=settings.model_download, adapter=settings.search_adapter)
    except NoModel as none:
        return _row("search", True, f"by words only: {none}", none.hint)
    refused: list[str] = []
    for one in tried:
        reason = None if one.kind == "hub" else problem(one)
        if reason is None:
            return _row("search", True, f"by meaning: {_told(one)}", " ".join(refused) or None)
        refused.append(f"The model at {one.where} ({one.kind}) is not used: {reason}.")
    return _row("search", False, f"by words only: {' '.join(refused)}", "Name a model's folder in search_model.")


def _told(model: Candidate) -> str:
    """The model, whether it has our adapter, and its languages where we know them."""
    adapter = ", with the adapter" if model.adapter and is_minilm(model) else ""
    known = " and ".join(languages(model))
    others = (
        f". It knows {known} only; for other languages set search_model, such as to {MULTILINGUAL}" if known else ""
    )
    return f"{model.where} ({model.kind}{adapter}){others}"


def _ruff() -> Check:
    """Ruff is optional: without it a source has fewer remarks."""
    found = ruff_path()
    if found is None:
        return _row("ruff", True, "not found: sources get no remarks of ruff's", "Beside Repertoire: pip install ruff")
    return _row("ruff", True, found)


def _models(settings: Settings) -> list[Check]:
    """The providers that have a key in this command's own environment, and the model of agents that name none. No key is shown."""
    if find_spec("pydantic_ai") is None:
        return [
            _row("models", True, "no agent can ask a model: pydantic-ai is not installed", f"For agents: {INSTALL}")
        ]
    found = {name: access for name in PROVIDERS if (access := access_in(name, os.environ)) is not None}
    rows = [
        _row("provider", True, f"{name}: {f'key in {access.variable}' if access.key else 'no key'}, {access.base_url}")
        for name, access in found.items()
    ]
    default = default_model((os.environ,), settings.default_model)
    if default.provider == CLIENT:
        why = "" if settings.default_model else "no provider has a key here: "
        return [*rows, _row("models", True, f"{why}agents that name no model ask the model of the client")]
    ok = default.provider in found
    hint = None if ok else missing_key(default.provider)
    return [*rows, _row("models", ok, f"agents that name no model ask {default}", hint)]


def _of_open_home(settings: Settings) -> list[Check]:
    """What only the owner of the home can say: the sandbox in which it runs code, and the workflow files."""

    async def ask(calls: HomeClient) -> tuple[list[Check], dict[str, Any]]:
        listing = await calls.call("list", {"limit": 1})
        return await _sandbox(calls, settings), listing

    try:
        sandbox, listing = carry_out(settings, ask)
    except (RepertoireError, ControlError) as error:
        return [_row("store", False, error.message, error.hint)]
    except OSError as error:
        return [_row("store", False, str(error))]
    rows = [*sandbox, _row("workflows", True, "read")]
    return rows + [_file(file["file"], finding) for file in listing["broken"] for finding in file["findings"]]


async def _sandbox(calls: HomeClient, settings: Settings) -> list[Check]:
    try:
        answer = await calls.call("isolation", {})
    except (RepertoireError, ControlError) as error:  # an older daemon
        return [_row("sandbox", False, error.message, error.hint)]
    return [_row(*row) for row in sandbox_rows(answer, str(settings.authoring))]


def _file(path: str, finding: dict[str, Any]) -> Check:
    path = finding.get("file") or path
    place = f"{path}:{finding['line']}" if finding.get("line") else path
    return _row("workflow file", finding["severity"] != "error", f"{place}: {finding['message']}", finding.get("hint"))
