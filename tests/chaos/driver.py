"""Driver: a home, its clients at work under faults for some seconds, then peace until all is over. One round of the campaign."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from .clients import PATIENCE_S, Client, CommandLine, Front, Http, clean_environ
from .faults import Faults, Traces
from .ledger import Ledger, Request, now
from .plans import answer_to, draw
from .processes import start
from .workflows import CREATED, FILES, TINY

_SETTINGS: Final = """\
workers = {workers}
ready_workflows = false
packages = ["fcntl"]
search_model = "off"
inline_deadline_s = 2
run_timeout_s = 3600
inspect_timeout_s = 120
max_deaths = 10000
max_server_deaths = 10000
idle_exit_s = 60
"""
"""Limits that end a run on purpose are far away: what ends a run here is a mistake. `workers` is random: with one, every wait counts."""
_MOST_REQUESTS: Final = 60
"""Of one round: its end has to be waited for."""
_KEY_S: Final = 1.5
"""For so long all clients use the same key."""
_STUCK_S: Final = 240.0
"""Without any progress in the record for so long, without faults, a run never ends."""


class Round:
    """One home from its making to its end. `chance` is the round's own."""

    def __init__(
        self, folder: Path, home: Path, chance: random.Random, kinds: dict[str, float], without: frozenset[str]
    ) -> None:
        self.folder, self.home, self._chance, self._without = folder, home, chance, without
        (folder / "tmp").mkdir()
        self.environ = clean_environ(folder / "tmp")
        self.traces = Traces(folder / "work")
        self._seen_recorded: set[tuple[str, str]] = set()
        self._key_seed = chance.getrandbits(64)
        self.fronts: list[Front] = []
        self.faults = Faults(home, self.traces, _child_of(chance), kinds, self.fronts)
        self.ledger = Ledger(self.faults)
        self._stopping = threading.Event()
        self._requests = 0
        self._number = threading.Lock()
        self._http: subprocess.Popen[bytes] | None = None
        self._address: str | None = None

    # The whole of it.

    def run(self, seconds: float) -> None:
        self._prepare()
        threads = [threading.Thread(target=self._guarded(work)) for work in self._workers()]
        for thread in threads:
            thread.start()
        try:
            self._trouble(seconds)
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()
        self._settle()

    def close(self) -> None:
        """End the daemon as a user does, after the fronts."""
        for front in self.fronts:
            front.close()
        command = [sys.executable, "-P", "-m", "repertoire", "stop", "--home", str(self.home)]
        stop = start(command, stderr=subprocess.PIPE, env=self.environ)
        said, complaint = stop.communicate(timeout=PATIENCE_S)
        if stop.returncode != 0:
            self.ledger.complain(f"`stop` ended with {stop.returncode}: {said!r} {complaint[-500:]!r}")
        if self._http is not None:
            self._http.wait(PATIENCE_S)

    # The home, and who works at it.

    def _prepare(self) -> None:
        (self.home / "workflows").mkdir(parents=True)
        self.home.chmod(0o700)
        (self.home / "repertoire.toml").write_text(_SETTINGS.format(workers=self._chance.choice([1, 2, 4, 4, 8])))
        for name, source in FILES.items():
            (self.home / "workflows" / f"{name}.py").write_text(source)
        if self._chance.random() < 0.6:
            self._serve_http()
        front = self._front("one")
        for name, source in CREATED.items():
            reply = front.call("create_workflow", name=name, source=source)
            if reply.is_error or reply.payload is None or reply.payload.get("name") != name:
                raise RuntimeError(f"{name} could not be created: {reply}")
            command = [sys.executable, "-P", "-m", "repertoire", "approve", name, "--yes", "--home", str(self.home)]
            done = subprocess.run(command, capture_output=True, text=True, env=self.environ, timeout=PATIENCE_S)
            if done.returncode != 0:
                raise RuntimeError(f"{name} could not be approved: {done.stderr}")

    def _front(self, name: str) -> Front:
        front = Front(self.home, name, self.environ)
        self.fronts.append(front)
        return front

    def _serve_http(self) -> None:
        """The home's owner with an HTTP door. When it is killed, fronts start an ordinary daemon, and HTTP is over."""
        command = [sys.executable, "-P", "-m", "repertoire", "serve", "--http", "127.0.0.1:0", "--home", str(self.home)]
        with open(self.folder / "http.log", "wb") as log:
            self._http = start(command, stderr=log, env=self.environ)
        give_up = now() + PATIENCE_S
        while not (found := re.search(r"http://(127\.0\.0\.1:\d+)", (self.folder / "http.log").read_text())):
            if now() > give_up or self._http.poll() is not None:
                raise RuntimeError(f"the HTTP server did not start: {(self.folder / 'http.log').read_text()}")
            time.sleep(0.05)
        self._address = found[1]

    def _workers(self) -> list[Callable[[], None]]:
        works: list[Callable[[], None]] = []
        for name in ("one", "one", "two", "two", "three"):
            seat = _Seat(self, name)
            works.append(self._at_work(seat.client, _child_of(self._chance), 0.4))
        line = CommandLine(self.home, self.environ)
        works.append(self._at_work(lambda: line, _child_of(self._chance), 3.0))
        if self._address is not None:
            http = Http(self._address)
            works.append(self._at_work(lambda: http, _child_of(self._chance), 0.6))
        works.append(self._answering(_Seat(self, "answers").client, _child_of(self._chance)))
        return works

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                self.ledger.complain(f"the driver itself: {error!r}")
                raise

        return guarded

    # What clients do.

    def _at_work(self, client: Callable[[], Client], chance: random.Random, pause_s: float) -> Callable[[], None]:
        def work() -> None:
            while not self._stopping.wait(chance.random() * 2 * pause_s):
                self._act(client(), chance)

        return work

    def _act(self, client: Client, chance: random.Random) -> None:
        acts: dict[Callable[[Client, random.Random], None], float] = {
            self._call: 5, self._call_with_key: 3, self._get: 3, self._cancel: 0.5, self._read: 1, self._publish: 1
        }  # fmt: skip
        if isinstance(client, CommandLine):
            acts = {self._call: 2, self._get: 1, self._read: 0.5}
        chance.choices(list(acts), list(acts.values()))[0](client, chance)

    def _call(self, client: Client, chance: random.Random) -> None:
        if (number := self._next()) is None:
            return
        self.order(
            client, self.ledger.request(draw(chance, f"r{number}", self._without)), by_name=chance.random() < 0.5
        )

    def _call_with_key(self, client: Client, chance: random.Random) -> None:
        """What is meant by the key of this moment: the same for all clients, so several use it at once, and again after kills."""
        if "key" in self._without:
            return
        moment = int(now() / _KEY_S) + 1
        if chance.random() < 0.8:
            self._stopping.wait(moment * _KEY_S - now())  # all begin in the same instant
        else:
            moment -= chance.randint(1, 5)
        name = f"k{moment % 100_000}"
        if name not in self.ledger.requests and self._next() is None:
            return
        plan = draw(random.Random(f"{self._key_seed} {name}"), name, self._without)
        self.order(client, self.ledger.request(plan, key=name))

    def order(self, client: Client, request: Request, *, by_name: bool = False) -> None:
        plan, began = request.plan, now()
        arguments = {"folder": str(self.traces.folder), "plan": plan}
        if by_name and not isinstance(client, CommandLine) and request.key is None:
            reply = client.call(plan["workflow"], **arguments)
        else:
            options = {} if request.key is None else {"idempotency_key": request.key}
            reply = client.call("run_workflow", name=plan["workflow"], arguments=arguments, **options)
        if isinstance(client, CommandLine) and reply.lost:
            request.is_cancelled = True  # what a broken command has begun is cancelled with it
        self.ledger.heard(client.name, f"calls {plan['name']}", began, reply, request)

    def _get(self, client: Client, chance: random.Random) -> None:
        if known := self.ledger.known():
            run_id, _ = chance.choice(known)
            began = now()
            wait = {} if isinstance(client, CommandLine) else {"wait_s": round(chance.random() * 2, 2)}
            reply = client.call("get_run", run_id=run_id, **wait)
            self.ledger.heard(client.name, f"gets {run_id}", began, reply, None)

    def _cancel(self, client: Client, chance: random.Random) -> None:
        known = [(run_id, request) for run_id, request in self.ledger.known() if request.key is None]
        if known and "cancel" not in self._without:
            run_id, request = chance.choice(known[-5:])
            request.is_cancelled = True
            began = now()
            self.ledger.heard(client.name, f"cancels {run_id}", began, client.call("cancel_run", run_id=run_id))

    def _read(self, client: Client, chance: random.Random) -> None:
        began = now()
        tool, arguments = chance.choice(
            [("list_runs", {}), ("list_workflows", {}), ("search_workflows", {"query": "walk a plan with tasks"})]
        )
        reply = client.call(tool, **arguments)
        self.ledger.heard(client.name, tool, began, reply)

    def _publish(self, client: Client, chance: random.Random) -> None:
        """Create a workflow of one's own, or delete one."""
        if "publish" in self._without:
            return
        mine = [
            name for name, there in self.ledger.published.items() if there and name.startswith(f"own_{client.name}_")
        ]
        began = now()
        if mine and chance.random() < 0.4:
            name = chance.choice(mine)
            self.ledger.published[name] = None
            reply = client.call("delete_workflow", name=name)
            done = (reply.payload or {}).get("deleted") is True
            if done:
                self.ledger.published[name] = False
        else:
            name = f"own_{client.name}_{chance.randrange(10**9)}"
            self.ledger.published[name] = None
            reply = client.call("create_workflow", name=name, source=TINY)
            if (reply.payload or {}).get("name") == name and not reply.is_error:
                self.ledger.published[name] = True
        self.ledger.heard(client.name, f"publishes {name}", began, reply)

    def _next(self) -> int | None:
        with self._number:
            if self._requests >= _MOST_REQUESTS:
                return None
            self._requests += 1
            return self._requests

    # Questions.

    def _answering(self, client: Callable[[], Client], chance: random.Random) -> Callable[[], None]:
        def work() -> None:
            while not self._stopping.wait(0.2):
                if chance.random() < 0.5:
                    self.answer(client())

        return work

    def answer(self, client: Client) -> None:
        """What is asked now, as the record has it."""
        statement = (
            "SELECT wait.id, wait.run_id, question, coalesce(run.root, run.id), run.status FROM wait JOIN run ON run.id = run_id "
            "WHERE kind = 'ask' AND answered_at IS NULL"
        )
        for question_id, run_id, question, root, _ in self.query(statement):
            began = now()
            reply = client.call("answer_run", run_id=root, answer=answer_to(question), question_id=question_id)
            error = (reply.payload or {}).get("error") or {}
            if reply.is_error and error.get("code") == "invalid_arguments" and not self._is_open(question_id):
                continue  # it was closed meanwhile: its run was cancelled, or an answer that was lost has arrived
            self.ledger.heard(client.name, f"answers {question!r} of {run_id}", began, reply)

    def _is_open(self, question_id: str) -> bool:
        statement = (
            "SELECT 1 FROM wait JOIN run ON run.id = run_id WHERE wait.id = ? AND answered_at IS NULL "
            "AND status IN ('working', 'input_required')"
        )
        return bool(self.query(statement, question_id))

    # Trouble and peace.

    def _trouble(self, seconds: float) -> None:
        chance, end = _child_of(self._chance), now() + seconds
        pause = chance.choice([0.3, 0.8, 2.0])
        while now() < end:
            until = min(end, now() + chance.expovariate(1 / pause))
            while now() < until:
                self.faults.tend()
                time.sleep(min(0.05, max(0.0, until - now())))
            self.note_committed()
            self.faults.strike()
        self.faults.tend(finish=True)

    def _settle(self) -> None:
        """Without faults: answer what is asked until all is over, and ask once more for all that was begun or lost."""
        client = _Seat(self, "peace").client
        for request in [one for one in self.ledger.requests.values() if one.key is not None and not one.accepted]:
            give_up = now() + _STUCK_S
            while not request.accepted and now() < give_up:
                self.order(client(), request)
        last, moved = (), now()
        while unfinished := self.query(
            "SELECT id, status, parked FROM run WHERE status NOT IN ('completed', 'failed', 'cancelled')"
        ):
            self.answer(client())
            client().call("get_run", run_id=unfinished[0][0], wait_s=0.5)
            progress = self.query("SELECT sum(last_event), sum(records), count(*), count(ended_at) FROM run")[0]
            if progress != last:
                last, moved = progress, now()
            elif now() - moved > _STUCK_S:
                self.ledger.complain(f"never ends: {unfinished[:5]}")
                break
            time.sleep(0.05)
        for run_id, request in self.ledger.known():
            began = now()
            self.ledger.heard("peace", f"gets {run_id}", began, client().call("get_run", run_id=run_id), request)
        self.note_committed()
        reply = client().call("list_workflows", limit=1000)
        there = {row["name"] for row in (reply.payload or {}).get("workflows", ())}
        for name, expected in self.ledger.published.items():
            if expected is not None and (name in there) != expected:
                self.ledger.complain(
                    f"{name} is {'there' if name in there else 'not there'}, and its client was told the opposite"
                )

    # The record.

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What is in the store now, seen from outside: the owner may be at work on it, or gone."""
        connection = sqlite3.connect(f"file:{self.home / 'repertoire.db'}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if self.faults.troubled_until == float("inf"):  # no room for the index of a reader
                self.faults.done[f"unreadable ({error})"] += 1
                return []
            raise
        finally:
            connection.close()

    def note_committed(self) -> None:
        """Write into the traces which steps are recorded now: from there on none of them may begin again."""
        rows = self.query("SELECT run_id, path, result FROM call WHERE op = 'step' AND result IS NOT NULL")
        news = [_step_in(text) for run_id, path, text in rows if (run_id, path) not in self._seen_recorded]
        self._seen_recorded |= {(run_id, path) for run_id, path, _ in rows}
        if news:
            self.traces.mark("\n".join(f"$ {name}" for name in news))


class _Seat:
    """A place for a client that may be killed: whoever sits down there again starts the next one."""

    def __init__(self, round: Round, name: str) -> None:
        self._round, self._name = round, name
        self._front: Front | None = None

    def client(self) -> Client:
        if self._front is None or self._front.ended:
            self._front = self._round._front(self._name)
        return self._front


def _step_in(text: str) -> str:
    """The step's name in its record: what it gave, or the argument of the error that it raised."""
    found = re.search(r"[rk]\d+(\.\d+)+", text)
    assert found is not None, text
    return found[0]


def _child_of(chance: random.Random) -> random.Random:
    return random.Random(chance.getrandbits(64))
