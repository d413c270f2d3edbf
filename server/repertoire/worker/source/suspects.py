"""Suspects: finds the parts of a source that most likely gave another value when its body was run again; used by `body_errors`.

The run's own `time`, `random` and `uuid`, and the global generators of numpy and torch, give the same values again.
The things in this table do not.
"""

from __future__ import annotations

import re
from typing import Final

_MOST: Final = 3
_KINDS: Final = (
    (
        r"\bdefault_rng\(\s*\)|\bRandomState\(\s*\)|\b(?:PCG64|MT19937|Philox|SFC64)\(\s*\)",
        "a generator of numpy without a seed",
    ),
    (r"\btorch\b.*\b(?:Generator|seed)\(\s*\)|\bcuda\b", "torch: a generator without a seed, or a GPU"),
    (r"\b[Ff]aker\b|\bFaker\(|\bmimesis\b|\bFactoryBoy\b", "a generator of fake data, which has a seed of its own"),
    (r"\bsecrets\b", "`secrets`"),
    (r"\bos\.urandom\b|\burandom\(|\bgetrandom\(", "`os.urandom`"),
    (r"\bSystemRandom\b", "`random.SystemRandom`"),
    (r"\bos\.environ\b|\bgetenv\(", "the environment"),
    (r"\bgetpid\(|\bid\(|\bget_ident\(|\bgethostname\(", "a number of this process or machine"),
    (r"\bhash\(|\bset\(|\bfrozenset\(|\{[^{}:]*\bfor\b[^{}:]*\}", "the order of a set of objects"),
    (r"\bopen\(|\bread_text\(|\bread_bytes\(|\blistdir\(|\bscandir\(|\bi?glob\(|\biterdir\(", "files"),
    (r"\burlopen\(|\brequests\.|\bhttpx\.|\baiohttp\b|\bsocket\.", "the network"),
    (r"\bsubprocess\b|\bos\.system\(", "another program"),
    (r"\bpandas\b|\bpd\.|\bnumpy\b.*datetime64|\bpendulum\b|\barrow\.", "the time as a library reads it"),
    (r"\bthreading\b|\bThreadPoolExecutor\b|\bas_completed\b", "threads: which of them is first"),
)
_SEARCHES: Final = tuple((re.compile(pattern), words) for pattern, words in _KINDS)


def suspects(source: str) -> str | None:
    """The first few suspects with their lines, the likeliest first. None: the source contains none of them."""
    lines = [line.partition("#")[0] for line in source.splitlines()]
    found: list[str] = []
    for search, words in _SEARCHES:
        used = [
            n
            for n, line in enumerate(lines, 1)
            if search.search(line) and not line.lstrip().startswith(("import ", "from "))
        ]
        if used:
            found.append(f"{words} (line {', '.join(map(str, used[:_MOST]))})")
    if not found:
        return None
    return f"Likely here: {'; '.join(found[:_MOST])}. Call it in a step(), whose result is recorded, or give it a seed."
