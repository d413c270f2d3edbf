"""Effects outside of steps: the finding is given where a run that is begun again repeats them, and nowhere else."""

from __future__ import annotations

import ast

import pytest

from repertoire.registry.review import review

LOOP = """import os, shutil, subprocess, requests, httpx, smtplib, sqlite3, urllib.request
from pathlib import Path
from repertoire import step, sleep, ask, workflows


def run(path: str) -> int:
    for n in range(3):
        {effect}
        sleep(1)
    return 1
"""

EFFECTS = [
    "open(path, 'a').write('x')", "open(path, mode='w')", "Path(path).open('a')", "Path(path).write_text('x')", "os.remove(path)",
    "os.system('date')", "shutil.rmtree(path)", "subprocess.run(['date'], check=True)", "requests.post('http://a', json={})",
    "httpx.put(path)", "urllib.request.urlopen(path, b'x')", "smtplib.SMTP('a').sendmail('a', 'b', 'c')",
    "sqlite3.connect(path).execute('INSERT INTO a VALUES (1)')", "client.post('http://a', json={})", "Path(path).unlink()",
]  # fmt: skip


def found(source: str) -> list[int]:
    return [one.line or 0 for one in review(ast.parse(source), source) if one.rule == "effect_outside_step"]


@pytest.mark.parametrize("effect", EFFECTS)
def test_g4_an_effect_outside_of_a_step_is_told(effect: str) -> None:
    assert found(LOOP.replace("{effect}", effect)) == [8]


@pytest.mark.parametrize(
    "effect",
    [
        "open(path).read()", "open(path, 'rb')", "Path(path).open()", "os.path.exists(path)", "requests.get('http://a')", "queue.put(path)",
        "urllib.request.urlopen(path)", "sqlite3.connect(path).execute('SELECT 1')", "print(path)", "log('a')", "step(os.remove, path)",
        "step(lambda: open(path, 'a').write('x'))", "path.replace('a', 'b')", "names.remove(path)", "frame.to_csv()",
    ],
)  # fmt: skip
def test_g4_no_effect_is_told_of_a_call_that_has_none(effect: str) -> None:
    assert found(LOOP.replace("{effect}", effect)) == []


IN_STEPS = """from repertoire import step, sleep
import os


@step
def save(path):
    open(path, "a").write("x")


def keep(path):
    inner(path)


def inner(path):
    os.remove(path)


def nobody_calls_it(path):
    os.remove(path)


def run(path: str) -> None:
    save(path)
    step(keep, path)
    sleep(1)
"""

ONCE = """import os
from time import sleep
from repertoire import step, workflows


def run(path: str) -> None:
    os.remove(path)
    sleep(1)
    {durable}
"""

HELPER = """import os
from repertoire import ask


def clean(path):
    os.remove(path)


async def run(path: str) -> bool:
    clean(path)
    return await ask("Is it gone?", bool)
"""


def test_g4_effects_in_steps_and_in_functions_of_steps_are_left_alone() -> None:
    assert found(IN_STEPS) == []


@pytest.mark.parametrize(
    ("durable", "lines"),
    [
        ("pass", []), ("step(print)", []), ("step(print); step(print)", [7]), ("[step(print) for n in range(2)]", [7]),
        ("workflows.a(); workflows.invoke('b')", [7]), ("workflows.search('a'); workflows.list()", []),
    ],
)  # fmt: skip
def test_g4_a_body_that_is_soon_over_is_left_alone(durable: str, lines: list[int]) -> None:
    assert found(ONCE.format(durable=durable)) == lines


def test_g4_a_function_that_the_body_calls_itself_is_part_of_it() -> None:
    assert found(HELPER) == [6]
    assert found(HELPER.replace("import os", "import os, tempfile")) == []


def test_g4_a_class_is_read_too() -> None:
    source = (
        "from repertoire import Workflow, sleep\nimport os\nclass Tidy(Workflow):\n    def run(self, path: str):\n"
        "        self.clean(path)\n        sleep(5)\n    def clean(self, path):\n        os.remove(path)\n"
    )
    assert found(source) == [8]
