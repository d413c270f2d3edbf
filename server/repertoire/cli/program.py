"""Program: the typer application, how a command is added to it, the options that commands share, and `call_verb`; used by every module
with commands.

Help is plain text in sections. A command says its section and its examples where it is defined (`command`). `--home` before the command
is a default for the command's own `--home`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import BadArguments
from ..settings import Settings, load
from ..version import VERSION
from . import completion, output

F = TypeVar("F", bound=Callable[..., Any])


class Code(IntEnum):
    """Exit codes. 0 is success, and 130 is Ctrl-C."""

    FAILED = 1
    USAGE = 2
    WAITS = 3


class Section(StrEnum):
    """The sections of `repertoire --help`."""

    RUNS = "Run workflows"
    WORKFLOWS = "Find and change workflows"
    SERVER = "Server and home"


class _Command(TyperCommand):
    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


class _Group(TyperGroup):
    """Its commands stand in sections, in the order in which they were added."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        TyperCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]  # the options alone, after the commands

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        shown = [(name, command) for name, command in shown if not command.hidden]
        widest = max((len(name) for name, _ in shown), default=0)
        for section in _in_order(getattr(command, "rich_help_panel", None) for _, command in shown):
            rows = [
                (name.ljust(widest), command.get_short_help_str(formatter.width - widest - 6))
                for name, command in shown
                if getattr(command, "rich_help_panel", None) == section
            ]
            with formatter.section(section or "Commands"):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_examples(self.epilog, formatter)


def _in_order(found: Iterable[str | None]) -> list[str | None]:
    """Sections of ours in their own order, then any others."""
    ours: list[str | None] = list(Section)
    kinds = list(dict.fromkeys(found))
    return [one for one in ours if one in kinds] + [one for one in kinds if one not in ours]


def _write_examples(examples: str | None, formatter: Any) -> None:
    if examples:
        formatter.write(f"\nExamples:\n{examples}\n")


def _as_epilog(examples: Iterable[str]) -> str | None:
    return "\n".join(f"  {line}" for line in examples) or None


def group(name: str, help: str, *examples: str, **options: Any) -> typer.Typer:
    """A command with commands of its own. Add it to its parent with `add_typer(..., rich_help_panel=SECTION)`."""
    return typer.Typer(
        name=name,
        help=help,
        cls=_Group,
        epilog=_as_epilog(examples),
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **{"no_args_is_help": True, "add_completion": False, **options},
    )


app = group(
    "repertoire",
    "Keeps your agent's Python: every function becomes a typed, durable MCP tool.",
    "repertoire demo                          show everything in a temporary home",
    "repertoire search 'count words'          find a workflow by what it does",
    "repertoire run add a=2 b=3               run one; its result goes to stdout",
    "repertoire show last                     look at the newest run",
    "repertoire install claude-desktop        give the workflows to an MCP host",
    "repertoire COMMAND -h                    show a command and its options",
    add_completion=True,
    no_args_is_help=False,
)


def command(
    section: Section, *examples: str, name: str | None = None, of: typer.Typer | None = None, **context: Any
) -> Callable[[F], F]:
    """Add the function as a command. `examples` are lines of its help; `of` is another group than `app`."""

    def add(function: F) -> F:
        decorate = (of or app).command(
            name,
            cls=_Command,
            epilog=_as_epilog(examples),
            rich_help_panel=section,
            context_settings=context,
        )
        return decorate(function)

    return add


def _for_each(command: Any, option: str, value: str) -> dict[str, Any]:
    below = getattr(command, "commands", {})
    return {option: value, **{name: _for_each(one, option, value) for name, one in below.items()}}


Home = Annotated[
    str | None,
    typer.Option("--home", metavar="DIR", help="Where the data lives. Default: the platform's user data folder."),
]
Folders = Annotated[
    list[str] | None, typer.Option("--workflows", metavar="DIR", help="A folder of workflow files; may be repeated.")
]
Config = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="A TOML file instead of HOME/repertoire.toml.")
]
Json = Annotated[bool, typer.Option("--json", "-j", help="Print JSON.")]
Session = Annotated[
    str, typer.Option("--session", "-s", metavar="NAME", help="Name of the session whose state to use.")
]


RunId = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Its id, the beginning of its id, or last.", autocompletion=completion.runs),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Arguments: key=value, --key value, @FILE or -."),
]
Payload = Annotated[
    str | None, typer.Option("--payload", "-p", metavar="JSON", help="Arguments as a JSON object, @FILE or -.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The workflow's name.", autocompletion=completion.workflows)]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: Home = None,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    if version:
        output.out.print(VERSION)
    elif context.invoked_subcommand is None:
        output.out.print(context.get_help())
    elif home is not None:
        context.default_map = _for_each(context.command, "home", home)


def settings_of(home: str | None, folders: list[str] | None, config: str | None = None) -> Settings:
    missing = [folder for folder in folders or () if not Path(folder).is_dir()]
    if missing:
        raise BadArguments(f"There is no folder {missing[0]!r}.", "--workflows names an existing folder.")
    return load(home=home, config=config, roots=tuple(str(Path(folder).resolve()) for folder in folders or ()))


def set_tools(mcp: str | None, tools: list[str] | None) -> None:
    """Make settings of the options `--mcp` and `--tools`, by the environment as the front does it."""
    wrong = [path for path in (mcp, *(tools or ())) if path is not None and not Path(path).exists()]
    if wrong:
        raise BadArguments(f"There is no {wrong[0]!r}.", "--mcp names a file, --tools a folder.")
    if mcp is not None:
        os.environ["REPERTOIRE_MCP"] = str(Path(mcp).resolve())
    if tools:
        os.environ["REPERTOIRE_TOOLS"] = ",".join(str(Path(folder).resolve()) for folder in tools)


def call_verb(home: str | None, folders: list[str] | None, verb: str, **args: Any) -> Any:
    from .home_client import carry_out  # here, because help needs none of it

    return carry_out(settings_of(home, folders), lambda calls: calls.call(verb, args))
