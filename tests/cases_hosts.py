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
        "A file name that is not UTF-8 is escaped (`caf\\xe9.txt`) in results, events and errors, of ready workflows and"
        " of any other.",
        "passes",
        "test_caller_place::test_ready_workflows_take_files_whose_names_are_not_utf_8",
    ),
    used(
        "M11",
        "A relative path in the arguments means the caller's folder: that is the working folder of ready and operator "
        "files, of what they call, and of a run that goes on later. Over HTTP, where nobody knows it, it is the file's "
        "own.",
        "passes",
        "test_caller_place::test_a_body_works_in_its_callers_folder_and_time_zone_through_a_daemon",
        "test_caller_place::test_ready_workflows_read_relative_paths_from_the_callers_folder",
        "test_caller_place::test_a_run_that_goes_on_later_is_in_the_same_folder",
        "test_caller_place::test_over_http_a_file_works_in_its_own_folder",
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
        "A byte order mark, U+2028, half an emoji, `arguments: []`, arguments as text and an odd progress token are "
        "read at stdin, over HTTP and in sources; anything else is refused with a sentence that says what is wrong.",
        "passes",
        "test_wire_reading::test_m14_what_is_harmless_is_read_at_stdin",
        "test_wire_reading::test_m14_what_is_harmless_is_read_over_http",
        "test_wire_reading::test_m14_what_means_nothing_is_refused_with_a_sentence",
        "test_wire_reading::test_a_message_says_its_number_where_it_can_be_read",
        "test_wire_reading::test_a_source_with_a_byte_order_mark_is_created_and_an_invisible_character_is_named",
    ),
    used(
        "M15",
        "A browser's client comes in: preflight for every allowed origin, at `/mcp` and at `/mcp/`; a foreign page does"
        " not.",
        "passes",
        "test_wire_reading::test_m15_a_browser_asks_first_and_then_reads_the_answer",
        "test_wire_reading::test_m15_a_foreign_page_is_not_let_in",
    ),
    used(
        "M16",
        "A reused worker remembers nothing of a run: what is process-wide is put back after each run, or the worker is "
        "replaced; docs/workflows.md says what is which.",
        "passes",
        "test_surroundings::test_w7_m16_what_a_run_changes_is_not_there_for_the_next",
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
