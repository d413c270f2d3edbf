"""`python -P -m repertoire.worker --fd N`: a pooled worker on that socket; with `--zygote`, the process that forks workers."""

from __future__ import annotations

import argparse
import gc
import socket

from ..compat import hook
from .process import prepare_standard_streams, serve
from .resource_limits import limit_memory
from .source.typed_dicts import accept_typed_dicts


def main() -> None:
    parser = argparse.ArgumentParser(prog="repertoire.worker", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="an inherited socket to the host")
    parser.add_argument("--zygote", action="store_true", help="fork workers instead of being one")
    parser.add_argument(
        "--prefer-installed", action="store_true", help="let installed packages win over our pages in their place"
    )
    parser.add_argument("--sandbox", metavar="JSON", help="lock the zygote in: it forks workers for untrusted code")
    parser.add_argument(
        "--preload", action="append", default=[], metavar="MODULE", help="a module that most workers will want"
    )
    parser.add_argument("--memory-mb", type=int, default=0, help="what this process, and each child, may allocate")
    options = parser.parse_args()
    prepare_standard_streams()
    accept_typed_dicts()
    hook.install(prefer_real=options.prefer_installed)
    limit_memory(options.memory_mb)
    sock = socket.socket(fileno=options.fd)
    sock.set_inheritable(False)
    if options.zygote:
        from .zygote import Zygote

        Zygote(sock, options.sandbox, options.preload).serve()
    gc.freeze()  # the modules loaded now stay, so the collector need not visit them after each run
    serve(sock, watch=True)


if __name__ == "__main__":
    main()
