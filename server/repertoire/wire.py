"""Wire frames: the typed messages between host, worker and zygote; used by `engine` and `worker`, which share nothing else.

`encode` writes a frame as msgpack with four bytes of length in front; `frames` takes complete frames out of a buffer.
The host does not trust a worker. So a worker's frames have no field of any type (`Any`): what decodes is bounded in its cost and shape. The
rest is checked by `engine/frame_check.py`. Not the protocol of MCP clients and not the daemon's socket: those are JSON lines.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from .text import well_formed
from .wire_types import Number, Readings, Seconds

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""A longer frame ends the worker. The limit bounds the memory that one body can make the host use."""


CONTENT_PART_BYTES: Final = 1024 * 1024
"""Size of a part of an artifact's content in one frame."""


class Module(msgspec.Struct, frozen=True, array_like=True):
    """A module that a workflow file imports from its own folder. It is stored with the version.

    `name` is dotted, as the import statement writes it. `package` is true for an `__init__`.
    `path` is the path of its file, relative to the workflow file's folder; empty where the name tells it.
    """

    name: str
    source: str
    package: bool = False
    path: str = ""


class DataFile(msgspec.Struct, frozen=True, array_like=True):
    """A file that is not a module, in a package that the workflow imports. `path` is relative to the workflow file's folder."""

    path: str
    data: bytes


class Code(msgspec.Struct, frozen=True):
    """Everything needed to load one version.

    `key` is a hash of the source and of its file's place. A worker that has loaded the version once needs only the key.
    `package` is the package of the file itself, from the folders between it and its workflow folder.
    """

    key: str
    name: str
    source: str
    filename: str
    modules: tuple[Module, ...] = ()
    entry: str | None = None
    """The name of the class or function to run. None: the module's `run`."""
    files: tuple[DataFile, ...] = ()
    package: str = ""
    is_interpreted: bool = False
    """It runs in pydantic-monty (`sandbox/interpreted.py`)."""


class Task(msgspec.Struct, frozen=True, tag="task"):
    """Host to worker: run this body once.

    `arguments` and `state` are JSON texts, because msgpack refuses integers beyond 64 bits. `state` is None when the body uses none.
    """

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
    max_frame_bytes: int = MAX_FRAME_BYTES
    max_record_bytes: int = 4 * 1024 * 1024
    max_events: int = 10_000
    max_items: int = 10_000
    session_id: str = ""
    env: dict[str, str] = {}
    """Environment variables of the caller that this body may see."""
    began: float = 0.0
    """The host's monotonic clock at the zero of the run's own clock. Host and worker share this clock."""
    recorded: int = 0
    """Number of recorded calls of this run. The body is run again, and its first calls are answered from these records."""
    told: dict[str, int] = {}
    """Number of events already stored, by path. The worker does not send those again."""
    artifacts: str = ""
    """The folder HOME/artifacts: the body's contents go there as files, because a frame is no place for a hundred megabytes. Empty for a
    worker that sees no file of the host: contents then go through the socket, in parts."""
    max_artifact_bytes: int = 0
    waits: bool = False
    """True when the run's start is not stored yet. The worker prepares everything and calls the body when `Begin` arrives."""


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Host to worker: the run's start is stored."""


class Inspect(msgspec.Struct, frozen=True, tag="inspect"):
    """Host to worker: load this module, execute only its top level, and answer with the schemas of `run`."""

    code: Code
    cwd: str | None = None
    env: dict[str, str] = {}


class Fault(msgspec.Struct, frozen=True):
    """Why a body, a call or a load failed. Message and hint are for the caller, the traceback is for the operator.

    `line` is the line in the workflow's own file, if the error has one.
    """

    code: str
    type: str
    message: str
    line: int | None = None
    hint: str | None = None
    traceback: str | None = None


class Recorded(msgspec.Struct, frozen=True, array_like=True):
    """A call as the journal stores it.

    `n` numbers calls from 1, in the order in which they ended. `at` is the time of the end, in seconds of the run's own clock.
    `op` is the operation, `hash` is the hash of its arguments. The outcome is `result` (JSON text), `error`, or `cancelled` by the body.
    `clock` holds the clock values that the body read since the record before, by path: [path, value, how often, value, ...].
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
    """Host to worker: the answer to `More`, in the order of `n`. An empty page is the end of the journal."""

    records: list[Recorded]


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Host to worker: the call with this id is recorded as number `n` of the journal."""

    id: int
    n: int
    at: float
    result: str | None = None
    error: Fault | None = None


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """Host to worker: a part of the answer of the open call with this id, as it arrives. `data` is JSON text. It is not recorded."""

    id: int
    data: str


class ContentPart(msgspec.Struct, frozen=True, tag="content_part"):
    """Host to worker: the answer to `ReadContent`. `data` is empty at the end of the content; None: the run may not read it, or it is gone."""

    id: int
    data: bytes | None


HostFrame = Task | Begin | Inspect | Page | Answer | Piece | ContentPart


