"""Publishing as clients see it: the tools over every transport, the Python client, the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.mcp_calls import call
from support.shells import Shell, shell
from support.transports import Way

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ENVIRON = {"REPERTOIRE_SEARCH_MODEL": "off"}
DOUBLE = '''def run(n: int) -> int:
    """Double a number.

    Args:
        n: The number.
    """
    return n * 2
'''

__all__ = ["shell"]


async def test_an_agent_is_told_what_to_correct_and_corrects_it(way: Way) -> None:
    name = "double"
    examples = [{"arguments": {"n": 2}, "expect": 4}, {"arguments": {"n": 3}, "expect": 6}]
    async with way.client() as client:
        wrong = {"name": name, "source": DOUBLE.replace("* 2", "** 2"), "examples": examples, "tags": ["numbers"]}
        refused = await call(client, "create_workflow", wrong)
        assert refused["is_error"] and refused["error"]["code"] == "examples_failed" and refused["status"] == "draft"
        assert 'Example 2, arguments {"n": 3}: result: expected 6, got 9.' in refused["error"]["message"]
        unknown = await client.call_tool("run_workflow", {"name": name, "arguments": {"n": 1}})
        assert unknown.is_error
        right = await call(client, "create_workflow", {**wrong, "source": DOUBLE})
        assert not right["is_error"] and right["examples"] == {"passed": 2, "failed": 0}
        assert (await call(client, name, {"n": 4}))["result"] == 8
        shown = await call(client, "get_workflow", {"name": name, "diff": refused["version"]})
        assert "+    return n * 2" in shown["diff"]
        assert [line["action"] for line in shown["history"]] == ["published", "draft"]
        assert shown["history"][0]["client"], "which client has done it"
        still = await call(client, "publish_workflow", {"name": name, "version": refused["version"]})
        assert still["is_error"] and still["error"]["code"] == "examples_failed"
        again = await call(client, "publish_workflow", {"name": name, "version": right["version"]})
        assert again["status"] == "published"
        bad = await call(client, "create_workflow", {"name": name, "source": DOUBLE, "examples": ["x"]})
        assert bad["is_error"] and "objects in its list" in bad["error"]["message"]


def test_the_page_s_script_does_what_it_says(tmp_path: Path) -> None:
    *_, source = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "publishing.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "script.py").write_text(source)
    environ = {**os.environ, "REPERTOIRE_HOME": str(tmp_path / "home"), **ENVIRON}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith('1 of 1 examples do not hold: Example 1, arguments {"n": 2}: result: expected 4, got 6.')
    assert "-    return n * 2" in lines and "+    return n * 3" in lines and lines[-1] == "{'passed': 1, 'failed': 0}"


def test_publishing_from_the_command_line(shell: Shell, tmp_path: Path) -> None:
    shell.environ.update(ENVIRON, REPERTOIRE_PUBLISH_REQUIRES="approval", REPERTOIRE_MAX_LISTED_TOOLS="12")
    (tmp_path / "double.py").write_text(DOUBLE)
    (tmp_path / "good.json").write_text(json.dumps([{"arguments": {"n": 2}, "expect": 4}]))
    (tmp_path / "bad.json").write_text(json.dumps([{"arguments": {"n": 2}, "expect": 5}]))
    (tmp_path / "none.json").write_text("{")
    refused = shell("create", "double", str(tmp_path / "double.py"), "--examples", f"@{tmp_path}/bad.json")
    assert refused.returncode == 1 and "expected 5, got 4" in refused.stderr
    assert not (shell.home / "workflows" / "double.py").exists()
    refused = shell("create", "double", str(tmp_path / "double.py"), "--examples", f"@{tmp_path}/none.json")
    assert refused.returncode == 2 and "--examples is not JSON" in refused.stderr
    shell.ok("create", "double", str(tmp_path / "double.py"), "--examples", f"@{tmp_path}/good.json")
    (tmp_path / "triple.py").write_text(DOUBLE.replace("* 2", "* 3"))
    refused = shell("create", "double", str(tmp_path / "triple.py"), "--replace")
    assert refused.returncode == 1 and "expected 4, got 6" in refused.stderr, (
        "its examples hold for what takes its place"
    )
    (shell.home / "workflows" / "mine.py").write_text("def run(")
    refused = shell("create", "mine", str(tmp_path / "double.py"))
    assert refused.returncode == 1 and (shell.home / "workflows" / "mine.py").read_text() == "def run("
    assert "pinned" in shell.ok("pin", "double") and "already" in shell.ok("pin", "double")
    assert "no longer" in shell.ok("unpin", "double") and "was not" in shell.ok("unpin", "double")

    script = f"""
from repertoire_client import RepertoireCallError, SyncRepertoireClient
with SyncRepertoireClient.stdio({str(shell.home)!r}) as repertoire:
    try:
        repertoire.workflows.create("triple", {DOUBLE.replace("* 2", "* 3")!r}, examples=[{{"arguments": {{"n": 2}}, "expect": 6}}])
    except RepertoireCallError as error:
        print(error.code, error.details["version"])
"""
    said = subprocess.run([sys.executable, "-c", script], env=shell.environ, capture_output=True, text=True, timeout=60)
    code, version = said.stdout.split()
    assert code == "approval_required"
    assert version in shell.ok("list", "--drafts")
    assert "triple" in shell.ok("list", "--drafts", "--since", "1h") and "double" in shell.ok("list", "--since", "1h")
    assert shell.json("list", "--by", "nobody")["workflows"] == [] == shell.json("list", "--tag", "none")["workflows"]
    assert shell.json("list", "--deleted")["workflows"] == [] and shell("list", "--drafts", "--deleted").returncode != 0
    assert "examples: 1, not run yet" in shell.ok("show", "triple", "--version", version)
    assert shell("run", "triple", "--payload", '{"n": 1}').returncode == 1
    assert "is published" in shell.ok("approve", "triple", version, "--yes")
    assert shell.ok("run", "triple", "--payload", '{"n": 1}') == "3\n"
    shown = shell.ok("show", "triple", "--history")
    assert "published" in shown and "draft" in shown and "repertoire command line" in shown
    assert "examples: 1 hold, 0 do not" in shell.ok("show", "triple")
    assert shell.json("show", "triple", "--version", version[:6])["status"] == "published"
    shell.ok("delete", "triple")
    assert "is published" in shell.ok("publish", "triple", version)
    shell.ok("stop")
