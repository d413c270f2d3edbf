"""Settings: `load` reads flags, REPERTOIRE_* variables and a TOML file (in this order) into one frozen value; used by app and cli.

The app passes the parts that need settings what they need. No other module reads the environment for settings.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from .errors import BadSettings
from .home import default_home
from .limits import Limits
from .providers.model_ids import CLIENT, UnknownModel, read_aliases, read_model

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


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One home's settings. `roots` are the workflow folders of this process's own command line."""

    home: str
    roots: tuple[str, ...] = ()
    ready_workflows: bool = True
    """Publish the workflows that come with the product."""
    authoring: Literal["", "off", "sandboxed", "approval"] = ""
    """For code that comes through a tool. `off`: it is refused, `run_code` too. `sandboxed`: it runs in the sandbox. `approval`: nothing of
    it is loaded or run until a person has approved that very version. Empty: `sandboxed` where the sandbox is real, else `approval`."""
    publish_requires: Literal["nothing", "examples"] = "nothing"
    """For workflows that are created through a tool. `examples`: only those with examples are published."""
    executor: Literal["", "monty"] = ""
    """`monty`: simple code that nobody has approved runs in pydantic-monty also where there is a sandbox. For tests of that way."""
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
    """The tools that untrusted code may use: `github.create_issue`, `github.*`."""
    untrusted_workflows: tuple[str, ...] = ()
    """The trusted workflows that untrusted code may call, beside those that declare `callable_by_untrusted`: `word_count`, `text_*`, `*`."""
    packages: tuple[str, ...] = ()
    """Packages that code may import which came through a tool, beside those that are listed anyway (registry/import_groups.py). `-numpy`
    takes one from the list. A name is that of a module or of a distribution."""
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
    model_aliases: dict[str, str] = {}
    """The model to ask instead of another: `{"gpt-4o-mini" = "ollama:llama3.2", "*" = "client"}`. `*` is every other model."""
    default_model: str = ""
    """The model of an agent that names none. Empty: one of the first provider with a key; without any key, "client"."""
    limits: Limits = Limits()
    sources: dict[str, str] = {}
    """Where each setting that is not a default was read: a variable, a file or an option."""
    remarks: tuple[str, ...] = ()
    """Sentences about settings in an old spelling."""

    @property
    def interpreter(self) -> Literal["never", "without a sandbox", "always"]:
        """When simple untrusted code runs in pydantic-monty."""
        if self.executor == "monty":
            return "always"
        return "never" if self.authoring else "without a sandbox"

    def rows(self) -> list[dict[str, Any]]:
        """Every setting in force as {setting, value, source}, for `repertoire config`."""
        values = msgspec.json.decode(msgspec.json.encode(self))
        values = {
            name: values[name] for name in self.__struct_fields__ if name not in ("limits", "sources", "remarks")
        } | values["limits"]
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


_PACKAGE: Final = re.compile(r"-?[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LISTS: Final = (
    "worker_env",
    "dropped_arguments",
    "untrusted_tools",
    "untrusted_workflows",
    "packages",
    "tools",
    "fetch_private_hosts",
)
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
    own = {"home", "limits", "sources", "remarks"}
    unknown = sorted(set(values) - set(Settings.__struct_fields__) | own & set(values))
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
        "executor",
        "publish_requires",
        "prefer_installed",
        "tool_approval",
        "mcp",
        *_LISTS,
        "search_model",
        "search_adapter",
        "model_download",
        "model_aliases",
        "default_model",
    ):
        if (text := environ.get(f"REPERTOIRE_{name.upper()}")) is not None:
            values[name] = _value_of(name, text)
            sources[name] = f"REPERTOIRE_{name.upper()}"
    if roots:
        sources["roots"] = "--workflows"
    remarks = _translate_former(values, sources)
    values["roots"] = list(roots) or [os.path.expanduser(root) for root in values.get("roots", [])]
    try:
        settings = msgspec.convert(
            {
                **values,
                "home": chosen,
                "limits": msgspec.convert(limits, Limits, strict=False),
                "sources": sources,
                "remarks": remarks,
            },
            Settings,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise BadSettings(f"a setting has the wrong type: {error}", "docs/configuration.md lists them all.") from error
    if wrong := [one for one in settings.packages if not _PACKAGE.fullmatch(one)]:
        raise BadSettings(
            f"packages: {wrong[0][:100]!r} names no package", "docs/configuration.md shows how they are named."
        )
    return _check_models(settings)


def _translate_former(values: dict[str, Any], sources: dict[str, str]) -> tuple[str, ...]:
    """Replace values in the spelling of earlier releases. Returns a sentence for each."""
    remarks = []
    if values.get("authoring") == "open":
        values["authoring"] = "sandboxed"
        remarks.append('authoring = "open" is now called "sandboxed".')
    if values.get("publish_requires") == "approval":
        del values["publish_requires"]
        source = sources.pop("publish_requires")
        if values.get("authoring") != "off":
            values["authoring"], sources["authoring"] = "approval", source
        remarks.append('publish_requires = "approval" is now authoring = "approval".')
    return tuple(remarks)


def _value_of(name: str, text: str) -> Any:
    """The value of a setting's variable."""
    if name == "model_aliases":
        return read_aliases(text)
    return [part for part in text.split(",") if part] if name in _LISTS else text


def _check_models(settings: Settings) -> Settings:
    """Raises BadSettings for a text that names no model."""
    for name, model in (*settings.model_aliases.items(), ("default_model", settings.default_model or CLIENT)):
        try:
            read_model(model)
        except UnknownModel as error:
            raise BadSettings(f"{name}: {error}", "docs/configuration.md shows how models are named.") from None
    return settings


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
