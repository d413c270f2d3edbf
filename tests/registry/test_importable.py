"""Imports of created code: the list, the setting that changes it, and the findings on every other import. Without a server."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec

import pytest

from repertoire.distributions import distribution_of
from repertoire.errors import BadSettings
from repertoire.model.workflow_version import Finding
from repertoire.registry.import_groups import GROUPS, PACKAGES, PRIVATE, REMOVED, UNLISTED
from repertoire.registry.importable import Importable
from repertoire.registry.review import bad_imports
from repertoire.settings import load

HANDLED = "try:\n    import {name}\nexcept ImportError:\n    {name} = None\n"
ALONE = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
def refuse(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")):
        raise PermissionError(event)
sys.addaudithook(refuse)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(name, type(error).__name__, error)
"""
"""Imports modules in a process that starts no other one and opens no socket. It prints those that cannot be imported so."""
HEAVY = {
    "sklearn",
    "scipy",
    "sympy",
    "pandas",
    "polars",
    "pyarrow",
    "matplotlib",
    "seaborn",
    "statsmodels",
    "xarray",
    "plotly",
}
"""Packages that take longer to import than all others together. They were tried by hand."""


def found(source: str, *setting: str, beside: str = "") -> list[Finding]:
    return bad_imports(ast.parse(source), source, {}, lambda name: name == beside, Importable(setting))


