"""What people install: the wheel and the sdist, built here, installed into fresh environments, and used from there.

Without a network: the build backend and our dependencies are those of the environment that runs the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from repertoire.surfaces.mcp.guide import PAGES

ROOT = Path(__file__).parents[2]
READY = {file.stem for file in (ROOT / "workflows").glob("[!_]*.py")}
BUILT_FROM = (
    "server",
    "workflows",
    "tests",
    "docs",
    "clients",
    "scripts",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "constraints.txt",
    ".gitignore",
)


_BULKY = shutil.ignore_patterns("__pycache__", "node_modules", "weights")


def call(*command: str | Path, cwd: Path) -> str:
    """Runs a command, without the variables that would lead it back to the checkout; gives its output."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "REPERTOIRE_", "PIP_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it, both from a copy of the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=_BULKY)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    (source / "server" / "repertoire" / "__pycache__").mkdir()
    (source / "server" / "repertoire" / "__pycache__" / "stale.cpython-311.pyc").write_bytes(b"stale")
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=source)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (file,) = dist.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (file,) = dist.glob("*.tar.gz")
    return file


def content(wheel: Path) -> dict[str, int]:
    """The files in a wheel with the checksums of their contents; without RECORD, which lists the others."""
    with zipfile.ZipFile(wheel) as archive:
        return {file.filename: file.CRC for file in archive.infolist() if not file.filename.endswith("/RECORD")}


def environment(folder: Path, distribution: Path) -> Path:
    """A fresh environment with only `distribution` in it, that reaches the dependencies of ours. Gives its bin folder."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # A plain path in a .pth does not run the .pth files of that folder, so the checkout's editable install stays out;
    # "--ignore-installed" keeps pip from looking at it all the same.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", distribution)
    call(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    return folder / "bin"


def test_the_wheel_holds_the_package_the_ready_workflows_and_nothing_else(wheel: Path) -> None:
    files = set(content(wheel))
    sources = {
        file.relative_to(package.parent).as_posix()
        for package in (ROOT / "server" / "repertoire", ROOT / "clients" / "python" / "repertoire_client")
        for file in package.rglob("*")
        if file.suffix in (".py", ".pyi", ".sql", ".safetensors", ".yaml") or file.name in ("py.typed", "README.md")
    }
    ready = {f"repertoire/ready/{file.name}" for file in (ROOT / "workflows").glob("*.py")}
    pages = {f"repertoire/docs/{page}" for page in PAGES}
    info = "repertoire_mcp-0.1.0.dist-info"
    assert sources >= {"repertoire/py.typed", "repertoire_client/py.typed"}
    assert len(READY) >= 10 and ready >= {f"repertoire/ready/{name}.py" for name in READY}
    assert files == {
        *sources, *ready, *pages, f"{info}/METADATA", f"{info}/WHEEL", f"{info}/entry_points.txt", f"{info}/licenses/LICENSE"
    }  # fmt: skip


def test_the_wheel_says_what_it_is_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_string(archive.read("repertoire_mcp-0.1.0.dist-info/METADATA").decode())
    assert (metadata["Name"], metadata["License-Expression"], metadata["Requires-Python"]) == (
        "repertoire-mcp",
        "MIT",
        ">=3.11",
    )
    plain = {re.split("[<>=]", line)[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert {"mcp", "pydantic", "sentence-transformers"} <= plain
    assert str(metadata.get_payload()).startswith("# Repertoire")


def test_a_wheel_built_without_the_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("server", "clients", "workflows", "docs", "pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source, cwd=source)
    (direct,) = tmp_path.glob("*.whl")
    assert content(direct) == content(wheel)


def test_the_sdist_holds_what_is_needed_to_build_and_to_test(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "constraints.txt", "PKG-INFO"} <= files
    assert {"workflows/counter.py", "tests/project/test_packaging.py", "server/repertoire/py.typed"} <= files
    assert not [name for name in files if "__pycache__" in name or name.startswith((".venv", ".git/", ".ci"))]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_into_a_fresh_environment_and_works_there(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    distribution: Path = request.getfixturevalue(kind)
    folder = tmp_path / "fresh"
    bin_folder = environment(folder, distribution)
    where = tmp_path / "elsewhere"
    where.mkdir()

    code = "import repertoire, repertoire.app as app; print(repertoire.__version__, repertoire.__file__, app.ready_folder(), sep='\\n')"
    version, file, ready = call(bin_folder / "python", "-c", code, cwd=where).splitlines()
    assert version == "0.1.0"
    assert Path(file).is_relative_to(folder)
    assert Path(ready).is_relative_to(folder)
    assert {path.stem for path in Path(ready).glob("*.py")} >= READY
    assert "0.1.0" in call(bin_folder / "repertoire", "--version", cwd=where)

    code = "from repertoire.surfaces.mcp import guide; print(guide.page('writing'))"
    assert "session_state" in call(bin_folder / "python", "-c", code, cwd=where)
    answer = call(bin_folder / "repertoire", "run", "counter", "--home", tmp_path / "home", cwd=where)
    assert '"count": 1' in answer
