"""Process: answers the host's frames in a worker; each Task or Inspect gets exactly one Done, Failed or Inspected, in order.

A process that is used again sends Settled after each answer: it has reset its process-wide state (`surroundings`), or names a change that
it cannot undo. Used by `__main__` and by the zygote's children.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import socket
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

import msgspec

from ..authoring import ambient
from ..compat import hook
from ..signature.annotations import UNSAID
from ..values import big_integers, codec
from ..values.lost_numbers import lost_numbers
from ..wire import Begin, Done, Failed, Fault, Inspect, Inspected, Note, Settled, Task, WorkerFrame
from . import body_errors, terminal
from .call import Invocation
from .children import forks
from .children.spawned import ChildPath, ChildSetup
from .link.channel import Channel
from .link.outbox import Outbox
from .output.capture import Capture
from .output.streams import Streams
from .replay import call_paths, thread_patches, thread_readings
from .replay.body_calls import BodyCalls
from .replay.event_loop import active, use_for_asyncio_run
from .replay.run_clock import RunClock
from .replay.seeded_random import LibrarySeeds
from .source.entry import find_entry
from .source.loader import LoadedVersions, Version, signature_of
from .source.run_info import RunInfo
from .surroundings.comparison import Surroundings
from .surroundings.import_watch import imports


class Process:
    """One worker. `watch`: end it when the host closes the socket while a body runs. `once`: it serves one frame only."""

    def __init__(self, sock: socket.socket, *, watch: bool, once: bool) -> None:
        self._channel = Channel(sock)
        self._outbox = Outbox(self._channel)
        self._capture = Capture()
        self._streams = Streams(self._capture.drain)
        self._versions = LoadedVersions()
        self._streams.attach(None)
        sys.path.append(ChildPath(self._child_setup))
        self._calls: BodyCalls | None = None
        self._clock: RunClock | None = None
        self._is_child = False
        prepare()
        _on_settled[0] = self._on_settled
        forks.follow_forks(self)
        if watch:
            self._channel.watch()
        self._once = once
        self._surroundings = Surroundings(self._versions.owns, is_reused=not once)

    def serve(self) -> NoReturn:
        """Answer frames until the host closes the socket."""
        if not self._channel.is_readable():
            self._surroundings.compare_once()
        while True:
            frame = self._channel.receive()
            if isinstance(frame, Begin):  # its run has failed before it could begin
                continue
            if isinstance(frame, Task):
                self._answer(self._run(frame))
            elif isinstance(frame, Inspect):
                self._answer(self._inspect(frame))
            if not self._once:
                self._outbox.send(Settled(self._reset()))  # after the answer, so that no caller waits for the reset

    def _reset(self) -> str | None:
        """Reset the process for the next run. Gives the reason why it cannot run another body, if there is one."""
        forks.forget_multiprocessing()
        return "a process that was left behind" if self._capture.is_held() else self._surroundings.settle()

    def _answer(self, frame: WorkerFrame) -> None:
        try:
            self._outbox.send(frame)
        except ValueError as error:
            message = f"the result and the session's state together are too large: {error}"
            self._outbox.send(
                Failed(Fault("result_too_large", "ValueError", message, hint="Write large data to a file."))
            )

    def _run(self, task: Task) -> WorkerFrame:
        version = self._versions.version(task.key, task.code)
        if version is None:
            return Failed(Fault("unknown_key", "LookupError", "this worker does not have the workflow's code"))
        self._channel.max_bytes = task.max_frame_bytes
        calls = BodyCalls(self._outbox, self._channel, task, self._capture.drain)
        frame = contextvars.Context().run(
            self._run_body, task, version, calls
        )  # context variables that the body sets end with it
        return msgspec.structs.replace(frame, pending=True) if calls.exchange.has_waiters else frame

    def _run_body(self, task: Task, version: Version, calls: BodyCalls) -> Done | Failed:
        with contextlib.ExitStack() as stack:
            stack.callback(self._end, calls)
            terminal.begin(version.code.name)
            try:
                self._begin(calls, task.max_message_bytes, task.home or task.cwd, task.env)
                return self._perform(task, version, calls, stack)
            except BaseException as error:  # also sys.exit: the worker lives on, however a body ends
                self._leave_if_child(error, version)
                return Failed(body_errors.of_run(calls.replay.comparison.lost or error, version))

    def _begin(
        self, calls: BodyCalls | None, max_message: int, folder: str | None, environment: dict[str, str]
    ) -> None:
        call_paths.begin()
        self._calls = calls
        active.conductor = None if calls is None else calls.event_order
        thread_readings.begin(None if calls is None else calls.readings)
        ambient.begin(calls)
        self._streams.attach(calls, max_message)
        self._capture.attach(calls, max_message)
        self._surroundings.enter(folder, environment)

    def _end(self, calls: BodyCalls | None) -> None:
        self._capture.detach()
        self._streams.drain()
        if calls is not None:
            calls.exchange.close()
        self._surroundings.leave()
        active.conductor = self._calls = self._clock = None
        thread_readings.begin(None)
        ambient.end()
        terminal.end()
        self._streams.attach(None)

    def _on_settled(self, node: call_paths.Node) -> None:
        if self._calls is not None:
            self._calls.replay.on_settled(node)

    def _perform(self, task: Task, version: Version, calls: BodyCalls, stack: contextlib.ExitStack) -> Done | Failed:
        """Load the module, bind the arguments and call the body.

        The module stays loaded until `stack` is closed, because code in it may be needed to make a Fault of the body's exception.
        """
        try:
            self._clock = clock = RunClock(task.run_id, calls.timeline, calls.timeline.sleep)
            self._surroundings.with_functions = version.may_change_functions
            self._surroundings.on_import = seeds = LibrarySeeds(task.run_id)
            seeds()
            module = stack.enter_context(self._versions.load(version, clock))
            entry = find_entry(module, version.code.entry)
            read = signature_of(version, module, entry)
        except BaseException as error:  # also sys.exit at the module's top level
            self._leave_if_child(error, version)
            return Failed(body_errors.of_load(error, version))
        if task.cwd is not None and task.cwd != task.home:
            os.chdir(task.cwd)
        info = RunInfo(
            task.run_id, version.code.name, task.env, task.session_id, task.state is not None, task.max_items
        )
        run, positional, keyword = entry.bind(read, info, json.loads(task.arguments))
        if task.state is not None:
            ambient.restore(codec.decode(task.state))
        mark = None if task.state is None else codec.mark(ambient.session_state)
        while task.waits and not isinstance(self._channel.receive(), Begin):
            pass
        call = Invocation(calls.emit, wants_return=read.gives_return_value, max_items=task.max_items)
        try:
            value = call(run, positional, keyword)
        finally:
            if not self._is_child:
                forks.wait_for_left()
        self._leave_if_child(None, version)
        calls.replay.check_end()
        result = read.dump(value, task.max_result_bytes)
        remark = lost_numbers(value, result)
        if read.returns is UNSAID:
            result = big_integers.with_text(result)
        return Done(result, _state_to_store(task, module, calls, mark), remark)

    # Processes that the body starts

    def become_child(self, prefix: str, /) -> None:
        """Implements `forks.Parent`: release in a forked child everything that belongs to the parent."""
        self._is_child = True
        self._channel.let_go()
        self._outbox.become_child()
        voice = self._capture.open_voice()
        self._streams.become_child(voice)
        active.conductor = None
        if self._calls is not None:
            self._calls.exchange.become_child()
            ambient.become_child(forks.ChildDoors(voice.event))
            self._calls = None
        if self._clock is None:
            return
        self._clock.become_real()
        forks.seed_child(f"{self._clock.seed}:{prefix}", self._surroundings)

    def _child_setup(self) -> ChildSetup | None:
        version = self._versions.loaded_version
        if version is None:
            return None
        seed = "" if self._clock is None else self._clock.seed
        return ChildSetup(os.getpid(), version.code, f"{seed}:{call_paths.current().process()}", hook.prefers_real())

    def _leave_if_child(self, error: BaseException | None, version: Version) -> None:
        if self._is_child:
            forks.end_as_script(error, lambda error: body_errors.traceback_of(error, version))

    def _inspect(self, frame: Inspect) -> WorkerFrame:
        version = self._versions.version(frame.code.key, frame.code)
        assert version is not None  # its code came with the frame
        try:
            self._begin(None, 0, frame.cwd, frame.env)
            with self._versions.load(version) as module:
                read = signature_of(version, module, find_entry(module, version.code.entry))
                self._leave_if_child(None, version)
                return Inspected(*read.schema_texts(), tuple(Note(*note) for note in read.notes))
        except BaseException as error:  # also sys.exit at the module's top level
            self._leave_if_child(error, version)
            return Failed(body_errors.of_load(error, version))
        finally:
            self._end(None)


def _state_to_store(task: Task, module: ModuleType, calls: BodyCalls, before: bytes | None) -> str | None:
    """The state as JSON text. None: it need not be stored. Raises StateError."""
    if task.state is None:
        if ambient.session_state:
            calls.warn(
                "session_state was changed, but this run was started without a session's state: nothing of it is kept"
            )
        return None
    if module.__dict__.get("session_state") is not ambient.session_state:
        calls.warn(
            "session_state was replaced by another object, which is not kept; change it in place: session_state.update(...)"
        )
    untouched = calls.committed is None and not calls.reloaded and before is not None
    if untouched and codec.mark(ambient.full_state()) == before:
        return None  # found by its mark: encoding a large state to compare it would take longer than the run
    text = ambient.stored_form()
    return None if text == (calls.committed or task.state) else text


_on_settled: list[Callable[[call_paths.Node], None]] = []


def prepare() -> None:
    """Patch the process once: threads and loops get paths, threads' readings are recorded, imports are watched."""
    if not _on_settled:
        _on_settled.append(lambda _: None)
        call_paths.follow_threads(lambda node: _on_settled[0](node))
        thread_patches.install()
        use_for_asyncio_run()
        terminal.install()
        imports.install()


def serve(sock: socket.socket, *, watch: bool, once: bool = False) -> NoReturn:
    """Serve frames on this socket for the rest of the process.

    `watch`: also end the process when the host closes the socket while a body runs. `once`: it serves one frame, and remembers nothing.
    """
    Process(sock, watch=watch, once=once).serve()


def prepare_standard_streams() -> None:
    """Make stdin empty and lead stdout to stderr, so that no descriptor of a body reaches a protocol's stream."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
