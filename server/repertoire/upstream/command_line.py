"""Command lines: makes the tools of a CommandDefinition, and the arguments of the program for one call; used by commands.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ..text import well_formed
from .addresses import AddressRules
from .checked_url import http_url, port_of
from .command_definition import CommandDefinition, Parameter, Recipe, filled, placeholders, python_name
from .tool import BadToolArguments, Tool


class Line(NamedTuple):
    """The program with its arguments, and its working folder."""

    command: tuple[str, ...]
    working_directory: str | None


def tools_of(definition: CommandDefinition) -> tuple[Tool, ...]:
    """A tool for each recipe, and one for the command itself unless `direct` is false or a recipe has its name."""
    found = [_tool(definition, name, recipe) for name, recipe in definition.recipes.items()]
    if definition.direct and definition.name not in definition.recipes:
        found.append(_tool(definition, definition.name, Recipe()))
    return tuple(found)


def _tool(definition: CommandDefinition, name: str, recipe: Recipe) -> Tool:
    parameters = _callable_parameters(definition, recipe)
    texts = [recipe.description or definition.description]
    if definition.tags:
        texts.append(f"Tags: {', '.join(definition.tags)}.")
    only_reads = definition.only_reads if recipe.only_reads is None else recipe.only_reads
    destructive = definition.destructive if recipe.destructive is None else recipe.destructive
    return Tool(
        source=definition.name,
        name=name,
        original=name,
        description=" ".join(filter(None, texts)),
        input_schema={
            "type": "object",
            "properties": {key: each for key, (each, _) in parameters.items()},
            "required": [key for key, (_, required) in parameters.items() if required],
            "additionalProperties": False,
        },
        output_schema={"type": "string"},
        only_reads=only_reads,
        is_destructive=destructive,
    )


def _callable_parameters(definition: CommandDefinition, recipe: Recipe) -> dict[str, tuple[dict[str, Any], bool]]:
    """The schemas of the parameters that a caller of the recipe may give, and whether they are required.

    A recipe without `params` has all of the schema. Required positional arguments are always there, unless they are preset.
    """
    overrides = {python_name(name): each for name, each in recipe.params.items()}
    preset = {python_name(name): value for name, value in recipe.preset.items()}
    found = {}
    for name, parameter in definition.parameters().items():
        override = overrides.get(name)
        is_required = parameter.required and name not in preset
        if overrides and name not in overrides and not is_required:
            continue
        default = preset.get(name, parameter.default)
        if override is not None:
            default = default if override.default is None else override.default
            is_required = is_required or override.required
        is_required = is_required and default is None
        schema = _with(parameter, override.type if override else None).schema(required=is_required, default=default)
        if override is not None and override.description is not None:
            schema["description"] = override.description
        found[name] = (schema, is_required)
    return found


def _with(parameter: Parameter, kind: Any) -> Parameter:
    return parameter if kind is None or parameter.type == "url" else msgspec.structs.replace(parameter, type=kind)


async def command_line(
    definition: CommandDefinition, tool: Tool, arguments: Mapping[str, Any], rules: AddressRules
) -> Line:
    """The arguments of the program: `args`, options, positional arguments. Raises BadToolArguments for a value that it must not get."""
    recipe = definition.recipes.get(tool.name, Recipe())
    known = definition.parameters()
    values = _values(definition, recipe, arguments)
    replaced: dict[tuple[str, str], str] = {}
    for name, value in values.items():
        if known[name].type == "url":
            value = values[name] = await _checked_url(str(value), name, rules, replaced)
        replaced[name, ""] = str(value)
    command = [definition.program]
    placed = set()
    for item in (*definition.args, *recipe.args):
        names = placeholders(item)
        placed |= {name for name, part in names if not part}
        if all(key in replaced for key in names):
            command.append(filled(item, replaced))
    for option in definition.options():
        if (name := python_name(option.name)) in values and name not in placed:
            command += _option(option, values[name])
    folder = definition.working_directory
    if folder is not None:
        names = placeholders(folder)
        placed |= {name for name, _ in names}
        folder = filled(folder, replaced) if all(key in replaced for key in names) else None
    for positional in definition.schema.positional:
        if (name := python_name(positional.name)) in values and name not in placed:
            command += ["--"] if positional.after_dashes else []
            command += _texts(values[name])
    return Line(tuple(command), folder)


def _values(definition: CommandDefinition, recipe: Recipe, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Preset, defaults and the caller's values by name. Only the caller's are checked: the others are the operator's own."""
    known = definition.parameters()
    values = {python_name(name): value for name, value in recipe.preset.items()}
    for name, parameter in known.items():
        override = recipe.params.get(name) or recipe.params.get(parameter.name)
        default = parameter.default if override is None or override.default is None else override.default
        if name not in values and default is not None:
            values[name] = default
    for name, value in arguments.items():
        if value is None:
            continue
        parameter = known[name]
        for text in _texts(value):
            _check_value(definition, name, parameter, text)
        values[name] = [well_formed(text) for text in _texts(value)] if isinstance(value, list) else value
        if isinstance(value, str):
            values[name] = well_formed(value)
    return values


def _check_value(definition: CommandDefinition, name: str, parameter: Parameter, text: str) -> None:
    if "\0" in text:
        raise BadToolArguments(f"{name} contains a NUL character, which no command line can hold.", "Leave it out.")
    if text.startswith("-") and not parameter.leading_dash:
        raise BadToolArguments(
            f"{name} begins with '-', and {definition.program} could take it for an option.",
            f"For a path write ./{text[:40]}. The operator can allow it in the definition: leading_dash: true.",
        )


def _option(option: Parameter, value: Any) -> list[str]:
    if option.json_type == "boolean":
        return [option.flag] if value else []
    return [part for text in _texts(value) for part in (option.flag, text)]


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


async def _checked_url(text: str, name: str, rules: AddressRules, replaced: dict[tuple[str, str], str]) -> str:
    """The URL in its normal form. `replaced` gets its checked address, to which the program is told to connect."""
    url = http_url(text)
    address = (await rules.checked(url.raw_host.decode("ascii"), port_of(url)))[0]
    replaced[name, "address"] = f"[{address}]" if ":" in address else address
    replaced[name, "port"] = str(port_of(url))
    return str(url)
