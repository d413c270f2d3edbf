"""Settings: `load` reads flags, REPERTOIRE_* variables and a TOML file (in this order) into one frozen value; used by app and cli.

The app passes the parts that need settings what they need. No other module reads the environment for settings.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from .errors import BadSettings
from .home import default_home

HOST_ARGUMENTS: Final = (
    "_",
    "_meta",
    "toolCallId",
    "sessionId",
    "chatInput",
    "security_context",
    "_sessionID",
    "_tool_context",
)
"""Arguments that known hosts add: VS Code, n8n, SiYuan, HolmesGPT. Not n8n's `action` and `tool`: a model may mean something by them."""


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
    max_source_bytes: int = 256 * 1024
    """A workflow's source. For more code, a package to import is the better form."""
    max_bundle_bytes: int = 1024 * 1024
    """All modules together that a file imports from its own folder."""
    max_arguments_bytes: int = 8 * 1024 * 1024
    """Arguments of one run, as JSON."""
    max_result_bytes: int = 16 * 1024 * 1024
    """Result of one run, as JSON."""
    inline_result_chars: int = 40_000
    """A longer result is paged: Claude Code moves results of 25,000 tokens or 50,000 characters into a file."""
    max_event_bytes: int = 64 * 1024
    """One event's message."""
    max_events: int = 10_000
    """Events that are recorded of one run: nobody reads more, and more would fill the disk. The run goes on without recording them."""
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
    max_fan_out: int = 1_000
    """Calls through doors that are open at once in one tree of runs."""
    max_depth: int = 16
    """Depth of a tree of runs: a deeper recursion most likely never ends."""
    max_tokens: int = 2_000_000
    """Model tokens of one tree of runs."""
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
    max_artifact_bytes: int = 64 * 1024 * 1024
    """One artifact. A body holds it in memory, and `worker_memory_mb` is a gigabyte."""
    max_artifacts: int = 10_000
    """Artifacts of one principal: `artifacts.list()` gives all of them, two megabytes then. More belong into fewer, larger ones."""
    max_artifacts_bytes: int = 4 * 1024 * 1024 * 1024
    """The files of all artifacts together, each content once: a loop that saves must not fill the disk."""
    keep_artifacts_s: float = 90 * 24 * 3600.0
    """Artifacts that were neither saved nor loaded for this long are deleted. It equals `keep_runs_s`. 0: all are kept."""
    max_http_sessions: int = 1000
    """Sessions of earlier protocol revisions over HTTP: each costs 40 KB, and clients leave without notice. Beyond this number, the one
    that was idle for longest is closed; its client opens another."""
    idle_exit_s: float = 900.0
    """A daemon without a connection and without a live run ends after this."""
    encoder_idle_s: float = 600.0
    """The encoder takes half a gigabyte of memory. It ends when nobody has searched for this long."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One home's settings. `roots` are the workflow folders of this process's own command line."""

    home: str
    roots: tuple[str, ...] = ()
    ready_workflows: bool = True
    """Publish the workflows that come with the product."""
    authoring: Literal["open", "off"] = "open"
    """`off`: create_workflow, publish_workflow and delete_workflow are refused."""
    publish_requires: Literal["nothing", "examples", "approval"] = "nothing"
    """For workflows that are created through a tool. `examples`: only those with examples are published. `approval`: only those that a
    person publishes at the command line; until then nothing of them is run."""
    worker_env: tuple[str, ...] = ()
    """Names of environment variables that bodies may see; PATH, HOME, LANG, TZ and the like are always there. Their values are the
    caller's: from the host's own environment, or this server's over HTTP."""
    prefer_installed: bool = False
    """`import agno`, `buddy` and `pyflue` in workflows import the installed packages, where there are any, not Repertoire's stand-ins."""
    dropped_arguments: tuple[str, ...] = HOST_ARGUMENTS
    """Arguments that hosts add to a call: dropped where the tool itself has no such parameter."""
    mcp: str = ""
    """A file with `mcpServers`, whose tools bodies can call. Empty: HOME/mcp.json."""
    tools: tuple[str, ...] = ()
    """Folders of tools, beside HOME/tools: commands and HTTP APIs (*.yaml), Python functions (*.py)."""
    fetch_private_hosts: tuple[str, ...] = ()
    """Hosts that `fetch` and `curl` may reach although their addresses are not public: `127.0.0.1:8080`, `wiki.internal`, `10.1.0.0/16`."""
    untrusted_tools: tuple[str, ...] = ("fetch",)
    """The tools that code may use which came through a tool: `github.create_issue`, `github.*`."""
    tool_approval: Literal["destructive", "all", "off"] = "destructive"
    """Calls of tools that a person has to approve. `destructive`: of tools that say so, or are configured so; `all`: of all but those
    that only read."""
    search_model: str = ""
    """A folder, or a name at the hub, of the sentence-transformers model for search; "off": by words only. Empty: all-MiniLM-L6-v2,
    from an installed package or the hub's cache."""
    search_adapter: bool = True
    """Merge the adapter that was trained for search into all-MiniLM-L6-v2. Other models are never changed."""
    model_download: bool = False
    """The model may be downloaded from the hub when it is not on this machine."""
    limits: Limits = Limits()
    sources: dict[str, str] = {}
    """Where each setting that is not a default was read: a variable, a file or an option."""

    def rows(self) -> list[dict[str, Any]]:
        """Every setting in force as {setting, value, source}, for `repertoire config`."""
        values = msgspec.json.decode(msgspec.json.encode(self))
        values = {name: values[name] for name in self.__struct_fields__ if name not in ("limits", "sources")} | values[
            "limits"
        ]
        return [
            {"setting": name, "value": value, "source": self.sources.get(name, "default")}
            for name, value in values.items()
        ]

    @property
    def caller_env(self) -> tuple[str, ...]:
        """Names of the variables that come from the caller: `worker_env`, and TZ, which gives a body's times their zone."""
        return tuple(dict.fromkeys((*self.worker_env, "TZ")))

    def own_env(self) -> dict[str, str]:
        """The variables of this process's own environment that bodies may see."""
        return {name: os.environ[name] for name in self.caller_env if name in os.environ}