def failed_imports(names: list[str]) -> str:
    command = [sys.executable, "-c", ALONE, *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_each_module_is_in_one_table_and_each_package_can_be_installed_by_its_name() -> None:
    names = [*PACKAGES, *(name for group in GROUPS for name in group.modules)]
    assert len(names) == len({*names})
    assert [name for name in PACKAGES if distribution_of(name) is None] == []
    for group in (*GROUPS, PRIVATE, REMOVED, UNLISTED):
        assert group.reason[0].islower() and group.instead.endswith("."), group


def test_each_module_of_the_standard_library_that_may_be_imported_can_be_imported() -> None:
    allowed = [name for name in sorted(sys.stdlib_module_names) if Importable().refusal(name) is None]
    assert len(allowed) > 150 and {"json", "asyncio", "sqlite3", "threading", "__future__"} <= {*allowed}
    assert failed_imports([name for name in allowed if name != "this" and find_spec(name) is not None]) == ""


def test_each_listed_package_that_is_installed_can_be_imported_without_network_and_processes() -> None:
    installed = [name for name in Importable().installed() if name not in HEAVY]
    assert {"pydantic", "yaml", "numpy"} <= {*installed}
    assert failed_imports(installed) == ""


@pytest.mark.parametrize(
    ("source", "place", "message", "hint"),
    [
        ("import json\nimport subprocess\n", (2, 7), "`subprocess` cannot be imported here: created code starts no processes.", "threads"),
        ("def run():\n    import socket\n", (2, 11), "`socket` cannot be imported here", "tools.fetch(url=...)"),
        ("from urllib import parse, request\n", (1, 0), "`urllib.request` cannot", "tools.fetch"),
        ("import urllib.request as web\n", (1, 7), "`urllib.request` cannot", "tools.fetch"),
        ("from http.client import HTTPConnection\n", (1, 0), "`http.client` cannot", "tools.fetch"),
        ("from concurrent.futures import ProcessPoolExecutor\n", (1, 0), "`concurrent.futures.ProcessPoolExecutor` cannot", "ThreadPool"),
        ("import httpx\n", (1, 7), "`httpx` cannot be imported here: created code has no network.", "tools.fetch"),
        ("import boto3\n", (1, 7), "`boto3` cannot be imported here: created code has no network.", "tools.fetch"),
        ("from openai import OpenAI\n", (1, 0), "`openai` cannot", "from repertoire import Agent"),
        ("import ctypes\n", (1, 7), "`ctypes` cannot", "Write it in Python"),
        ("import _posixsubprocess\n", (1, 7), "`_posixsubprocess` cannot be imported here: it is a private module", "public"),
        ("import pytest\n", (1, 7), "`pytest` cannot be imported here: it is not among the packages", "the setting `packages`"),
        ("import __main__\n", (1, 7), "`__main__` cannot", "Write it without"),
        ("import importlib\ndef run():\n    return importlib.import_module('socket')\n", (3, 11), "`socket` cannot", "tools.fetch"),
        ("x = __import__('os.path', fromlist=['a']), __import__('pty')\n", (1, 43), "`pty` cannot", "threads"),
        ("try:\n    import ctypes\nexcept ImportError:\n    raise\n", (2, 11), "`ctypes` cannot", "Write it in Python"),
        ("try:\n    import ctypes\nexcept ValueError:\n    pass\n", (2, 11), "`ctypes` cannot", "Write it in Python"),
        ("try:\n    x = 1\nexcept ImportError:\n    import ctypes\n", (4, 11), "`ctypes` cannot", "Write it in Python"),
        ("import repertoire.settings\n", (1, 7), "`repertoire.settings` cannot be imported here: it is a module of the server", "Is it"),
        ("from repertoire import step, settings\n", (1, 0), "`repertoire.settings` cannot", "Is it"),
        ("from repertoire.store.sqlite import open_database\n", (1, 0), "`repertoire.store` cannot", "Is it"),
        ("from repertoire_client import SyncRepertoireClient\n", (1, 0), "`repertoire_client` cannot", "workflows.NAME(argument=...)"),
    ],
)  # fmt: skip
def test_an_import_that_is_not_allowed_is_an_error_with_its_place_and_a_substitute(
    source: str, place: tuple[int, int], message: str, hint: str
) -> None:
    (one,) = found(source)
    assert (one.rule, one.severity, (one.line, one.column)) == ("import_not_allowed", "error", place)
    assert one.message.startswith(message) and hint in str(one.hint)
    if "module of the server" not in one.message:
        assert "Importable are the standard library, numpy" in str(one.hint) and "guide('packages')" in str(one.hint)
    own = bad_imports(ast.parse(source), source, {}, lambda name: False)
    assert [one.rule for one in own if one.rule != "missing_package"] == [], "files of the operator may"


def test_a_package_that_is_missing_and_a_name_that_is_no_module_are_errors_too() -> None:
    (listed,) = found("import polars\n")
    assert (listed.rule, listed.severity) == ("missing_package", "error")
    assert "pip install polars. Importable are" in str(listed.hint) and "setting" not in str(listed.hint)
    (other,) = found("def run():\n    import no_such_package\n")
    assert (other.rule, other.severity) == ("missing_package", "error")
    assert "who can install it, and list it in the setting `packages`: " in str(other.hint)
    (ours,) = found("from workflows import x\n")
    assert (ours.rule, ours.severity) == ("unknown_import", "error") and "pip" not in str(ours.hint)
    (name,) = found("from repertoire import durable_step\n")
    assert (name.rule, name.severity) == ("unknown_import", "error")


@pytest.mark.parametrize(
    "source",
    [
        "import json, os.path, asyncio\nfrom urllib.parse import quote\nfrom http import HTTPStatus\nimport concurrent.futures\n",
        "from __future__ import annotations\nimport numpy.random, pydantic\nfrom sklearn import svm\n",
        "from repertoire import step\nfrom agno.agent import Agent\nfrom phi.model.openai import OpenAIChat\nimport pyflue\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import httpx, no_such_package\n",
        HANDLED.format(name="no_such_package"),
        HANDLED.format(name="boto3"),
        "from . import beside\n",
        "import importlib\ndef run(name):\n    return importlib.import_module(name)\n",
        "import sqlite3, tempfile, shutil, pickle, inspect, logging.handlers\n",
    ],
)
def test_other_imports_are_no_finding(source: str) -> None:
    assert found(source) == []


@pytest.mark.parametrize(
    "source",
    [
        HANDLED.format(name="httpx"),
        "from contextlib import suppress\nwith suppress(ImportError):\n    import httpx\n",
        "import sys\nif sys.platform == 'win32':\n    import winreg\n",
        "import sys\nif sys.version_info >= (3, 11):\n    import tomllib\nelse:\n    import no_such_package\n",
    ],
)
def test_an_import_that_the_source_can_do_without_is_a_warning(source: str) -> None:
    (one,) = found(source)
    assert one.severity == "warning"


def test_a_function_below_a_try_is_executed_later_and_not_guarded() -> None:
    (one,) = found("try:\n    def run():\n        import httpx\nexcept ImportError:\n    pass\n")
    assert one.severity == "error"


def test_a_module_beside_the_source_is_no_package() -> None:
    assert found("import httpx\n", beside="httpx") == []


@pytest.mark.parametrize(
    ("setting", "source", "rule"),
    [
        (["httpx"], "import httpx\n", None),
        (["PyYAML", "-pyyaml"], "import yaml\n", "import_not_allowed"),
        (["-scikit-learn"], "from sklearn import svm\n", "import_not_allowed"),
        (["-attrs"], "import attr\n", "import_not_allowed"),
        (["-sqlite3"], "import sqlite3\n", "import_not_allowed"),
        (["pytest-timeout"], "import pytest_timeout\n", None),
        (["http.client"], "import http.client\n", None),
        (["http.client"], "import http.server\n", "import_not_allowed"),
        (["-http"], "from http import HTTPStatus\n", "import_not_allowed"),
        (["google-genai"], "from google import genai\n", None),
        (["no-such-package"], "import no_such_package\n", "missing_package"),
    ],
)
def test_the_setting_adds_and_removes_by_module_and_by_distribution(
    setting: list[str], source: str, rule: str | None
) -> None:
    assert [one.rule for one in found(source, *setting)] == ([rule] if rule else [])


def test_the_setting_is_read_from_a_variable_and_its_names_are_checked() -> None:
    settings = load(home="/nonexistent", environ={"REPERTOIRE_PACKAGES": "duckdb,-numpy"})
    assert settings.packages == ("duckdb", "-numpy")
    with pytest.raises(BadSettings, match="names no package"):
        load(home="/nonexistent", environ={"REPERTOIRE_PACKAGES": "a b"})


def test_the_whole_list_says_what_is_there_and_what_the_setting_did() -> None:
    facts = Importable(["pytest", "-numpy", "no-such-package"]).facts()
    rows = {row["name"]: row for row in facts["packages"]}
    assert rows["pytest"]["from"] == "setting" and rows["pydantic"]["from"] == "default"
    assert rows["yaml"]["distribution"] == "PyYAML" and rows["yaml"]["version"]
    assert facts["removed"] == ["numpy"] and "numpy" not in rows and "httpx" not in rows
    missing = {row["name"]: row["from"] for row in facts["not_installed"]}
    assert missing["no_such_package"] == "setting" and missing["polars"] == "default"
    groups = {name: group["instead"] for group in facts["standard_library_without"] for name in group["modules"]}
    assert "tools.fetch" in groups["socket"] and "httpx" not in groups
