"""Entry point of `repertoire` and `python -m repertoire`: a plain `serve` is the front, every other command is the command line.

The front's imports are few, so it starts fast. The command line is imported only when it is needed.
"""

from __future__ import annotations

import sys

_NOT_THE_FRONT = ("--embedded", "--http", "--help", "-h")


def main() -> int:
    words = _home_behind(sys.argv[1:])
    if words[:1] == ["serve"] and not any(word.partition("=")[0] in _NOT_THE_FRONT for word in words):
        from repertoire.front import run

        return run(words[1:])
    from repertoire.cli import main as command_line

    command_line()
    return 0


def _home_behind(words: list[str]) -> list[str]:
    """`--home X serve` as `serve --home X`: the front knows its options only behind the command."""
    size = 2 if words[:1] == ["--home"] else 1 if words and words[0].startswith("--home=") else 0
    return ["serve", *words[:size], *words[size + 1 :]] if size and words[size : size + 1] == ["serve"] else words


if __name__ == "__main__":
    sys.exit(main())
