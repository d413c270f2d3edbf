"""`--mcp` and `--tools` of `repertoire serve` are settings of the daemon that it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from repertoire.cli.program import set_tools, settings_of
from repertoire.errors import BadArguments
from repertoire.front.options import FrontOptions


def test_the_front_hands_them_on(tmp_path: Path) -> None:
    servers, one, two = tmp_path / "servers.json", tmp_path / "one", tmp_path / "two"
    servers.write_text("{}")
    one.mkdir()
    two.mkdir()
    home = ["--home", str(tmp_path / "home")]
    options = FrontOptions([*home, "--mcp", str(servers), "--tools", str(one), f"--tools={two}"])
    assert options.environ == {"REPERTOIRE_MCP": str(servers), "REPERTOIRE_TOOLS": f"{one},{two}"}
    assert FrontOptions(home).environ == {}
    with pytest.raises(ValueError, match="there is no such file"):
        FrontOptions([*home, "--mcp", str(tmp_path / "none")])


def test_a_server_in_the_foreground_takes_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPERTOIRE_MCP", "")
    monkeypatch.setenv("REPERTOIRE_TOOLS", "")
    (tmp_path / "servers.json").write_text("{}")
    set_tools(str(tmp_path / "servers.json"), [str(tmp_path)])
    settings = settings_of(str(tmp_path / "home"), None)
    assert (settings.mcp, settings.tools) == (str(tmp_path / "servers.json"), (str(tmp_path),))
    with pytest.raises(BadArguments, match="There is no"):
        set_tools(None, [str(tmp_path / "none")])
