"""`python -P -m repertoire.encoder --fd N`: serves the encoder on that socket. Torch is imported with the first model, not here."""

from __future__ import annotations

import argparse
import os
import socket

from .loop import Encoder, LoadedModel, serve
from .models import Candidate


def load(candidate: Candidate) -> LoadedModel:
    from .minilm import load as load_model

    return load_model(candidate)


def main() -> None:
    parser = argparse.ArgumentParser(prog="repertoire.encoder", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="an inherited socket to the host")
    parser.add_argument("--scratch", help="folder for the mapped vectors")
    options = parser.parse_args()
    sock = socket.socket(fileno=options.fd)
    sock.set_inheritable(False)
    os.nice(5)  # answers of runs are more urgent than a better order of search results
    serve(sock, Encoder(load, options.scratch))


if __name__ == "__main__":
    main()
