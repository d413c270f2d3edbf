"""`repertoire packages`, and needs in `repertoire show`."""

from __future__ import annotations

from support.shells import Shell, shell

__all__ = ["shell"]


def test_packages_shows_what_created_code_may_import(shell: Shell) -> None:
    shell.environ["REPERTOIRE_PACKAGES"] = "pytest,-yaml"
    answer = shell.json("packages")
    rows = {row["name"]: row for row in answer["packages"]}
    assert rows["pytest"]["from"] == "setting" and rows["pydantic"]["version"] and answer["removed"] == ["yaml"]
    told = shell("packages")
    assert "pydantic_core" in told.stdout and "PACKAGE" in told.stdout.splitlines()[0]
    assert "starts no processes): asyncio.subprocess" in told.stderr and "taken from the list" in told.stderr


def test_show_names_the_needs_of_a_workflow(shell: Shell) -> None:
    (shell.home / "workflows" / "needy.py").write_text(
        'import numpy\n\ndef run() -> object:\n    """Ask."""\n    return ask(tools.fetch(url="https://a.example/x"))\n'
    )
    shown = shell.ok("show", "needy")
    assert "needs: packages: numpy; hosts: a.example; asks a person" in shown and "calls: tools.fetch" in shown