_LISTS: Final = ("worker_env", "dropped_arguments", "untrusted_tools", "tools", "fetch_private_hosts")
"""Settings whose items are separated by commas in the environment."""


def load(
    *,
    home: str | None = None,
    config: str | None = None,
    roots: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings. Raises BadSettings naming the key and where it came from."""
    environ = os.environ if environ is None else environ
    chosen = os.path.abspath(os.path.expanduser(home)) if home else default_home()
    named, default = config or environ.get("REPERTOIRE_CONFIG"), Path(chosen) / "repertoire.toml"
    values = _from_file(named, default)
    sources = dict.fromkeys(values, str(named or default)) | _source_of_home(home, environ)
    limits = {name: values.pop(name) for name in Limits.__struct_fields__ if name in values}
    unknown = sorted(set(values) - set(Settings.__struct_fields__) | {"home", "limits", "sources"} & set(values))
    if unknown:
        raise BadSettings(
            f"unknown setting {unknown[0]!r} in the configuration file", "docs/configuration.md lists them all."
        )
    for name in Limits.__struct_fields__:
        if (text := environ.get(f"REPERTOIRE_{name.upper()}")) is not None:
            limits[name], sources[name] = text, f"REPERTOIRE_{name.upper()}"
    for name in (
        "ready_workflows",
        "authoring",
        "publish_requires",
        "prefer_installed",
        "tool_approval",
        "mcp",
        *_LISTS,
        "search_model",
        "search_adapter",
        "model_download",
    ):
        if (text := environ.get(f"REPERTOIRE_{name.upper()}")) is not None:
            values[name] = [part for part in text.split(",") if part] if name in _LISTS else text
            sources[name] = f"REPERTOIRE_{name.upper()}"
    if roots:
        sources["roots"] = "--workflows"
    values["roots"] = list(roots) or [os.path.expanduser(root) for root in values.get("roots", [])]
    try:
        return msgspec.convert(
            {**values, "home": chosen, "limits": msgspec.convert(limits, Limits, strict=False), "sources": sources},
            Settings,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise BadSettings(f"a setting has the wrong type: {error}", "docs/configuration.md lists them all.") from error


def _source_of_home(home: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    if home:
        return {"home": "--home"}
    return {"home": "REPERTOIRE_HOME"} if environ.get("REPERTOIRE_HOME") else {}


def _from_file(named: str | None, default: Path) -> dict[str, Any]:
    path = Path(named) if named else default
    if not named and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise BadSettings(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} is not TOML: {error}") from error
