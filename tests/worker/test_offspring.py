"""Children that are Pythons of their own (spawn, forkserver): they can import the modules of a workflow."""

from __future__ import annotations

import copy
import os
import pickle

import pytest

from repertoire import wire
from repertoire.worker.children.spawned import ChildPath
from support import workers
from support.workers import Worker, Zygote, code_of

shared, worker, zygote = workers.shared, workers.worker, workers.zygote

BODY = """
import dataclasses
import multiprocessing as mp
import helper
from concurrent.futures import ProcessPoolExecutor
from package.inner import triple

@dataclasses.dataclass
class Pair:
    a: int
    b: int = 0

def work(pair):
    print("working on", pair.a)
    log.warning("told", a=pair.a)
    return Pair(triple(pair.a), helper.double(pair.a))

class Own:
    def work(self, a): return a + 1

def fail(_): raise KeyError("k")
"""
MODULES = {
    "helper": "def double(x): return 2 * x",
    "package/": "",
    "package.inner": "def triple(x): return 3 * x",
}
RUN = """
    found = mp.get_context("METHOD")
    with ProcessPoolExecutor(1, mp_context=found) as pool:
        pairs = list(pool.map(work, [Pair(1), Pair(2)]))
        more = [pool.submit(helper.double, 5).result(), pool.submit(Own().work, 1).result()]
        try: pool.submit(fail, 0).result()
        except KeyError as error: more.append(repr(error))
    return [[[pair.a, pair.b, type(pair) is Pair] for pair in pairs], more]
"""
STYLES = {
    "function": "def run():" + RUN,
    "context": "def run(ctx):" + RUN,
    "class": "from repertoire import Workflow\nclass W(Workflow):\n  def run(self):" + RUN,
}


def _task(style: str, method: str) -> wire.Task:
    code = code_of(BODY + STYLES[style].replace("METHOD", method), MODULES, f"{style}-{method}")
    entry = "W" if style == "class" else None
    whole = wire.Code(code.key, code.name, code.source, code.filename, code.modules, entry)
    return wire.Task("run", code.key, "{}", code=whole)


def _check(worker: Worker, style: str, method: str) -> None:
    worker.events = []
    worker.line.send(_task(style, method))
    frame = worker.end()
    assert isinstance(frame, wire.Done), frame
    assert frame.result == "[[[3,2,true],[6,4,true]],[10,2,\"KeyError('k')\"]]"
    assert {"working on 1", "working on 2"} < set(worker.messages)
    assert any(("told" in message and "a=2" in message) or message == "told" for message in worker.messages)


@pytest.mark.parametrize(
    ("style", "method"),
    [("function", "spawn"), ("context", "forkserver"), ("class", "spawn"), ("function", "fork"), ("class", "fork")],
)
def test_m12_w20_a_child_of_any_start_method_imports_the_workflow(worker: Worker, style: str, method: str) -> None:
    _check(worker, style, method)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_m12_w20_a_child_of_created_code_too(zygote: Zygote, method: str) -> None:
    _check(zygote.fork(memory_mb=1024, open_files=1024)[2], "function", method)


def test_m12_children_of_other_start_methods_end_refuse_and_draw_as_forked_ones(worker: Worker) -> None:
    source = """
    import multiprocessing as mp, random, sys
    ctx = mp.get_context("spawn")
    def leave(code): sys.exit(code)
    def refused(): step(str, 1)
    def draw(q): q.put(random.random())
    def exit_code(target, *args):
        child = ctx.Process(target=target, args=args); child.start(); child.join()
        return child.exitcode
    def run():
        q = ctx.Queue()
        return [exit_code(leave, 3), exit_code(refused), exit_code(draw, q), exit_code(draw, q), q.get(), q.get()]
    """
    first = worker.result(source, run_id="a")
    assert first[:4] == [3, 1, 0, 0] and first[4] != first[5]
    assert any("a child process cannot reach" in message for message in worker.messages)
    assert worker.result(source, run_id="a") == first


def test_m12_functions_classes_and_steps_of_a_workflow_can_be_pickled_where_it_runs(worker: Worker) -> None:
    source = """
    import enum, pickle
    class Kind(enum.Enum): A = 1
    def plain(x): return x
    @step
    def counted(x): return x
    def run(): return [pickle.loads(pickle.dumps(one)) is one for one in (Kind, Kind.A, plain, counted)]
    """
    assert worker.result(source) == [True] * 4


def test_a_childs_entry_of_the_path_is_an_ordinary_string_elsewhere() -> None:
    entry = ChildPath(lambda: None)
    assert pickle.loads(pickle.dumps([entry])) == [entry] and copy.deepcopy([entry])[0] is entry
    assert not os.path.exists(entry)


def test_m12_the_entry_survives_what_programs_do_with_the_path(worker: Worker) -> None:
    source = """
    import copy, pickle, sys, importlib.metadata, pkgutil
    def run():
        copy.deepcopy(sys.path); pickle.loads(pickle.dumps(sys.path))
        list(pkgutil.iter_modules(sys.path)); list(importlib.metadata.distributions())
        return sys.path == pickle.loads(pickle.dumps(sys.path))
    """
    assert worker.result(source) is True
