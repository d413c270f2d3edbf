"""`repertoire exec`: a file that is run once, as a person does it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.pages import blocks
from support.shells import Shell, shell

PAGE = (Path(__file__).parents[2] / "docs" / "run-code.md").read_text()

__all__ = ["shell"]


def test_the_page_s_commands_show_what_happens(shell: Shell) -> None:
    (shell.home / "squares.py").write_text(blocks(PAGE, "py")[1])
    (command, *shown) = blocks(PAGE, "console")[0].splitlines()
    assert shell.ok(*command.split()[2:]).splitlines() == shown


def test_a_file_calls_workflows_and_is_no_workflow(shell: Shell) -> None:
    (shell.home / "twice.py").write_text(
        "found = [workflows.echo_it(number=n) for n in numbers]\nprint(label)\nfound\n"
    )
    done = shell.json("exec", "twice.py", "numbers=[1, 2]", "label=many words")
    assert (done["status"], done["result"]) == ("completed", [1, 2])
    assert not re.search(r"^(twice|run_code)\b", shell.ok("list"), re.M)
    assert [one["workflow"] for one in shell.json("runs")] == ["echo_it", "echo_it", "run_code"]
    shown = shell.ok("show", "last")
    assert "many words" in shown and "echo_it" in shown
    (shell.home / "better.py").write_text("found = [workflows.echo_it(number=n) for n in numbers]\nsum(found)\n")
    again = shell("rerun", "last", "--source", "better.py")
    assert (again.returncode, again.stdout) == (0, "3\n"), again.stderr


def test_standard_input_and_what_goes_wrong(shell: Shell) -> None:
    assert shell.ok("exec", "-", "--n", "3", input="n + 1") == "4\n"
    undefined = shell("exec", "-", input="x = 1\n\njson.dumps(x)\n")
    assert undefined.returncode == 1 and "Line 3" in undefined.stderr and "import json" in undefined.stderr
    failed = shell("exec", "-", input="1 / 0")
    assert failed.returncode == 1 and "ZeroDivisionError" in failed.stderr and "return 1 / 0" in failed.stderr
    missing = shell("exec", "nothing.py")
    assert missing.returncode == 2 and "Cannot read nothing.py" in missing.stderr


def test_exec_is_the_operator_s_own(shell: Shell) -> None:
    shell.environ["REPERTOIRE_AUTHORING"] = "off"
    assert shell.ok("exec", "-", input="1") == "1\n"


def test_a_reference_is_an_argument_of_any_type(shell: Shell) -> None:
    (shell.home / "workflows" / "join.py").write_text(
        'def run(words: list[str], end: str) -> str:\n    """Join."""\n    return " ".join(words) + end\n'
    )
    made = json.loads(shell.ok("exec", "-", "--json", input='{"words": ["a", "b"], "end": "!"}'))["run_id"]
    given = [f'{name}={{"$ref": "run:///{made}#/result/{name}"}}' for name in ("words", "end")]
    assert shell.ok("run", "join", *given) == '"a b!"\n'
    wrong = shell("run", "join", given[0], given[1].replace("/end", "/start"))
    assert wrong.returncode == 2 and "there is no 'start'" in wrong.stderr
