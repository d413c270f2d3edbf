"""Cases from real use, schemas, hosts and the wire: M1-M18. tests/project/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases.styles import Case, used

HOSTS: Final[tuple[Case, ...]] = (
    used(
        "M1",
        "One bad file costs no other: it is broken and named with a sentence, whatever it is or makes of its "
        "record. All others are published and recorded, and no command ends in a traceback.",
        "passes",
        "test_listings::test_m1_each_odd_file_is_named_and_costs_no_other",
        "test_listings::test_m1_no_command_ends_in_a_traceback",
        "test_listings::test_m1_whatever_reading_one_file_raises_the_others_are_recorded",
    ),
    used(
        "M2",
        "Text that is not valid Unicode is made valid at every door: the halves of a character are joined, a "
        "lone half becomes U+FFFD, and a byte of a file name becomes `\\xe9`.",
        "passes",
        "test_listings::test_m2_text_is_valid_wherever_it_comes_out",
        "test_portable::test_m2_halves_are_joined_and_lone_ones_replaced",
        "test_portable::test_m2_a_lone_half_is_shown_as_what_it_was",
    ),
    used(
        "M3",
        "Only what every host compiles is listed. A keyword that is not portable is left out of the listing, "
        "a finding says so, and the worker still checks it.",
        "passes",
        "test_listings::test_m3_m4_m9_m18_every_tool_is_one_that_a_typescript_host_takes",
        "test_listings::test_m3_what_is_not_listed_is_a_finding_and_still_checked",
        "test_portable::test_m3_m4_m9_what_pydantic_makes_is_listed_validly",
        "test_portable::test_m3_m5_a_schema_by_hand_is_listed_validly_and_what_fits_it_fits_for_others",
        "test_portable::test_m3_m5_a_typescript_host_compiles_what_pydantic_makes",
        "test_portable::test_m3_a_typescript_host_refuses_what_is_not_portable",
        "test_portable::test_m3_a_pattern_that_engines_read_differently_is_not_listed",
        "test_portable::test_m3_a_portable_pattern_means_the_same_to_all",
    ),
    used(
        "M4",
        "A parameter whose name providers refuse is listed under a portable alias and may be given under "
        "either name; a finding says so. A field further inside is named in the description instead: an alias "
        "there could not be told from a key of the caller's own data.",
        "passes",
        "test_listings::test_m3_m4_m9_m18_every_tool_is_one_that_a_typescript_host_takes",
        "test_listings::test_m4_a_parameter_is_given_under_either_name",
        "test_portable::test_m3_m4_m9_what_pydantic_makes_is_listed_validly",
        "test_portable::test_m4_a_parameter_is_listed_under_a_portable_name_of_its_own",
        "test_portable::test_m4_a_field_that_has_no_portable_name_is_told_in_words_and_still_taken",
    ),
    used(
        "M5",
        "What is answered fits what is listed. The listed schema is as wide as JSON: a number may be null, a "
        "time may have no time zone. Each result is held against it before it is sent, and one that does not "
        "fit is left out of a completed answer and fetched with get_run.",
        "passes",
        "test_listings::test_m5_m13_what_is_answered_fits_what_is_listed",
        "test_listings::test_m5_a_result_that_does_not_fit_is_completed_and_fetched",
        "test_portable::test_m5_a_result_schema_is_as_wide_as_json_is",
        "test_portable::test_m3_m5_a_schema_by_hand_is_listed_validly_and_what_fits_it_fits_for_others",
        "test_portable::test_m3_m5_a_typescript_host_compiles_what_pydantic_makes",
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
        "Every array is listed with `items`, beside `prefixItems` too, and every item of a tuple fits it.",
        "passes",
        "test_listings::test_m3_m4_m9_m18_every_tool_is_one_that_a_typescript_host_takes",
        "test_portable::test_m3_m4_m9_what_pydantic_makes_is_listed_validly",
        "test_portable::test_m9_an_array_has_items_that_every_item_fits",
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
        "A child of any start method of multiprocessing can import the workflow's module, its helpers and created code too.",
        "passes",
        "test_offspring::test_m12_w20_a_child_of_any_start_method_imports_the_workflow",
        "test_offspring::test_m12_w20_a_child_of_created_code_too",
        "test_offspring::test_m12_children_of_other_start_methods_end_refuse_and_draw_as_forked_ones",
        "test_offspring::test_m12_functions_classes_and_steps_of_a_workflow_can_be_pickled_where_it_runs",
        "test_offspring::test_m12_the_entry_survives_what_programs_do_with_the_path",
    ),
    used(
        "M13",
        "Bytes in a result are base64 and the schema says so. Scalars of numpy become numbers, arrays become "
        "lists up to the size limit.",
        "passes",
        "test_listings::test_m5_m13_what_is_answered_fits_what_is_listed",
        "test_results::test_m13_bytes_are_base64_wherever_they_are",
        "test_results::test_m13_numpy_becomes_numbers_and_lists",
        "test_results::test_m13_an_array_that_is_too_large_is_refused_before_it_is_written",
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
        "What is wrong with a module that a workflow imports is told with that module's path and line. "
        "Mending it publishes the workflow.",
        "passes",
        "test_listings::test_m17_what_is_wrong_with_a_helper_names_the_helper",
    ),
    used(
        "M18",
        "A description is cut for the listing at 1,024 characters, as JavaScript counts them, and is whole in "
        "get_workflow.",
        "passes",
        "test_listings::test_m3_m4_m9_m18_every_tool_is_one_that_a_typescript_host_takes",
        "test_listings::test_m18_a_long_description_is_cut_in_the_listing_and_whole_elsewhere",
        "test_portable::test_m18_a_cut_text_has_its_length_as_javascript_counts_it",
    ),
)
