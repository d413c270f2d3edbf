"""Limits: every number that bounds the server, in one frozen value; part of `Settings`, which may change each of them.

Not the limits of one workflow (`__workflow__`), nor of a worker's process (worker/resource_limits.py).
"""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every number with its unit (in the name), default and reason."""

    inline_deadline_s: float = 45.0
    """A call is answered `working` after this: below the 60 s where many MCP clients give up."""
    run_timeout_s: float = 300.0
    """Wall time for which a run may hold a worker, unless the workflow declares another."""
    worker_memory_mb: int = 1024
    """Address space of a worker that runs code created through a tool. 0: no limit."""
    worker_open_files: int = 1024
    """Files and sockets that a worker with such code may have open at once: the default of most shells. 0: no limit."""
    worker_file_mb: int = 1024
    """The largest file that such code may write: an endless loop must not fill the disk. 0: no limit."""
    scratch_mb: int = 128
    """The files of one run of such code together. They lie in memory, and as many runs as there are workers have some at once."""
    scratch_files: int = 10_000
    """Their number. An empty file takes a kilobyte of the kernel's memory too."""
    trusted_memory_mb: int = -1
    """Memory that a worker of the operator's files may allocate: one body must not take the machine down. -1: half of the machine's, so that
    the rest is enough for everything else. 0: no limit."""
    workers: int = 0
    """Runs that may hold a worker at once. 0: one per core, but at least four. Most bodies wait more than they compute, and on two
    cores two long runs must not hold up every other caller."""
    max_queued: int = 1000
    """Runs that may wait for a worker before a call is refused with `busy`."""
    max_listed_tools: int = 40
    """Tools in tools/list, with the fixed ones: Cursor takes no more, and models choose badly among more."""
    page_size: int = 1000
    """Tools in one page of tools/list: about 360 KB of JSON."""
    inspect_timeout_s: float = 10.0
    """Loading a module to read its schema: longer than any usual import, shorter than a caller waits."""
    examples_timeout_s: float = 30.0
    """All examples of one version together: the caller who publishes waits for them."""
    max_frame_bytes: int = 32 * 1024 * 1024
    """One message from a worker with created code to the server: the longest result, and a session's state of the same length."""
    untrusted_frames_per_s: int = 1_000
    """Messages that such a worker may send in a second, one more for each KiB of them: a flood takes a tenth of a core. 0: no limit."""
    max_source_bytes: int = 256 * 1024
    """A workflow's source. For more code, a package to import is the better form."""
    max_bundle_bytes: int = 1024 * 1024
    """All modules together that a file imports from its own folder."""
    max_arguments_bytes: int = 8 * 1024 * 1024
    """Arguments of one run, as JSON."""
    max_result_bytes: int = 16 * 1024 * 1024
    """Result of one run, as JSON."""
    max_state_bytes: int = 16 * 1024 * 1024
    """A session's state of one workflow, as JSON: each run with state reads all of it and writes all of it."""
    inline_result_chars: int = 40_000
    """A longer result is paged: Claude Code moves results of 25,000 tokens or 50,000 characters into a file."""
    max_event_bytes: int = 64 * 1024
    """One event's message."""
    max_events: int = 10_000
    """Events that are recorded of one run: nobody reads more, and more would fill the disk. The run goes on without recording them."""
    max_log_bytes: int = 32 * 1024 * 1024
    """Everything together that one run logs, yields and reports: `max_events` of the longest would be a gigabyte."""
    max_items: int = 10_000
    """Values that a run yields as its result: more belong in a file, or in pages."""
    session_ttl_s: float = 90 * 24 * 3600.0
    """A session unused for this long has expired."""
    empty_session_ttl_s: float = 7 * 24 * 3600.0
    """A session without a name and without state is deleted after this: each stateless call over HTTP makes one."""
    max_calls: int = 100_000
    """Calls through doors of one run and all runs below it: a replay of this many takes some seconds."""
    max_record_bytes: int = 4 * 1024 * 1024
    """A step's recorded result, as JSON. Larger data belongs in a file, and its path in the result."""
    max_journal_bytes: int = 256 * 1024 * 1024
    """Everything that is recorded of one run between two restarts."""
    max_journal_rows: int = 300_000
    """Rows of one run's journal: a call takes up to three, with the marks of its clock."""
    max_fan_out: int = 1_000
    """Calls through doors that are open at once in one tree of runs."""
    max_depth: int = 16
    """Depth of a tree of runs: a deeper recursion most likely never ends."""
    max_tokens: int = 2_000_000
    """Model tokens of one tree of runs."""
    max_model_requests: int = 1_000
    """Requests to models of one tree of runs: an agent that calls tools without an end is stopped."""
    untrusted_tokens: int = 200_000
    """The same for a run of created code, with all below it: an agent wrote it, and a person pays."""
    untrusted_fan_out: int = 200
    """Calls that are open at once in a tree of runs of such code. Each call of a workflow is a process that waits, and the sandbox allows
    512 processes and threads for all callers together."""
    untrusted_model_requests: int = 50
    """Requests to models of a run of created code, with all below it."""
    model_timeout_s: float = 600.0
    """One request to a model, with all its repetitions: as long as the providers' own packages wait."""
    max_deaths: int = 3
    """How often a run restarts after its worker crashed without progress. One more crash fails it."""
    max_server_deaths: int = 10
    """The same for servers that die while the run holds a worker. Several runs may have been active, and we cannot tell which one killed
    the server. So this limit is higher."""
    question_ttl_s: float = 7 * 24 * 3600.0
    """A question without `expires_s` of its own expires after this."""
    idempotency_ttl_s: float = 24 * 3600.0
    """For this long the same idempotency key means the same run."""
    keep_runs_s: float = 90 * 24 * 3600.0
    """Runs that ended longer ago are deleted. It equals `session_ttl_s`, since a caller asks for a run with its session. 0: all are kept."""
    keep_runs: int = 0
    """Ended runs beyond this number are deleted, the oldest first. 0: no bound. A run takes a kilobyte or a hundred megabytes, which we
    cannot know, and a busy hour must not delete fresh runs."""
    keep_audit_s: float = 365 * 24 * 3600.0
    """Lines of the audit log that are older are deleted. A year is what most audits ask for, and a line takes 300 bytes. 0: all are kept."""
    max_artifact_bytes: int = 64 * 1024 * 1024
    """One artifact. A body holds it in memory, and `worker_memory_mb` is a gigabyte."""
    max_artifacts: int = 10_000
    """Artifacts of one principal: `artifacts.list()` gives all of them, two megabytes then. More belong into fewer, larger ones."""
    max_artifacts_bytes: int = 4 * 1024 * 1024 * 1024
    """The files of all artifacts together, each content once: a loop that saves must not fill the disk."""
    keep_artifacts_s: float = 90 * 24 * 3600.0
    """Artifacts that were neither saved nor loaded for this long are deleted. It equals `keep_runs_s`. 0: all are kept."""
    max_workspace_bytes: int = 1024 * 1024 * 1024
    """The files in one run's workspace together: a command in a loop must not fill the disk."""
    max_workspace_files: int = 20_000
    """Files and folders in it. They are counted, and listed in one answer."""
    max_workspace_file_bytes: int = 2 * 1024 * 1024
    """A file that `harness.fs` reads or writes whole: its content is in the run's record. Commands may make larger ones."""
    max_shell_s: float = 600.0
    """One command of `harness.shell`: longer than most builds, and nobody waits for a hanging one all day."""
    max_shell_output_bytes: int = 256 * 1024
    """Its stdout, and its stderr, in the run's record. More is read and dropped."""
    max_http_sessions: int = 1000
    """Sessions of earlier protocol revisions over HTTP: each costs 40 KB, and clients leave without notice. Beyond this number, the one
    that was idle for longest is closed; its client opens another."""
    idle_exit_s: float = 900.0
    """A daemon without a connection and without a live run ends after this."""
    encoder_idle_s: float = 600.0
    """The encoder takes half a gigabyte of memory. It ends when nobody has searched for this long."""
