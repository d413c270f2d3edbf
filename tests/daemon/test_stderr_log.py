"""Log lines on stderr: nobody has to read them, and the last ones are not lost."""

from __future__ import annotations

import subprocess
import sys

_LOGS = """
import logging
from repertoire.daemon.stderr_log import log_to_stderr

log_to_stderr(logging.INFO, "%(levelname)s %(message)s")
for number in range({count}):
    logging.info("line %d %s", number, "x" * 100)
print("done", flush=True)
"""


def test_a_server_goes_on_when_nobody_reads_its_stderr() -> None:
    script = _LOGS.format(count=20_000)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "done\n"
        assert process.wait(30) == 0
        assert process.stderr.readline().startswith("INFO line 0 x")


def test_the_last_lines_are_written() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOGS.format(count=50)], capture_output=True, text=True, timeout=30, check=True
    )
    assert len(done.stderr.splitlines()) == 50
