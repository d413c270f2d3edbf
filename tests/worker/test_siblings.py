"""What lies beside and below a workflow file: found as in plain Python, part of the version, fresh in each run."""

from __future__ import annotations

import os
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from repertoire.app import App
from repertoire.model.session import Caller
from repertoire.registry.source_imports import Uses, uses_of
from repertoire.worker.source.siblings import Siblings
from support.survivals import opened

pytestmark = pytest.mark.anyio


class Files:
    """A workflow folder of an app, written and run."""

    def __init__(self, app: App, folder: Path) -> None:
        self._app = app
        self.folder = folder
        self.caller = Caller(roots=(str(folder),))

    def write(self, **files: str) -> None:
        """`a__b="..."` writes a/b.py; a name with a dot is written as it is."""
        for name, text in files.items():
            path = self.folder / (name if "." in name else name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    async def outcome(self, name: str) -> dict[str, Any]:
        await self._app.service.library.refresh(self.caller)
        live = await self._app.service.runs.start(self.caller, name, {})
        return self._app.service.runs.envelope(await self._app.service.runs.wait_for_end(live))

    async def result(self, name: str) -> Any:
        answer = await self.outcome(name)
        assert answer["status"] == "completed", answer
        return answer["result"]

    def version(self, name: str) -> Any:
        return self._app.service.library.find(self.caller, name)


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    async with opened(tmp_path / "home", workers="1") as app:  # each run in the same worker
        yield Files(app, tmp_path / "files")


PATHS = {
    "the file's folder": ("lib_rates", "os.path.dirname(__file__)"),
    "resolved": ("lib_rates", "str(__import__('pathlib').Path(__file__).resolve().parent)"),
    "a folder below": ("below/lib_rates", "os.path.join(os.path.dirname(__file__), 'below')"),
    "two below": ("below/more/lib_rates", "os.path.dirname(__file__) + '/below/more'"),
    "relative to the working folder": (
        "below/lib_rates",
        "os.path.abspath('below') if False else os.path.dirname(__file__) + '/./below/'",
    ),
}


@pytest.mark.parametrize("place", PATHS)
@pytest.mark.parametrize("change", ["append(PLACE)", "insert(0, PLACE)"])
async def test_w18_a_helper_found_by_sys_path_is_part_of_the_version_and_fresh(
    files: Files, place: str, change: str
) -> None:
    file, expression = PATHS[place]
    files.write(**{
        f"{file}.py": "RATE = 1\n",
        "flow": f'''
            import os, sys
            PLACE = {expression}
            sys.path.{change}
            import lib_rates
            def run() -> list:
                """R."""
                lib_rates.SEEN = getattr(lib_rates, "SEEN", 0) + 1
                return [lib_rates.RATE, lib_rates.SEEN]
        ''',
    })  # fmt: skip
    assert [await files.result("flow") for _ in range(2)] == [[1, 1]] * 2
    before = files.version("flow")
    assert [module.name for module in before.modules] == ["lib_rates"]
    (files.folder / f"{file}.py").write_text("RATE = 22\n")
    assert await files.result("flow") == [22, 1]
    assert files.version("flow").hash != before.hash


REL = {
    "rel__a": "from .b import B\nfrom . import c as other\nfrom .sub.deep import up\na = B + other.C\n",
    "rel__b": "B = 1\n",
    "rel__c": "C = 10\n",
    "rel__sub__deep": "from ..b import B\nfrom .. import c\ndef up():\n    from ..late import L\n    return B + c.C + L\n",
    "rel__late": "L = 100\n",
}


@pytest.mark.parametrize("kind", ["package", "namespace"])
async def test_w19_a_package_is_bundled_with_its_relative_imports(files: Files, kind: str) -> None:
    files.write(
        **REL,
        flow='from rel.a import a, up\ndef run() -> list:\n    """R."""\n    return [a, up(), __import__("rel").__name__]\n',
    )
    if kind == "package":
        files.write(**{"rel/__init__.py": ""}, **{"rel/sub/__init__.py": ""})
    assert await files.result("flow") == [11, 111, "rel"]
    names = {module.name for module in files.version("flow").modules}
    assert {"rel.a", "rel.b", "rel.c", "rel.sub.deep", "rel.late"} <= names
    files.write(rel__late="L = 5000\n")
    assert await files.result("flow") == [11, 5011, "rel"]


WAYS = {
    "import as": "import rel.sub.deep as d\ndef run():\n    return d.up()",
    "inside a function": "def run():\n    from rel.sub import deep\n    return deep.up()",
    "conditional": "import os\nif os.name != 'nothing':\n    import rel.sub.deep\ndef run():\n    return rel.sub.deep.up()",
    "try": "try:\n    import rel.sub.deep as d\nexcept ImportError:\n    d = None\ndef run():\n    return d.up()",
    "absent": "try:\n    import rel.nothing as d\nexcept ImportError:\n    import rel.sub.deep as d\ndef run():\n    return d.up()",
    "import_module": "import importlib\ndef run():\n    return importlib.import_module('rel.sub.deep').up()",
    "relative import_module": "from importlib import import_module\ndef run():\n    return import_module('.deep', 'rel.sub').up()",
    "made at run time": "import importlib\ndef run(name: str = 'deep'):\n    return importlib.import_module(f'rel.sub.{name}').up()",
    "any name": "import importlib\ndef run(name: str = 'rel.sub.deep'):\n    return importlib.import_module(name).up()",
    "pkgutil": "import pkgutil, importlib, rel.sub\ndef run():\n"
    "    found = [one.name for one in pkgutil.iter_modules(rel.sub.__path__, 'rel.sub.')]\n"
    "    return importlib.import_module(found[0]).up()",
    "star": "from rel.sub.deep import *\ndef run():\n    return up()",
    "a helper's helper": "import helper\ndef run():\n    return helper.deep.up()",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_w19_ways_to_import_a_sibling(files: Files, way: str) -> None:
    files.write(
        **REL,
        **{"rel/__init__.py": ""},
        **{"rel/sub/__init__.py": ""},
        helper="from rel.sub import deep\n",
        flow=WAYS[way] + "\n",
    )
    assert await files.result("flow") == 111
    files.write(rel__c="C = 20\n")
    assert await files.result("flow") == 121
    assert [module for module in files.version("flow").modules if module.name == "rel.c"]


async def test_w19_data_of_a_package_is_part_of_the_version(files: Files) -> None:
    files.write(
        **{"rel/__init__.py": ""},
        flow='''
            import pkgutil
            from importlib import resources
            def run() -> list:
                """R."""
                rates = resources.files("rel") / "data" / "rates.txt"
                with resources.as_file(rates) as path:
                    read = path.read_text()
                names = sorted(one.name for one in resources.files("rel").joinpath("data").iterdir())
                return [rates.read_text(), read, pkgutil.get_data("rel", "data/rates.txt").decode(), rates.open("rb").read(1).hex(), names]
        ''',
    )  # fmt: skip
    files.write(**{"rel/data/rates.txt": "1.5", "rel/data/other.bin": "x"})
    assert await files.result("flow") == ["1.5", "1.5", "1.5", "31", ["other.bin", "rates.txt"]]
    before = files.version("flow")
    assert {one.path for one in before.files} == {"rel/data/rates.txt", "rel/data/other.bin"}
    files.write(**{"rel/data/rates.txt": "2.75"})
    assert (await files.result("flow"))[0] == "2.75"
    assert files.version("flow").hash != before.hash
    files.write(**{"rel/data/large.txt": "x" * (2 << 20)})  # too much to be stored: read from the disk
    os.utime(files.folder / "flow.py", (1, 1))
    answer = await files.result("flow")
    assert answer[0] == "2.75" and "large.txt" in answer[4] and files.version("flow").files == ()


async def test_a_run_that_goes_on_finds_the_modules_and_data_it_began_with(tmp_path: Path) -> None:
    caller = Caller(roots=(str(tmp_path / "files"),))
    async with opened(tmp_path / "home") as app:
        files = Files(app, tmp_path / "files")
        files.write(
            **{"rel/__init__.py": ""}, rel__a="from .b import B\n", rel__b="B = 'old'\n",
            flow='''
                import os, sys
                from importlib import resources
                sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
                def run() -> list:
                    """R."""
                    ask("Go on?", bool)
                    import rel.a, tool
                    return [rel.a.B, tool.T, resources.files("rel").joinpath("d.txt").read_text()]
            ''',
        )  # fmt: skip
        files.write(lib__tool="T = 'old'\n", **{"rel/d.txt": "old"})
        await app.service.library.refresh(caller)
        live = await app.service.runs.start(caller, "flow", {})
        await app.service.runs.wait(live, 20)
        await live.done.wait()
    for path in ("rel/b.py", "lib/tool.py", "rel/d.txt"):
        (tmp_path / "files" / path).write_text("B = T = 'new'\n")
    (tmp_path / "files" / "rel" / "a.py").unlink()
    async with opened(tmp_path / "home") as app:
        await app.service.runs.answer(caller, live.run.id, True)
        async for _ in app.service.runs.follow(live.run.id):
            pass
        assert (await app.service.runs.get(caller, live.run.id))["result"] == ["old", "old", "old"]


async def test_a_workflow_inside_a_package_imports_from_it(files: Files) -> None:
    files.write(
        **{"rel/__init__.py": "NAME = 'rel'\n"}, rel__b="B = 1\n", common="C = 2\n",
        rel__flow='from .b import B\nfrom . import NAME\nimport common\ndef run() -> list:\n    """R."""\n    return [B, NAME, common.C]\n',
    )  # fmt: skip
    assert await files.result("rel_flow") == [1, "rel", 2]
    files.write(rel__b="B = 10\n", common="C = 20\n")
    assert await files.result("rel_flow") == [10, "rel", 20]


async def test_a_module_that_appears_later_is_found(files: Files) -> None:
    source = (
        "try:\n    import fast\nexcept ImportError:\n    fast = None\n"
        'def run() -> str:\n    """R."""\n    return fast.WORD if fast else "slow"\n'
    )
    files.write(flow=source)
    assert await files.result("flow") == "slow"
    files.write(fast="WORD = 'fast'\n")
    assert await files.result("flow") == "fast"
    (files.folder / "fast.py").unlink()
    assert await files.result("flow") == "slow"


async def test_a_project_in_a_folder_of_its_own_finds_its_packages(files: Files) -> None:
    """`my-app` is no package, and `db` lies beside the package of the workflow."""
    project = files.folder / "my-app"
    for name, text in {
        "db/__init__.py": "",
        "db/session.py": "from .url import URL\n",
        "db/url.py": "URL = 'x://'\n",
        "workflows/__init__.py": "",
        "workflows/settings.py": "N = 1\n",
        "workflows/report.py": "from db.session import URL\nfrom workflows.settings import N\nfrom .settings import N as M\n\n\n"
        'def run() -> str:\n    """R."""\n    return f"{URL}{N}{M}"\n',
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    assert await files.result("my_app_workflows_report") == "x://11"


async def test_a_file_of_the_workflow_folder_imports_what_lies_beside_it_relatively(files: Files) -> None:
    files.write(
        words="from .more import LENGTH\n\n\ndef count(text):\n    return len(text.split()) + LENGTH\n",
        more="LENGTH = 10\n",
        flow='from . import more\nfrom .words import count\n\n\ndef run() -> int:\n    """R."""\n    return count("a b") + more.LENGTH\n',
        other='def run() -> bool:\n    """R."""\n    import sys\n    return hasattr(sys.modules["repertoire_workflow"], "more")\n',
    )
    assert await files.result("flow") == 22
    assert await files.result("other") is False


async def test_the_same_text_in_two_folders_finds_what_is_beside_it(tmp_path: Path) -> None:
    source = 'import os\ndef run() -> str:\n    """R."""\n    return open(os.path.join(os.path.dirname(__file__), "words.txt")).read()\n'
    async with opened(tmp_path / "home", workers="1") as app:
        for name in ("one", "two"):
            files = Files(app, tmp_path / name)
            files.write(flow=source, **{"words.txt": name})
            assert await files.result("flow") == name


async def test_what_a_body_reaches_by_a_name_nobody_could_read_is_fresh_too(files: Files) -> None:
    files.write(lib__late="L = 1\n", flow='''
        import os, sys
        def run() -> int:
            """R."""
            getattr(sys, "pa" + "th").append(os.path.dirname(__file__) + "/lib")
            exec("import late as found", globals())
            return found.L
    ''')  # fmt: skip
    assert await files.result("flow") == 1
    files.write(lib__late="L = 22\n")
    assert await files.result("flow") == 22


async def test_a_helper_that_is_missing_is_not_said_to_be_a_package_to_install(files: Files) -> None:
    files.write(
        rel__a="from .gone import x\n", flow='def run():\n    """R."""\n    from rel.a import x\n    return x\n'
    )
    error = (await files.outcome("flow"))["error"]
    assert "rel.gone" in error["message"] and "pip install" not in (error["hint"] or "")
    assert str(files.folder / "rel") in error["hint"]


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import a.b as c, json, os.path", ("a.b",)),
        ("from a import b, c", ("a", "a.b", "a.c")),
        ("from . import b\nfrom ..x.y import z", (".", ".b", "..x.y", "..x.y.z")),
        ("import importlib\nimportlib.import_module('../../etc/passwd')\n__import__('a/b')\nimport_module('')", ()),
        ("import_module('.b', __package__); import_module('.b', 'a')", (".b", "a.b")),
        ("import_module(f'a.b_{x}'); import_module('a.' + x); import_module(x)", ("a.*", "*")),
    ],
)
def test_imports_are_read_as_they_are_written(source: str, imports: tuple[str, ...]) -> None:
    import ast

    assert uses_of(ast.parse(source)) == Uses(imports)


def test_nothing_is_answered_while_no_version_is_loaded() -> None:
    assert Siblings().find_spec("anything") is None
