"""CommandSource: a command-line tool as a source, `tools.curl.get(url=...)`; used by the catalog. Its line is made in command_line.py."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any, Final

from ..text import well_formed
from .addresses import AddressRules
from .command_definition import CommandDefinition
from .command_line import command_line, tools_of
from .programs import Ended, run_program
from .tool import BadToolArguments, Tool, ToolContext, ToolFailed, ToolTimeout, ToolUnavailable
from .variables import AddSecret, Mask, expanded, names_in

_KEPT: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""Variables of the server that every command gets. None of them could be a secret; others are named in the definition's `env`."""
_QUOTED: Final = 2000
"""Characters of its output that the exception of a failed command quotes."""


class CommandSource:
    """`folder` is that of the definition's file: a relative program is looked for there. Programs run in the user's own folder."""

    def __init__(
        self,
        definition: CommandDefinition,
        rules: AddressRules,
        add_secret: AddSecret = lambda value, name: None,
        *,
        mask: Mask = str,
        folder: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._definition = definition
        self._rules = rules
        self._add_secret = add_secret
        self._mask = mask
        self._folder = folder
        self._environ = os.environ if environ is None else environ
        self._tools = tools_of(definition)

    @property
    def name(self) -> str:
        return self._definition.name

    @property
    def definition(self) -> tuple[Any, ...]:
        """Two sources with the same definition do the same."""
        return self._definition, self._folder

    @property
    def trouble(self) -> str | None:
        missing = [
            name for text in self._definition.env.values() for name in names_in(text) if name not in self._environ
        ]
        if missing:
            return f"The environment variable {missing[0]} is not set where Repertoire runs."
        if self._program() is None:
            return f"The program {self._definition.program} is not installed, or not in PATH."
        return None

    async def list_tools(self) -> tuple[Tool, ...]:
        return self._tools

    async def call(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> str:
        definition = self._definition
        if (program := self._program()) is None:
            raise ToolUnavailable(self.trouble or "", "Ask the operator to install it.")
        line = await command_line(definition, tool, arguments, self._rules)
        folder = os.path.join(os.path.expanduser("~"), os.path.expanduser(line.working_directory or ""))
        if not os.path.isdir(folder):
            raise BadToolArguments(f"There is no folder {folder}.", "Pass the path of an existing folder.")
        try:
            ended = await run_program(
                (program, *line.command[1:]),
                env=self._environment(context),
                cwd=folder,
                timeout_s=definition.timeout,
                max_bytes=definition.max_output_kb * 1024,
            )
        except TimeoutError:
            raise ToolTimeout(
                f"{tool.path} took longer than {definition.timeout:g} s and was ended.",
                "Ask it for less. The operator sets the limit: timeout in its definition.",
            ) from None
        except OSError as error:
            raise BadToolArguments(
                f"{tool.path} could not be started: {error.strerror}.", "Pass shorter arguments."
            ) from error
        return self._answer(tool, ended)

    async def aclose(self) -> None:
        """Each call ends its own program."""

    def _program(self) -> str | None:
        """The program's path. A relative one begins at the definition's folder."""
        program = self._definition.program
        if os.sep in program and self._folder is not None:
            program = os.path.join(self._folder, program)
        return shutil.which(program, path=self._environ.get("PATH"))

    def _environment(self, context: ToolContext) -> dict[str, str]:
        kept = {name: self._environ[name] for name in _KEPT if name in self._environ}
        named = ("TZ", *self._definition.worker_env)
        of_run = {name: context.env[name] for name in named if name in context.env}
        own = {name: expanded(text, self._environ, self._add_secret) for name, text in self._definition.env.items()}
        return {**kept, "NO_COLOR": "1", "TERM": "dumb", **of_run, **own}

    def _answer(self, tool: Tool, ended: Ended) -> str:
        output = _text(ended.output)
        if ended.is_cut:
            raise ToolFailed(
                f"{tool.path} printed more than {self._definition.max_output_kb:,} KiB and was ended.",
                "Ask it for less. The operator sets the limit: max_output_kb in its definition.",
            )
        if ended.code in self._definition.success_codes:
            return output
        words = self._mask(_text(ended.errors).strip() or output.strip())[-_QUOTED:]
        how = f"ended with exit code {ended.code}" if ended.code >= 0 else f"was ended by signal {-ended.code}"
        raise ToolFailed(f"{tool.path} {how}{': ' if words else ''}{words}")


def _text(data: bytes) -> str:
    """UTF-8; other bytes become `\\xe9`."""
    return well_formed(data.decode("utf-8", "surrogateescape"))
