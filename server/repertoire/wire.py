"""The frames between host and worker: typed messages, msgpack, four bytes of length before each.

Both sides import only this. Not the protocol of MCP clients, not the daemon's socket (those are JSON lines). The host
never trusts what a worker sends: every frame is decoded into one of these types or the worker is killed.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from .text import well_formed

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""A longer frame ends the worker: it bounds what one body can make the host hold in memory."""


class Module(msgspec.Struct, frozen=True, array_like=True):
    """A module that a workflow file imports from its own folder, stored with the version.

    `name` is dotted as the import writes it; `package` says that it is an `__init__`. `path` is that of its file, from the workflow
    file's folder, where the name does not say it.
    """

    name: str
    source: str
    package: bool = False
    path: str = ""


class DataFile(msgspec.Struct, frozen=True, array_like=True):
    """A file that is no module, in a package that the workflow imports. `path` is from the workflow file's folder."""

    path: str
    data: bytes


class Code(msgspec.Struct, frozen=True):
    """Everything needed to load one version. `key` is its hash, and where its file is: a worker that has loaded it once needs only the
    key. `package` is that of the file itself, by the folders between it and its workflow folder."""

    key: str
    name: str
    source: str
    filename: str
    modules: tuple[Module, ...] = ()
    entry: str | None = None
    """The class to run; None: the module's `run`."""
    files: tuple[DataFile, ...] = ()
    package: str = ""


class Task(msgspec.Struct, frozen=True, tag="task"):
    """Host to worker: run this body once. `arguments` and `state` are JSON texts (msgpack would refuse integers beyond 64 bits);
    `state` is None when the body uses none."""

    run_id: str
    key: str
    arguments: str
    code: Code | None = None
    state: str | None = None
    cwd: str | None = None
    """The body's working folder. Its module is loaded in `home`."""
    home: str | None = None
    max_result_bytes: int = 16 * 1024 * 1024
    max_message_bytes: int = 64 * 1024
    max_record_bytes: int = 4 * 1024 * 1024
    max_events: int = 10_000
    max_items: int = 10_000
    session_id: str = ""
    env: dict[str, str] = {}
    """Environment variables of the caller that this body may see."""
    began: float = 0.0
    """The host's monotonic clock, which is the worker's too, when the run's own clock was at zero."""
    recorded: int = 0
    """Calls of this run that are recorded: the body is run again, and the first answers come from them."""
    told: dict[str, int] = {}
    """How many events of each path are stored already: those are not told again."""
    waits: bool = False
    """The run's start is not stored yet: everything is made ready, and the body is called when `Begin` comes."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Host to worker: the run's start is stored."""


class Inspect(msgspec.Struct, frozen=True, tag="inspect"):
    """Host to worker: load this module once, run nothing but its top level, and say what `run` takes and gives."""

    code: Code
    cwd: str | None = None
    env: dict[str, str] = {}


class Fault(msgspec.Struct, frozen=True):
    """Why a body, a call or a load failed, for both readers: message and hint for the caller, traceback for the operator.

    `line` is the line in the workflow's own file, when there is one.
    """

    code: str
    type: str
    message: str
    line: int | None = None
    hint: str | None = None
    traceback: str | None = None


class Recorded(msgspec.Struct, frozen=True, array_like=True):
    """A call as it is in the journal. `n` says in which order calls ended, from 1; `at` is seconds of the run's own clock.

    `op` is what was called, `hash` that of its arguments. One of `result` (JSON text) and `error`, or `cancelled` by the body.
    `clock` are the clock's values that the body read since the record before, by path: [path, value, how often, value, ...].
    """

    n: int
    path: str
    op: str
    hash: str
    at: float
    result: str | None = None
    error: Fault | None = None
    cancelled: bool = False
    clock: list[list[Any]] = []
    label: str = ""


class Page(msgspec.Struct, frozen=True, tag="page"):
    """Host to worker: the answer to `More`, in the order of `n`; an empty one is the end."""

    records: list[Recorded]


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Host to worker: the call of this id is recorded, as the journal's `n`-th."""

    id: int
    n: int
    at: float
    result: str | None = None
    error: Fault | None = None


HostFrame = Task | Begin | Inspect | Page | Answer


class RawEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event as the body made it: the Store gives it its number. `at` is seconds since the epoch."""

    type: Literal["log", "progress", "item", "text", "state"]
    at: float
    data: dict[str, Any]
    path: str = ""
    k: int = 0
    """The `k`-th event of its path: how a replay knows what is told already."""


class Events(msgspec.Struct, frozen=True, tag="events"):
    """Worker to host: one or more events, in order."""

    events: list[RawEvent]


class Call(msgspec.Struct, frozen=True, tag="call"):
    """Worker to host: do this, record it, and answer. `args` is JSON text; `label` says for people what it is."""

    id: int
    path: str
    op: str
    args: str
    hash: str
    label: str = ""
    clock: list[list[Any]] = []


class Record(msgspec.Struct, frozen=True, tag="record"):
    """Worker to host: the worker itself has done this (a step); record it, and answer. What was recorded below its path is part of it."""

    id: int
    path: str
    op: str
    hash: str
    label: str = ""
    result: str | None = None
    error: Fault | None = None
    began: float = 0.0
    clock: list[list[Any]] = []


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """Worker to host: the body has cancelled this call. Recorded as that, also where its answer is on the way. Not answered."""

    id: int
    path: str
    op: str
    hash: str
    label: str = ""
    clock: list[list[Any]] = []


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Worker to host: the body has slept until now; on replay that time is over. Not answered."""


