"""Cases from real use, schemas, hosts and the wire: M1-M18. tests/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases import Case, used

HOSTS: Final[tuple[Case, ...]] = (
    used(
        "M1",
        "One file takes its neighbours with it: the one file is broken and named; its neighbours are published. "
        "Whatever a file is, has, or makes of its record: nothing of another file's is lost, and no command ends in a "
        "traceback.",
        "open",
    ),
    used(
        "M2",
        "Text that is not valid Unicode: halves are joined; a lone half is a finding or is replaced; at every door "
        "where text enters.",
        "open",
    ),
    used(
        "M3",
        "An output schema that a host cannot compile: only what every host compiles is listed: a keyword that is not "
        "portable (ECMA-262 `u` regex, JSON Schema 2020-12 meta-schema) is left out of the listing, and a finding says "
        "so; the worker still checks it.",
        "open",
    ),
    used(
        "M4",
        "An input schema that a provider refuses: a portable alias is listed and mapped back, or the workflow is not "
        "listed as a tool of its own (search and run reach it), with a finding.",
        "open",
    ),
    used(
        "M5",
        "A completed run that the host throws away: by construction, what is answered fits what was listed: validate "
        "against the listed schema on our side, widen the schema where JSON differs from Python (naive times, NaN as "
        "null).",
        "open",
    ),
    used(
        "M6",
        "Null for what is left out: null for a parameter that has a default is as left out (where None is no valid "
        "value).",
        "open",
    ),
    used(
        "M7",
        "Models write JSON as text: decoded where the type cannot be text; numbers by one rule for fixed tools and "
        "workflows. `str` stays text.",
        "open",
    ),
    used(
        "M8",
        "Hosts add arguments: a setting lists what is dropped; those of known hosts are in it from the start.",
        "open",
    ),
    used(
        "M9",
        "Arrays without `items`: `items` too.",
        "open",
    ),
    used(
        "M10",
        "Names that are not UTF-8: the name escaped (surrogateescape in, `\\xe9` or replacement out), in every ready "
        "workflow and in results at large.",
        "open",
    ),
    used(
        "M11",
        "Relative paths: the caller's working folder (the hello has it) is the body's for ready and operator files, or "
        "a relative path is refused with a sentence.",
        "open",
    ),
    used(
        "M12",
        "Other start methods of multiprocessing: the workflow's module can be imported by a child.",
        "open",
    ),
    used(
        "M13",
        "Bytes, numpy: base64 with a schema that says so; numpy scalars become numbers, arrays lists (up to the size "
        "limit).",
        "open",
    ),
    used(
        "M14",
        "BOM, U+2028, half an emoji in arguments, `arguments: []`, `progressToken: 1.5`: read where harmless; else a "
        "sentence that says what is wrong.",
        "open",
    ),
    used(
        "M15",
        "Browsers as clients: preflight for allowed origins; both paths.",
        "open",
    ),
    used(
        "M16",
        "A reused worker remembers: what is process-wide is restored after each run, or the worker is replaced when it "
        "changed; documented.",
        "open",
    ),
    used(
        "M17",
        "A helper that does not parse: the helper's path.",
        "open",
    ),
    used(
        "M18",
        "Long descriptions: cut for the listing (hosts cut or refuse at 1,024), whole in `get_workflow`.",
        "open",
    ),
)
