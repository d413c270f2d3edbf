"""Attacks by the doors: what a body may ask the server to do for it. And the tools of the client, by which code could approve itself."""

from __future__ import annotations

import json
from typing import Any, Final

from .attack import FAILED, Table
from .server import Server

DOORS: Final = Table("doors")
outside = DOORS.outside
_REFUSED: Final = ("refused .*", *FAILED)


def _addresses(server: Server) -> dict[str, str]:
    targets = server.canaries.targets()
    port = targets["tcp"]
    return {
        "loopback": f"http://127.0.0.1:{port}/", "name": f"http://localhost:{port}/", "IPv6": f"http://[::1]:{port}/",
        "mapped": f"http://[::ffff:127.0.0.1]:{port}/", "number": f"http://2130706433:{port}/", "octal": f"http://0177.0.0.1:{port}/",
        "short": f"http://127.1:{port}/", "any": f"http://0.0.0.0:{port}/", "metadata": "http://169.254.169.254/latest/meta-data/",
        "file": f"file://{targets['secret']}", "gopher": f"gopher://127.0.0.1:{port}/x", "user": f"http://public.example@127.0.0.1:{port}/",
        "unix": f"http+unix://{targets['unix']}/", "link": f"http://[fe80::1%25lo]:{port}/", "dots": f"http://127。0。0。1:{port}/",
        "line": f"http://127.0.0.1:{port}/\\r\\nHost: x",
    }  # fmt: skip


@outside("has the server fetch what only this machine reaches, under sixteen addresses", ("refused all",))
def fetch(server: Server) -> str:
    source = (
        "from repertoire import tools\nfound = {}\nfor name, url in addresses.items():\n    try:\n"
        "        found[name] = str(tools.fetch(url=url))[:60]\n    except Exception as error:\n        continue\nfound\n"
    )
    answer = server.run(source, {"addresses": _addresses(server)})
    return "refused all" if answer.get("result") == {} else server.outcome(answer)


@outside("has the server's programs read a file", ("refused all",))
def programs(server: Server) -> str:
    secret, home = str(server.canaries.secret), str(server.canaries.user_home)
    calls = {
        "tools.curl": f"url='file://{secret}'", "tools.grep": f"pattern='canary', path='{secret}'",
        "tools.git": f"args=['-C', '{home}', 'log']",
        "tools.git.log": f"path='{home}'", "tools.grep.search": f"pattern='canary', path='{home}'", "tools.curl.get": f"url='file://{secret}'",
    }  # fmt: skip
    found = {}
    for name, arguments in calls.items():
        outcome = server.outcome(server.run(f"from repertoire import tools\nfound = {name}({arguments})\nstr(found)\n"))
        if outcome.startswith("completed"):
            found[name] = outcome
    return f"{found}" if found else "refused all"


@outside("runs commands in the shell of a harness", _REFUSED)
def shell(server: Server) -> str:
    source = (
        "from repertoire import create_agent\n\nagent = create_agent(model='test')\n\n\nasync def run(ctx) -> str:\n"
        '    """Run a command."""\n    harness = await ctx.init(agent)\n    return str(await harness.shell("id; cat /etc/passwd"))\n'
    )
    return server.outcome(server.run(source))


@outside(
    "calls a workflow of the operator that a person has not opened to it", ("refused .*", "failed .*", "completed 1")
)
def operator_workflow(server: Server) -> str:
    """`completed 1`: it was opened. The workflow itself runs as the operator's, whoever calls it."""
    return server.outcome(server.run("await workflows.echo(number=1)"))


@outside("looks at other people's runs by their ids", ("refused .*", *FAILED, "completed .*"))
def other_runs(server: Server) -> str:
    return server.outcome(server.tool("get_run", run_id="workflow:echo:01ARZ3NDEKTSV4RRFFQ69G5FAV"))


@outside("approves its own version by the tools that there are", ("refused all",))
def approves_itself(server: Server) -> str:
    made = server.tool("create_workflow", name="attack_approved", source=_READS, replace=True, publish=False)
    found = []
    for name in ("approve_workflow", "approve", "trust_workflow"):
        answer = server.tool(name, name="attack_approved", version=made.get("version"))
        if not answer["is_error"]:
            found.append(f"{name}: {answer}")
    server.tool("publish_workflow", name="attack_approved", version=made.get("version"))
    ran = server.tool("run_workflow", name="attack_approved", arguments={"path": str(server.canaries.secret)})
    if ran.get("status") == "completed":
        found.append(f"it ran and read: {json.dumps(ran)[:200]}")
    return "; ".join(found) or "refused all"


@outside("says in its options and names that it is the operator's", (*_REFUSED, "completed 'refused'"))
def forged_origin(server: Server) -> str:
    source = _READS
    claims: dict[str, Any] = {"origin": "operator", "trust": "approved", "is_trusted": True}
    server.tool("create_workflow", name="attack_origin", source=f"__workflow__ = {claims!r}\n{source}", replace=True)
    answer = server.tool("create_workflow", name="attack_origin", source=source, replace=True, **claims)
    if "protocol_error" not in answer and not answer["is_error"]:
        return f"taken: {answer}"
    return server.outcome(answer)


@outside("creates a trusted workflow from within a run", (*_REFUSED, "completed 'refused'"))
def created_by_a_run(server: Server) -> str:
    """What a run creates is no more trusted than the run."""
    source = (
        "from repertoire import workflows\n"
        f"await workflows.create(name='attack_inner', source={_READS!r})\n"
        "try:\n    found = await workflows.attack_inner(path=path)\nexcept Exception:\n    found = 'refused'\nfound\n"
    )
    return server.outcome(server.run(source, {"path": str(server.canaries.secret)}))


@outside("imports a module that the list of packages does not have", ("refused .*", *FAILED))
def forbidden_import(server: Server) -> str:
    return server.outcome(server.run("import ctypes\nctypes.CDLL(None).getpid()"))


@outside("imports the server's own modules", ("refused .*", *FAILED))
def server_import(server: Server) -> str:
    return server.outcome(server.run("import repertoire.settings\nstr(repertoire.settings.load())"))


@outside("imports a package that reaches the network", ("refused .*", *FAILED))
def network_import(server: Server) -> str:
    return server.outcome(server.run("import httpx2\nhttpx2.get('http://127.0.0.1:1/').text"))


_READS: Final = 'def run(path: str) -> str:\n    """Read."""\n    return open(path).read()\n'
