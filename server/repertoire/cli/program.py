"""Program: the typer application, the options that commands share, and `call_verb`; used by every module with commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import BadArguments
from ..settings import Settings, load
from .home_client import carry_out

app = typer.Typer(
    name="repertoire",
    help="Keeps your agent's Python: every function becomes a typed, durable MCP tool.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Home = Annotated[
    str | None, typer.Option("--home", help="Where the data lives. Default: the platform's user data folder.")
]
Folders = Annotated[list[str] | None, typer.Option("--workflows", help="A folder of workflow files; may be repeated.")]
Config = Annotated[str | None, typer.Option("--config", help="A TOML file instead of HOME/repertoire.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Session = Annotated[str, typer.Option("--session", help="Name of the session whose state to use.")]


def settings_of(home: str | None, folders: list[str] | None, config: str | None = None) -> Settings:
    missing = [folder for folder in folders or () if not Path(folder).is_dir()]
    if missing:
        raise BadArguments(f"There is no folder {missing[0]!r}.", "--workflows names an existing folder.")
    return load(home=home, config=config, roots=tuple(str(Path(folder).resolve()) for folder in folders or ()))


def call_verb(home: str | None, folders: list[str] | None, verb: str, **args: Any) -> Any:
    return carry_out(settings_of(home, folders), lambda calls: calls.call(verb, args))