class Late(msgspec.Struct, frozen=True, tag="late"):
    """Worker to host: the body got the answer `n` after a timer that fired before `at`, because it was still on its way. Not answered."""

    n: int
    at: float


class Idle(msgspec.Struct, frozen=True, tag="idle"):
    """Worker to host: the body does nothing but wait for these calls, so the run can be parked. `state` as JSON text, if it has one."""

    ids: list[int]
    state: str | None = None


class More(msgspec.Struct, frozen=True, tag="more"):
    """Worker to host: the journal's next page, after this number."""

    after: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Worker to host: the body ended. `result` and `state` are JSON texts; `state` is None when unchanged or unused."""

    result: str
    state: str | None = None
    pending: bool = False
    """Threads of the body still wait for calls: this process cannot be used again."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Worker to host: the body or the load failed; nothing of its state is kept."""

    fault: Fault
    pending: bool = False


class Note(msgspec.Struct, frozen=True):
    """A remark on a source that does not stop it: an untyped parameter, an ignored *args."""

    rule: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class Inspected(msgspec.Struct, frozen=True, tag="inspected"):
    """Worker to host: what `run` takes and gives. The schemas are JSON Schema 2020-12 as JSON texts."""

    input_schema: str
    output_schema: str
    notes: tuple[Note, ...] = ()


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """Worker to host, after each answer of a worker that is used again: what the run has changed in its process for good, in words.
    None: nothing, the next run finds all as it was."""

    changed: str | None = None


WorkerFrame = Events | Call | Record | Drop | Tick | Late | Idle | More | Done | Failed | Inspected | Settled


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Host to zygote: fork a child that serves the socket whose descriptor rides on this frame's first byte. 0: no limit.

    `is_trusted`: one that will run the operator's own files, many of them, without any limit.
    """

    id: int
    is_trusted: bool = False
    once: bool = False
    """It is killed after its first answer."""
    memory_mb: int = 0
    cpu_s: int = 0
    open_files: int = 0
    file_mb: int = 0
    """The largest file that it may write."""


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """Host to zygote: kill this child with its whole process group; nothing when it has ended."""

    id: int


ZygoteCommand = Fork | Kill


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """Zygote to host: the child lives."""

    id: int
    pid: int


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Zygote to host: the child has ended and was reaped. `code` is negative for a signal, as subprocess has it."""

    id: int
    code: int


ZygoteReport = Forked | Ended

_encoder = msgspec.msgpack.Encoder()


def encode(frame: HostFrame | WorkerFrame | ZygoteCommand | ZygoteReport) -> bytes:
    """The frame with its length in front, its texts made valid where one is not. Raises ValueError beyond MAX_FRAME_BYTES."""
    try:
        body = _encoder.encode(frame)
    except UnicodeEncodeError:
        body = _encoder.encode(_valid(frame))
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes; at most {MAX_FRAME_BYTES} pass between host and worker")
    return len(body).to_bytes(4, "little") + body


def _valid(part: Any) -> Any:
    """A frame, or a part of one, in which every text is valid Unicode."""
    if isinstance(part, msgspec.Struct):
        return msgspec.structs.replace(part, **{name: _valid(getattr(part, name)) for name in part.__struct_fields__})
    if isinstance(part, dict):
        return {_valid(key): _valid(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)([_valid(one) for one in part])
    return well_formed(part) if isinstance(part, str) else part


def frames(buffer: bytearray) -> list[bytes]:
    """Take every whole frame out of `buffer`, in order; what is incomplete stays. Raises ValueError on an oversized one."""
    taken: list[bytes] = []
    start = 0
    while len(buffer) - start >= 4:
        size = int.from_bytes(buffer[start : start + 4], "little")
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {size} bytes; at most {MAX_FRAME_BYTES} pass between host and worker")
        if len(buffer) - start - 4 < size:
            break
        taken.append(bytes(buffer[start + 4 : start + 4 + size]))
        start += 4 + size
    if start:
        del buffer[:start]
    return taken


host_decoder: msgspec.msgpack.Decoder[HostFrame] = msgspec.msgpack.Decoder(HostFrame)
worker_decoder: msgspec.msgpack.Decoder[WorkerFrame] = msgspec.msgpack.Decoder(WorkerFrame)
zygote_command_decoder: msgspec.msgpack.Decoder[ZygoteCommand] = msgspec.msgpack.Decoder(ZygoteCommand)
zygote_report_decoder: msgspec.msgpack.Decoder[ZygoteReport] = msgspec.msgpack.Decoder(ZygoteReport)
