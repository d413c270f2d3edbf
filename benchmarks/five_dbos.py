"""The same five steps on DBOS. Copied, changed, and run by a Python that has it: `FILE FOLDER ROLE EXECUTOR [APPLICATION_VERSION]`.

`direct` starts the workflow and is its executor; `serve` only is; `submit` enqueues it for another process. Each says on stdout
what the workflow's status is whenever that has changed, as a line of JSON, until it is killed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

dbos: Any = importlib.import_module("dbos")
DBOS = dbos.DBOS
VERSION = "v1"
FOLDER = Path(sys.argv[1])
RUN = "run-1"


def effect(n: int) -> int:
    if n == 4:
        (FOLDER / "pid").write_text(str(os.getpid()))
        (FOLDER / "at four").touch()
        while not (FOLDER / "go").exists():
            time.sleep(0.01)
    with open(FOLDER / "effects", "a") as file:
        file.write(f"{VERSION} {n}\n")
    return n


effect = DBOS.step()(effect)


def five() -> list[str]:  # VERSION is v1
    return [f"{VERSION} {effect(n)}" for n in range(1, 6)]


five = DBOS.workflow(name="five")(five)
# ANOTHER


def main() -> None:
    url = f"sqlite:///{FOLDER}/system.sqlite"
    role, executor = sys.argv[2:4]
    if role == "submit":
        client = dbos.DBOSClient(system_database_url=url)
        client.register_queue("work")
        client.enqueue({"workflow_name": "five", "queue_name": "work", "workflow_id": RUN})
        tell(client.retrieve_workflow(RUN))
    config = {"name": "five", "system_database_url": url, "executor_id": executor, "log_level": "CRITICAL"}
    if len(sys.argv) > 4:
        config["application_version"] = sys.argv[4]
    DBOS(config={**config, "run_admin_server": False})
    DBOS.launch()
    DBOS.register_queue("work", on_conflict="never_update")
    (FOLDER / "up").touch()
    if role == "direct":
        with dbos.SetWorkflowID(RUN):
            DBOS.start_workflow(five)
    if role == "serve":
        while RUN not in (run.workflow_id for run in DBOS.list_workflows()):
            time.sleep(0.02)
    tell(DBOS.retrieve_workflow(RUN))


def tell(handle: Any) -> None:
    told = None
    while True:
        status = handle.get_status()
        if status.status != told:
            told = status.status
            sys.stdout.write(json.dumps({"status": told, "error": str(status.error) if status.error else None}) + "\n")
            sys.stdout.flush()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
