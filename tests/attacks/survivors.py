"""Attacks that try to outlive their run: threads, sessions, exit handlers, children; and traces for the next run in the same place."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import threading
import time
from typing import Any, Final

from .attack import BLOCKED, FAILED, Table, Targets
from .server import Server

SURVIVORS: Final = Table("survivors")
alone, outside = SURVIVORS.alone, SURVIVORS.outside


@alone("forks twice and leaves its session", BLOCKED)
def double_fork(t: Targets) -> object:
    if (pid := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(30)
        os._exit(0)
    os.waitpid(pid, 0)
    return "it lives on"


@alone("leaves threads behind that go on", ("completed .*",), raw=True)
def daemon_threads(t: Targets) -> object:
    def go_on() -> None:
        while True:
            time.sleep(0.01)

    for _ in range(4):
        threading.Thread(target=go_on, daemon=True).start()
    return "left"


@alone("leaves a thread behind that its process would wait for", ("completed .*",), raw=True)
def waiting_thread(t: Targets) -> object:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "left"


@alone("never returns from an exit handler", ("completed .*",), raw=True)
def exit_handler(t: Targets) -> object:
    atexit.register(time.sleep, 60)
    return "left"


@alone("never returns from a finalizer", ("completed .*", *FAILED), raw=True)
def finalizer(t: Targets) -> object:
    class Waits:
        def __del__(self) -> None:
            time.sleep(60)

    global left
    left = Waits()  # type: ignore[name-defined]
    return "left"


@alone("leaves a task behind in its loop", ("completed .*", *FAILED), raw=True, timeout_s=1)
async def task(t: Targets) -> object:
    async def go_on() -> None:
        while True:
            try:
                await asyncio.sleep(0.01)
            except BaseException:
                continue

    kept: Any = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    return f"left {kept.done()}"


@alone("answers, and then goes on with a signal handler", ("completed .*",), raw=True)
def timer(t: Targets) -> object:
    signal.signal(signal.SIGALRM, lambda *_: signal.setitimer(signal.ITIMER_REAL, 0.01))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    return "left"


_POISON: Final = """
import builtins, json, os, sys
json.loads = json.dumps = lambda *_, **__: "poisoned"
builtins.sum = lambda *_: "poisoned"
os.environ["POISON"] = "poisoned"
sys.modules["poisoned"] = sys
sys.path.insert(0, os.getcwd())
with open("poison.py", "w") as file:
    file.write("poisoned = 1")
with open("statistics.py", "w") as file:
    file.write("poisoned = 1")
os.getcwd()
"""
_TRACES: Final = """
import json, os, sys
found = []
if json.dumps([1]) != "[1]" or sum([1, 2]) != 3: found.append("functions")
if "POISON" in os.environ or "poisoned" in sys.modules: found.append("names")
if os.path.exists("poison.py") or any(os.path.exists(os.path.join(one, "poison.py")) for one in (folder, "..", "/tmp")): found.append("files")
import statistics
if hasattr(statistics, "poisoned"): found.append("module")
found or "nothing"
"""


@outside("poisons modules, files and variables for the next run of created code", ("completed 'nothing'",))
def poisoned_run(server: Server) -> str:
    folder = server.run(_POISON)["result"]
    return server.outcome(server.run(_TRACES, {"folder": folder}))


@outside("poisons what the operator's workflows run in", ("completed 7",))
def poisoned_worker(server: Server) -> str:
    server.run(_POISON)
    return server.outcome(server.tool("run_workflow", name="echo", arguments={"number": 7}))


@outside("poisons a run through the workflow that it calls", ("completed 'nothing'",))
def poisoned_child(server: Server) -> str:
    source = f'"""Poison."""\n\n\ndef run() -> str:\n    """Poison."""\n    exec({_POISON!r}, globals())\n    return "done"\n'
    server.tool("create_workflow", name="attack_poison", source=source, replace=True)
    called = "workflows.attack_poison()\nfolder = '.'\n"
    return server.outcome(server.run(called + _TRACES))


@outside("puts a file of its own where the next run's module is", ("completed .*", "failed .*"))
def planted_module(server: Server) -> str:
    server.run('import os\nfor n in range(100):\n    open(f"../{n}.py", "w").close()\n1')
    return server.outcome(server.run("1 + 1"))


@outside("runs the very text again that has ended its worker, until the server gives up on workers", ("completed 2",))
def dying_workers(server: Server) -> str:
    for _ in range(12):
        server.run("import os\nos._exit(3)")
    return server.outcome(server.run("1 + 1"))
