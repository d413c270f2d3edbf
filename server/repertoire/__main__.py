"""Entry point of `repertoire` and `python -m repertoire`: a plain `serve` is the front, every other command is the command line.

The front's imports are few, so it starts fast. The command line is imported only when it is needed.
"""

from __future__ import annotations

import sys

_NOT_THE_FRONT = ("--embedded", "--http", "--help", "-h")


def main() -> int:
    words = sys.argv[1:]
    if words[:1] == ["serve"] and not any(word.partition("=")[0] in _NOT_THE_FRONT for word in words):
        from repertoire.front import run

        return run(words[1:])
    from repertoire.cli import main as command_line

    command_line()
    return 0


if __name__ == "__main__":
    sys.exit(main())
