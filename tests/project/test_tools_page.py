"""The definitions that docs/tools.md shows can be read, and its functions are tools."""

from __future__ import annotations

from pathlib import Path

import yaml

from repertoire.limits import Limits
from repertoire.registry.tool_file import read_tool_file
from repertoire.upstream.addresses import check_listed
from repertoire.upstream.command_definition import CommandDefinition, CommandSchema, Parameter, Recipe
from repertoire.upstream.definitions import SHIPPED, read_definitions, shipped_command
from support.pages import blocks

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text()


def test_the_definitions_can_be_read(tmp_path: Path) -> None:
    for block in blocks(PAGE, "yaml"):
        (tmp_path / f"{yaml.safe_load(block)['name']}.yaml").write_text(block)
    found = read_definitions(tmp_path)
    assert not found.troubles
    names = [each.definition.name for each in found.commands] + [each.definition.name for each in found.apis]
    assert names == ["jq", "shop"]


def test_the_functions_are_tools(tmp_path: Path) -> None:
    (source,) = [block for block in blocks(PAGE, "python") if "__tools__" in block]
    (tmp_path / "orders.py").write_text(source)
    found = read_tool_file(str(tmp_path / "orders.py"), Limits())
    assert list(found.versions) == ["count_orders", "cancel_order"] and found.options.destructive == ("cancel_order",)


def test_every_key_of_ours_is_shown() -> None:
    theirs = {
        "name",
        "type",
        "description",
        "command",
        "timeout",
        "tags",
        "schema",
        "recipes",
        "options",
        "positional",
        "preset",
        "params",
    }
    theirs |= {"short", "required", "default"}
    kinds = (CommandDefinition, CommandSchema, Parameter, Recipe)
    ours = {field for kind in kinds for field in kind.__struct_fields__} - theirs
    assert [key for key in sorted(ours) if f"`{key}" not in PAGE] == []


def test_the_recipes_of_what_comes_with_repertoire_are_named() -> None:
    for name in SHIPPED:
        assert [recipe for recipe in shipped_command(name).recipes if f"{recipe}`" not in PAGE] == [], name
    check_listed("wiki.internal")
