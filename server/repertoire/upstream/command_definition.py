"""CommandDefinition: a command-line tool as its YAML file describes it, py-code-mode's format with additions; used by command_line.py.

The additions restrict a command or fix part of its line: `direct`, `args`, `env`, `worker_env`, `working_directory`, `success_codes`,
`max_output_kb`, `only_reads`, `destructive`; for a parameter `pattern`, `enum`, `minimum`, `maximum`, `leading_dash`, `long`, and the type
`url`.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from ..errors import BadSettings
from .identifiers import RESERVED_SOURCES

_TypeName = Literal[
    "string", "str", "integer", "int", "number", "float", "boolean", "bool", "array", "list", "url"
]  # fmt: skip
_JSON_TYPES: Final[dict[str, str]] = {
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "url": "string",
}  # fmt: skip
_PLACEHOLDER: Final = re.compile(
    r"\{\{(?P<literal>[^{}]*)\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\.(?P<part>address|port))?\}"
)
"""`{{name}}` is written as `{name}`."""


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An option, or a positional argument with `name`. `type: url`: http or https, to an address that workflows may reach."""

    name: str = ""
    type: _TypeName = "string"
    short: str | None = None
    long: str | None = None
    description: str = ""
    required: bool = False
    default: Any = None
    pattern: str | None = None
    enum: list[str | int] | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    leading_dash: bool = False
    """Values may begin with `-`. Otherwise the program could take a value for an option."""
    after_dashes: bool = False
    """Write `--` before this positional argument."""

    @property
    def json_type(self) -> str:
        return _JSON_TYPES.get(self.type, self.type)

    @property
    def flag(self) -> str:
        return f"-{self.short}" if self.short else f"--{self.long or self.name}"

    def schema(self, *, required: bool, default: Any) -> dict[str, Any]:
        """The JSON Schema. An argument that can be left out and has no default may be null."""
        rules = {
            rule: value for rule in ("pattern", "minimum", "maximum") if (value := getattr(self, rule)) is not None
        }
        kind: dict[str, Any] = {"type": self.json_type} | rules
        if self.json_type == "array":
            kind = {"type": "array", "items": {"type": ["string", "number"]} | rules}
        if self.enum is not None:
            kind["enum"] = list(self.enum)
        if not required:
            kind["default"] = default
        if not required and default is None:
            kind["type"] = [kind["type"], "null"]
            if "enum" in kind:
                kind["enum"].append(None)
        return kind | ({"description": self.description} if self.description else {})


class RecipeParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Overrides of a parameter in one recipe."""

    type: _TypeName | None = None
    description: str | None = None
    required: bool = False
    default: Any = None


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    description: str = ""
    preset: dict[str, Any] = {}
    params: dict[str, RecipeParameter | None] = {}
    args: list[str] = []
    """Written after the command and its own `args`, before all options: a subcommand such as `log`."""
    only_reads: bool | None = None
    destructive: bool | None = None


class CommandSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    options: dict[str, Parameter] = {}
    positional: list[Parameter] = []


class CommandDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    type: Literal["cli"] = "cli"
    description: str = ""
    command: str = ""
    timeout: float = 60.0
    tags: list[str] = []
    schema: CommandSchema = CommandSchema()
    recipes: dict[str, Recipe] = {}
    direct: bool = True
    """The command can be called by itself, with all its parameters: `tools.curl(...)`."""
    args: list[str] = []
    """Written after the command, always. `{name}` stands for a parameter, `{name.address}` and `{name.port}` for a checked URL's."""
    env: dict[str, str] = {}
    worker_env: list[str] = []
    """Variables of the calling workflow, from the setting `worker_env`, that the command gets beside TZ."""
    working_directory: str | None = None
    success_codes: tuple[int, ...] = (0,)
    max_output_kb: int = 1024
    only_reads: bool = False
    destructive: bool = False

    @property
    def program(self) -> str:
        return self.command or self.name

    def parameters(self) -> dict[str, Parameter]:
        """All parameters by the name that a caller uses: options, then positional ones. `max-count` is called `max_count`."""
        return {python_name(each.name): each for each in (*self.options(), *self.schema.positional)}

    def options(self) -> tuple[Parameter, ...]:
        return tuple(msgspec.structs.replace(each, name=name) for name, each in self.schema.options.items())


def parse_command(data: dict[str, Any]) -> CommandDefinition:
    """The definition, checked. Raises BadSettings with a sentence."""
    try:
        definition = msgspec.convert(data, CommandDefinition)
    except msgspec.ValidationError as error:
        raise BadSettings(str(error).replace("Object", "the definition")) from None
    for name in (definition.name, *definition.recipes, *definition.parameters()):
        if not name.isidentifier():
            raise BadSettings(f"{name!r} cannot be a name in Python", "Use letters, digits and _.")
    if definition.name in RESERVED_SOURCES:
        raise BadSettings(f"tools.{definition.name} has a meaning of its own", "Give it another name.")
    if not definition.recipes and not definition.direct:
        raise BadSettings("there is nothing to call: no recipes, and `direct` is false")
    known = definition.parameters()
    for recipe_name, recipe in definition.recipes.items():
        for name in (*recipe.preset, *recipe.params):
            if python_name(name) not in known:
                raise BadSettings(f"the recipe {recipe_name} names {name!r}, and the schema does not have it")
    for item in (*definition.args, *(item for recipe in definition.recipes.values() for item in recipe.args)):
        for name, _ in placeholders(item):
            if name not in known:
                raise BadSettings(f"`args` names {{{name}}}, and the schema does not have it")
    for each in known.values():
        _check_pattern(each)
    return definition


def _check_pattern(parameter: Parameter) -> None:
    try:
        re.compile(parameter.pattern or "")
    except re.error as error:
        raise BadSettings(f"the pattern of {parameter.name} is not a regular expression: {error}") from None


def python_name(name: str) -> str:
    return name.replace("-", "_")


def placeholders(text: str) -> list[tuple[str, str]]:
    """The placeholders of an item of `args`: the parameter, and "address", "port" or ""."""
    return [(match["name"], match["part"] or "") for match in _PLACEHOLDER.finditer(text) if match["name"]]


def filled(text: str, values: dict[tuple[str, str], str]) -> str:
    def value(match: re.Match[str]) -> str:
        return values[match["name"], match["part"] or ""] if match["name"] else f"{{{match['literal']}}}"

    return _PLACEHOLDER.sub(value, text)
