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
        "Null for a parameter that has a default, and may not be null, is as left out: in fixed tools, in workflows, inside of models.",
        "passes",
        "test_arguments::test_null_for_what_has_a_default_is_as_left_out",
        "test_arguments::test_a_null_inside_of_a_model_is_left_out_too_but_not_an_item_of_the_callers_own",
        "test_arguments::test_every_fixed_tool_takes_null_for_each_optional",
        "test_arguments::test_every_ready_workflow_takes_null_for_each_optional",
        "test_arguments_mcp::test_m6_m7_m8_calls_of_models_and_hosts_are_understood",
    ),
    used(
        "M7",
        "JSON that a model writes as text is decoded where the type cannot be text, and numbers are read by one rule, "
        "in fixed tools, workflows, examples and answers; `str` stays text.",
        "passes",
        "test_arguments::test_text_is_read_as_json_where_no_text_can_be",
        "test_arguments::test_a_model_as_text_becomes_the_model_and_what_is_wrong_inside_is_said",
        "test_arguments::test_fixed_tools_read_by_the_same_rule",
        "test_arguments::test_m7_answers_and_examples_are_read_likewise",
        "test_arguments_mcp::test_m6_m7_m8_calls_of_models_and_hosts_are_understood",
    ),
    used(
        "M8",
        "What hosts add to the arguments is dropped by a setting that names those of known hosts from the start; a "
        "parameter of the workflow's own is never dropped.",
        "passes",
        "test_arguments::test_m8_a_setting_says_what_is_dropped",
        "test_arguments_mcp::test_m6_m7_m8_calls_of_models_and_hosts_are_understood",
        "test_arguments_mcp::test_m8_what_a_workflow_itself_takes_is_never_dropped",
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