class RawEvent(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An event as the body made it, before the store numbers it. `at` is in seconds since the epoch."""

    type: Literal["log", "progress", "item", "text", "state"]
    at: Seconds
    data: str
    """A JSON object, as text."""
    path: str = ""
    k: Number = 0
    """Its number among the events of its path, from 1. With it a replay knows which events were sent already."""


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="events"):
    """Worker to host: one or more events, in order."""

    events: Annotated[list[RawEvent], Meta(max_length=100_000)]


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="call"):
    """Worker to host: perform this call, record it, and answer. `args` is JSON text; `label` describes the call to people."""

    id: Number
    path: str
    op: str
    args: str
    hash: str
    label: str = ""
    clock: Readings = []


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="record"):
    """Worker to host: record this step, which the worker has performed itself, and answer.

    The records below its path are part of the step.
    """

    id: Number
    path: str
    op: str
    hash: str
    label: str = ""
    result: str | None = None
    error: Fault | None = None
    began: Seconds = 0.0
    clock: Readings = []


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="drop"):
    """Worker to host: the body has cancelled this call. The host records the cancellation even if the answer is already on its way.

    Not answered.
    """

    id: Number
    path: str
    op: str
    hash: str
    label: str = ""
    clock: Readings = []
    heard: str | None = None
    """JSON text: a list of the pieces of its answer that the body has got."""


class Tick(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="tick"):
    """Worker to host: the body has slept until now. A replay does not wait for that time again. Not answered."""


class Late(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="late"):
    """Worker to host: a timer fired before the body got answer `n`, which was still on its way. Its time becomes `at`. Not answered."""

    n: Number
    at: Seconds


class Idle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="idle"):
    """Worker to host: the body only waits for these calls, so the host can park the run. `state` is JSON text, if the run has one."""

    ids: Annotated[list[Number], Meta(max_length=100_000)]
    state: str | None = None


class More(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="more"):
    """Worker to host: send the journal's next page, after this number."""

    after: Number


class SendContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="send_content"):
    """Worker to host: the next part of the content of the call with this path, which is sent after all parts. Not answered."""

    path: str
    data: bytes


class ReadContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="read_content"):
    """Worker to host: send the part of this content that begins at byte `start`. `hash` is the sha256 of the whole content."""

    id: Number
    hash: str
    start: Number


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="done"):
    """Worker to host: the body has ended. `result` and `state` are JSON texts; `state` is None when unchanged or unused."""

    result: str
    state: str | None = None
    remark: str | None = None
    """What is different in the result because JSON cannot hold it."""
    pending: bool = False
    """True when threads of the body still wait for calls. The process cannot be used again."""


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="failed"):
    """Worker to host: the body or the load failed. Its state is not stored."""

    fault: Fault
    pending: bool = False


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A remark on a source that can still run: an untyped parameter, an ignored *args."""

    rule: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None


class Inspected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="inspected"):
    """Worker to host: the schemas of `run`, JSON Schema 2020-12 as JSON texts."""

    input_schema: str
    output_schema: str
    notes: Annotated[tuple[Note, ...], Meta(max_length=10_000)] = ()


class Settled(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="settled"):
    """Worker to host, after each answer of a worker that is used again: its process has been reset for the next run.

    `changed` names a change of the process that could not be undone. None: the next run finds the process as the first one did.
    """

    changed: str | None = None


WorkerFrame = (
    Events
    | Call
    | Record
    | Drop
    | Tick
    | Late
    | Idle
    | More
    | SendContent
    | ReadContent
    | Done
    | Failed
    | Inspected
    | Settled
)


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Host to zygote: fork a child that serves the socket whose descriptor is attached to this frame's first byte.

    A limit of 0 means no limit. `is_trusted`: the child runs many of the operator's own files, without any limit.
    """

    id: int
    is_trusted: bool = False
    once: bool = False
    """The host kills the child after its first answer."""
    memory_mb: int = 0
    cpu_s: int = 0
    open_files: int = 0
    file_mb: int = 0
    """The largest file that the child may write."""


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """Host to zygote: kill this child with its whole process group. Does nothing when the child has ended."""

    id: int


ZygoteCommand = Fork | Kill


class Locked(msgspec.Struct, frozen=True, tag="locked"):
    """Zygote to host, first of all: it has locked itself in. For each wall the reason why it is missing; empty for one that stands."""

    walls: dict[str, str]


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """Zygote to host: the child is running. `scratch` is its folder, as the child sees it."""

    id: int
    pid: int
    scratch: str = ""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Zygote to host: the child has ended and was reaped. `code` is negative for a signal, as in `subprocess`."""

    id: int
    code: int


ZygoteReport = Locked | Forked | Ended

_encoder = msgspec.msgpack.Encoder()


def encode(frame: HostFrame | WorkerFrame | ZygoteCommand | ZygoteReport, most: int = MAX_FRAME_BYTES) -> bytes:
    """The frame as bytes, with its length in front. Texts with invalid Unicode are repaired. Raises ValueError beyond `most` bytes."""
    try:
        body = _encoder.encode(frame)
    except UnicodeEncodeError:
        body = _encoder.encode(_with_valid_texts(frame))
    if len(body) > most:
        raise ValueError(f"a frame of {len(body)} bytes; at most {most} pass between host and worker")
    return len(body).to_bytes(4, "little") + body


def _with_valid_texts(part: Any) -> Any:
    """The frame, or part of one, with valid Unicode in every text."""
    if isinstance(part, msgspec.Struct):
        return msgspec.structs.replace(
            part, **{name: _with_valid_texts(getattr(part, name)) for name in part.__struct_fields__}
        )
    if isinstance(part, dict):
        return {_with_valid_texts(key): _with_valid_texts(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)([_with_valid_texts(one) for one in part])
    return well_formed(part) if isinstance(part, str) else part


def frames(buffer: bytearray, most: int = MAX_FRAME_BYTES) -> list[bytes]:
    """Take every complete frame out of `buffer`, in order. An incomplete frame stays in it. Raises ValueError on one beyond `most` bytes."""
    taken: list[bytes] = []
    start = 0
    while len(buffer) - start >= 4:
        size = int.from_bytes(buffer[start : start + 4], "little")
        if size > most:
            raise ValueError(f"a frame of {size} bytes; at most {most} are allowed")
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
