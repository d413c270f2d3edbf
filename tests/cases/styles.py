"""The acceptance cases of the ways to write a workflow, as data: what is expected, whose files expect it, and which tests show it.

A1-A38 are about class workflows, B1-B38 about functions and contexts. `owner` is the part of the product that completes a case: "here"
is the styles themselves. A case that is open may have tests already: they show what of it is true today. tests/project/test_cases.py compares
this with the tests, in both directions.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Owner = Literal["here", "agents", "artifacts", "http", "journal", "search", "tools"]
Status = Literal["passes", "open", "changed"]


class Case(NamedTuple):
    """`tests` are `module::function`; `decision` says why and how a changed case differs, and what an open one with tests lacks."""

    id: str
    says: str
    source: Literal["Agno v1 and buddy", "py-code-mode", "PyFlue", "real use"]
    owner: Owner = "here"
    status: Status = "open"
    tests: tuple[str, ...] = ()
    decision: str = ""


def _class(
    number: int, says: str, owner: Owner = "here", status: Status = "open", *tests: str, decision: str = ""
) -> Case:
    return Case(f"A{number}", says, "Agno v1 and buddy", owner, status, tests, decision)


def _function(
    number: int, says: str, owner: Owner = "here", status: Status = "open", *tests: str, decision: str = ""
) -> Case:
    return Case(f"B{number}", says, "py-code-mode", owner, status, tests, decision)


def _context(
    number: int, says: str, owner: Owner = "here", status: Status = "open", *tests: str, decision: str = ""
) -> Case:
    return Case(f"B{number}", says, "PyFlue", owner, status, tests, decision)


def used(id: str, says: str, status: Status = "open", *tests: str, decision: str = "") -> Case:
    """A case from real use: cases_reliability.py, cases_workloads.py, cases_hosts.py."""
    return Case(id, says, "real use", "here", status, tests, decision)


CASES: Final = (
    _class(
        1, "A class's run returns a RunResponse that carries the run's own run_id, session_id and workflow_id.",
        "here", "passes",
        "test_classes::test_a1_a_response_is_stamped_and_the_body_gets_its_arguments",
    ),
    _class(
        2, "As a tool it has the schema of run and the class's description; a missing argument is an error that names it.",
        "here", "passes",
        "test_class_tools::test_a2_a_file_of_classes_is_a_tool_for_each",
    ),
    _class(
        3, "A number that comes as text is converted where that is exact and otherwise refused, never passed on as text.",
        "here", "passes",
        "test_class_tools::test_a3_a_number_as_text_is_converted_or_refused",
    ),
    _class(
        4, "One instance without storage counts on from run to run.",
        "here", "passes",
        "test_classes::test_a4_state_lives_as_long_as_the_instance_without_a_storage",
    ),
    _class(
        5, "With a storage and an initial state, three processes count 1, 2, 3.",
        "here", "passes",
        "test_classes::test_a5_a6_state_goes_on_in_the_next_process",
        "test_class_tools::test_a5_a8_defaults_are_given_once_and_what_was_deleted_stays_deleted",
    ),
    _class(
        6, "The same without an initial state.",
        "here", "passes",
        "test_classes::test_a5_a6_state_goes_on_in_the_next_process",
    ),
    _class(
        7, "What is stored wins over the constructor's state at every depth, unless overwriting is asked for.",
        "here", "passes",
        "test_classes::test_a7_stored_state_wins_deep_unless_told_otherwise",
    ),
    _class(
        8, "A key that a run removes stays removed, in the next run and in another process.",
        "here", "passes",
        "test_classes::test_a8_a_key_that_was_removed_stays_removed",
        "test_class_tools::test_a5_a8_defaults_are_given_once_and_what_was_deleted_stays_deleted",
    ),
    _class(
        9, "Eight threads or tasks that count in one session give eight, with eight records, each body knowing its own run.",
        "here", "passes",
        "test_class_at_once::test_a9_eight_threads_count_to_eight",
        "test_class_at_once::test_a9_eight_tasks_count_to_eight",
        "test_class_at_once::test_a9_four_processes_lose_no_count",
        "test_class_at_once::test_a9_four_processes_may_open_a_new_file_at_once",
    ),
    _class(
        10, "Two interleaved generators of one class carry only their own run and text.",
        "here", "passes",
        "test_class_at_once::test_a10_interleaved_generators_of_two_sessions_keep_apart",
    ),
    _class(
        11, "A body that caches in the session's state calls its agent once for each new topic and session.",
        "here", "passes",
        "test_class_streams::test_a11_what_was_worked_out_is_kept_per_session_and_over_processes",
    ),
    _class(
        12, "A cached second run gives the whole text as one item and calls no agent.",
        "here", "passes",
        "test_class_streams::test_a12_a_stream_is_cached_after_its_last_item",
    ),
    _class(
        13, "A stream of a response and a completed event accumulates the text once, and the state is saved after the last item.",
        "here", "passes",
        "test_class_streams::test_a13_a_completed_event_is_not_counted_twice_and_state_is_saved_at_the_end",
    ),
    _class(
        14, "The same over MCP gives progress that increases and holds the text, and the whole text as the result.",
        "here", "passes",
        "test_class_tools::test_a14_a_stream_is_told_as_it_comes_and_its_whole_text_is_the_result",
    ),
    _class(
        15, "An async body, plain or generating, leaves the same records as its sync twin.",
        "here", "passes",
        "test_class_streams::test_a15_every_kind_of_body_leaves_the_same_record_however_it_is_called",
        "test_class_streams::test_a15_an_async_body_runs_from_sync_code_that_a_loop_is_waiting_for",
        "test_class_tools::test_a15_coroutines_and_async_generators_are_run_too",
    ),
    _class(
        16, "A class with both run and arun has both stamped and stored.",
        "here", "passes",
        "test_class_streams::test_a16_both_are_wrapped_where_both_are_written",
        "test_style_tools::test_a16_of_a_class_with_both_bodies_a_tool_is_its_run",
    ),
    _class(
        17, "A run that returns no RunResponse keeps its state; as a tool its value is the result, None an empty success.",
        "here", "passes",
        "test_class_streams::test_a17_what_is_no_response_is_none_to_the_caller_and_kept_in_the_record",
        "test_class_tools::test_a17_what_is_no_response_is_the_result_and_its_state_is_kept",
    ),
    _class(
        18, "Unknown yielded objects are delivered with a warning and are no part of the accumulated text.",
        "here", "passes",
        "test_class_streams::test_a18_unknown_items_are_passed_on_with_a_warning",
    ),
    _class(
        19, "An exception after a change of state reaches the caller, is recorded, and leaves the earlier state for the next run.",
        "here", "passes",
        "test_class_ends::test_a19_an_exception_is_raised_recorded_and_changes_no_state",
        "test_class_ends::test_a19_a_committed_state_stays",
        "test_class_tools::test_a19_a_body_that_raises_leaves_the_state_as_it_was",
    ),
    _class(
        20, "A generator that raises after an item has delivered it, and its record has failed with the text so far.",
        "here", "passes",
        "test_class_ends::test_a20_a_stream_that_breaks_keeps_its_part",
        "test_class_tools::test_a20_a_generator_that_raises_has_told_what_it_gave_before",
    ),
    _class(
        21, "A consumer that stops, or a client that cancels, ends the body and leaves a cancelled record.",
        "here", "passes",
        "test_class_ends::test_a21_a_stream_that_nobody_reads_on_is_cancelled",
        "test_class_ends::test_a21_a_cancelled_task_is_a_cancelled_run",
        "test_class_ends::test_a21_an_async_stream_that_nobody_reads_on_is_cancelled",
        "test_class_ends::test_a21_an_async_stream_that_is_dropped_is_cancelled_too",
        "test_class_ends::test_a21_a_sync_stream_read_by_async_code_is_closed_in_its_thread",
        "test_class_ends::test_a21_a_task_is_cancelled_though_its_body_is_busy_in_a_thread",
        "test_class_tools::test_a21_a_cancelled_call_stops_a_class",
        "test_style_tools::test_a21_a_cancelled_stream_leaves_a_cancelled_record_with_what_it_gave",
    ),
    _class(
        22, "A searching, reading and writing blog workflow with scripted agents calls each as often as needed and keeps all three.",
        "here", "passes",
        "test_compat::test_a22_a23_a24_a_review_is_written_once_and_its_caches_outlive_the_process",
    ),
    _class(
        23, "The same in a new process with the session's store calls no agent and gives the stored post as completed.",
        "here", "passes",
        "test_compat::test_a22_a23_a24_a_review_is_written_once_and_its_caches_outlive_the_process",
    ),
    _class(
        24, "The same told not to use its cached report reads and writes again with one warning.",
        "here", "passes",
        "test_compat::test_a22_a23_a24_a_review_is_written_once_and_its_caches_outlive_the_process",
    ),
    _class(
        25, "The same with nothing found says so; with a wrong type it tries three times with a warning each.",
        "here", "passes",
        "test_compat::test_a25_nothing_found_is_an_answer_too",
    ),
    _class(
        26, "The same over MCP is named after its class, has one required and three defaulted parameters, and streams its post.",
        "here", "passes",
        "test_class_tools::test_a26_a_digest_in_stages_streams_and_is_answered_from_its_cache",
    ),
    _class(
        27, "Models, dates, sets, tuples and bytes in the state come back equal.",
        "here", "passes",
        "test_class_storage::test_a27_models_dates_sets_bytes_and_other_keys_come_back",
        "test_class_storage::test_a27_models_come_back_as_dicts_where_that_is_asked_for",
        "test_class_storage::test_a27_a_dataclass_is_restored_without_its_code_and_a_changed_one_is_a_dict",
    ),
    _class(
        28, "A value that cannot be stored is an error naming its key; the run fails and the earlier state stays.",
        "here", "passes",
        "test_class_storage::test_a28_what_cannot_be_stored_fails_the_run_and_names_its_key",
        "test_class_storage::test_a28_circles_and_keys_that_cannot_be_found_again_are_named",
        "test_class_storage::test_a28_without_a_storage_nothing_is_stored_so_a_state_may_hold_anything",
    ),
    _class(
        29, "A new session after a run has a new id and an empty state, and the old one stays stored.",
        "here", "passes",
        "test_class_storage::test_a29_a_new_session_begins_afresh_and_the_old_one_stays",
    ),
    _class(
        30, "A fresh instance can load, rename and read a session before any run.",
        "here", "passes",
        "test_class_storage::test_a30_sessions_can_be_handled_before_any_run",
        "test_class_storage::test_a30_the_storage_lists_sessions_under_the_names_of_old",
    ),
    _class(
        31, "A deleted session starts again from the initial state without earlier runs.",
        "here", "passes",
        "test_class_storage::test_a31_a_deleted_session_begins_again",
    ),
    _class(
        32, "A session id that is a path writes no file outside its folder.",
        "here", "passes",
        "test_class_storage::test_a32_session_ids_with_parts_of_a_path_are_refused_everywhere",
    ),
    _class(
        33, "Two workflows, or two users, with one session id have states of their own.",
        "here", "passes",
        "test_class_storage::test_a33_workflows_and_users_never_share_a_session",
    ),
    _class(
        34, "Agents and teams of class, base class and instance carry the session id of each run.",
        "here", "passes",
        "test_class_agents::test_a34_every_agent_carries_the_session_of_the_run_that_uses_it",
        "test_class_agents::test_a34_runs_at_the_same_time_see_their_own_session_on_a_shared_agent",
        "test_class_agents::test_a34_an_explicit_session_is_on_the_agents_from_the_beginning_and_in_the_next_session",
        "test_class_agents::test_a34_agents_that_allow_no_view_are_given_the_session_itself",
        "test_style_tools::test_a34_every_agent_of_a_tool_is_in_the_session_of_its_call",
    ),
    _class(
        35, "Optional, dict, Literal, model, default and further keyword parameters have their exact schema and descriptions.",
        "here", "passes",
        "test_class_tools::test_a35_every_kind_of_parameter_has_its_schema",
    ),
    _class(
        36, "A printed response, stream, completed event, agent event or model shows its text.",
        "here", "passes",
        "test_compat::test_a36_everything_that_a_run_gives_is_shown_once",
        "test_compat::test_a36_what_came_before_an_error_is_shown_and_the_error_raised",
        "test_compat::test_a36_on_a_terminal_the_text_grows_in_place",
        "test_compat::test_a36_async_streams_are_shown",
    ),
    _class(
        37, "After a thousand runs in a session the next is at most twice as slow as the first, and each took at most 1 KB.",
        "here", "passes",
        "test_class_storage::test_a37_a_run_costs_the_same_after_a_thousand_others_and_history_is_paged",
    ),
    _class(
        38, "Two clients count apart, and one that comes back with its session goes on.",
        "here", "passes",
        "test_class_tools::test_a38_clients_have_their_own_counters_and_find_them_again",
    ),
    _function(
        1, "A sync file with a typed and a defaulted parameter is published, described by its docstring.", "here", "passes",
        "test_function_style::test_b1_b2_sync_and_async_files_that_mention_tools_are_published_alike",
    ),
    _function(
        2, "The same file as async has the same schema.", "here", "passes",
        "test_function_style::test_b1_b2_sync_and_async_files_that_mention_tools_are_published_alike",
    ),
    _function(
        3, "A description given at creation is shown everywhere, after a restart too.", "here", "passes",
        "test_function_style::test_b3_b9_a_given_description_stays_over_a_restart",
    ),
    _function(
        4, "Without one the docstring of the module, else of run, describes it.", "here", "changed",
        "test_registry::test_the_description_is_the_first_paragraph",
        decision="The whole first paragraph and not its first line: a sentence often runs over a line's end.",
    ),
    _function(
        5, "A bad, reserved or keyword name is refused with a reason and leaves no file.", "here", "passes",
        "test_function_style::test_b5_a_bad_name_leaves_no_file", "test_bad_input::test_bad_names_are_refused",
        "test_store::test_bad_names_are_refused_with_a_reason",
    ),
    _function(
        6, "A source without run or with a syntax error is refused with its line, and creating executes nothing.", "here", "changed",
        "test_bad_input::test_a_refused_source_says_why_and_is_not_published",
        "test_bad_input::test_nothing_of_a_refused_source_runs",
        decision="What parses and has a run is loaded once in a fresh process of its own, never in the server, to read its schema.",
    ),
    _function(
        7, "A taken name is refused unless a new version is asked for; a run of the old one goes on.", "here", "passes",
        "test_function_style::test_b7_deleting_and_creating_again_makes_a_version",
        "test_service::test_replacing_makes_a_version_and_leaves_a_live_run_alone",
        "test_service::test_two_creates_of_one_name_at_once_give_one",
    ),
    _function(
        8, "Deleting takes the tool away and tells clients; deleting again is false and no error.", "here", "passes",
        "test_function_style::test_b8_a_deleted_tool_disappears_and_listeners_hear_of_it",
        "test_mcp::test_a_created_workflow_is_usable_in_the_same_turn_and_then_listed",
    ),
    _function(
        9, "One workflow can be read with its parameters and source; an unknown one is a clear error.", "here", "passes",
        "test_function_style::test_b3_b9_a_given_description_stays_over_a_restart",
        "test_client::test_a_workflow_is_created_found_read_run_and_deleted",
    ),
    _function(
        10, "A file put into the folder is listed and callable; a broken one is reported, a helper ignored.", "here", "passes",
        "test_bad_input::test_broken_files_are_named_and_the_others_are_published",
        "test_bad_input::test_a_file_is_read_again_when_it_or_its_helper_changes",
    ),
    _function(
        11, "Composed, optional, literal and model types have their JSON Schema, parameters their descriptions.", "here", "passes",
        "test_schema::test_each_annotation_has_its_schema_and_coercion",
        "test_schema::test_models_and_dataclasses_are_built_and_their_schemas_stay_in_the_root",
        "test_schema::test_descriptions_come_from_the_docstring",
    ),
    _function(
        12, "Parameters that the system fills are in no schema.", "here", "passes",
        "test_context_outside::test_b12_what_repertoire_gives_is_in_no_schema",
    ),
    _function(
        13, "Three workflows that call one another over a scripted tool give one summary.", "tools", "passes",
        "test_tool_doors::test_b13_three_workflows_over_a_scripted_tool_give_one_summary",
    ),
    _function(
        14, "A workflow invoked from another gets its default or the given argument.", "journal", "passes",
        "test_compose::test_b14_b15_a_body_calls_another_workflow",
    ),
    _function(
        15, "A workflow whose parameter is called name can be invoked with it.", "journal", "passes",
        "test_compose::test_b14_b15_a_body_calls_another_workflow",
        "test_function_style::test_b15_a_parameter_called_name_is_an_ordinary_one",
    ),
    _function(
        16, "An async body invokes others synchronously, three deep.", "journal", "passes",
        "test_compose::test_b16_an_async_body_invokes_three_deep",
    ),
    _function(
        17, "A missing, further or wrong argument is an error naming it, before any of the body runs.", "here", "passes",
        "test_bad_input::test_wrong_arguments_name_the_field_what_came_and_what_is_wanted",
        "test_context::test_each_way_of_typing_gives_one_schema_and_one_check",
    ),
    _function(
        18, "An exception in run is an error with type, message, line and workflow.", "here", "passes",
        "test_function_style::test_b18_what_a_body_raises_from_something_else_is_told_with_its_line",
        "test_bad_input::test_a_body_that_raises_is_answered_with_its_line",
    ),
    _function(
        19, "Globals do not reach the next invocation, and no workflow rebinds what another is given.", "here", "passes",
        "test_function_style::test_b19_one_body_cannot_rebind_what_another_is_given",
        "test_worker_loading::test_module_globals_environment_path_and_folder_do_not_reach_the_next_run",
    ),
    _function(
        20, "Invoking an unknown name names close ones; recursion without end is a bounded error.", "journal", "passes",
        "test_compose::test_b20_an_unknown_name_names_close_ones_and_recursion_has_an_end",
        "test_bad_input::test_an_unknown_tool_is_a_protocol_error_that_names_close_ones",
    ),
    _function(
        21, "A search by intent ranks what fits first, sees new ones at once, deleted ones never, and obeys its limit.", "search",
        "open", "test_mcp::test_a_created_workflow_is_usable_in_the_same_turn_and_then_listed",
        decision="New and deleted ones are handled, and ranking is by meaning; its abstention is not what it should be yet.",
    ),
    _function(
        22, "Search works without a model, and nonsense finds nothing.", "search", "passes",
        "test_mcp::test_a_created_workflow_is_usable_in_the_same_turn_and_then_listed",
        "test_registry::test_words_that_say_nothing_match_nothing",
    ),
    _function(23, "Searching a hundred and more workflows holds up no other call.", "search"),
    _context(
        24, "Every invocation has an id that sorts by time, and a record of payload, status, outcome, times and events.", "here",
        "passes", "test_context_outside::test_b24_b26_a_context_workflow_is_a_typed_tool_and_its_run_is_recorded",
    ),
    _context(
        25, "Events begin with run_start and end with one run_end, numbered without gaps, readable after a number and by type.", "http",
        "open", "test_mcp::test_progress_increases_and_prints_become_log_events",
        decision="All but reading by type, which belongs to the door for HTTP clients.",
    ),
    _context(
        26, "A log that is awaited or not is one event with its level and fields, seen by watchers.", "here", "passes",
        "test_context::test_b26_a_log_is_one_event_awaited_or_not",
        "test_context_outside::test_b24_b26_a_context_workflow_is_a_typed_tool_and_its_run_is_recorded",
        "test_mcp::test_progress_increases_and_prints_become_log_events",
    ),
    _context(
        27, "A run can be accepted, waited for or streamed with its result; a file that cannot be imported fails it.", "http", "open",
        "test_mcp::test_a_long_call_answers_working_and_goes_on",
        decision="Over MCP a call becomes a run to be fetched later, and a file that cannot be imported is not published.",
    ),
    _context(28, "Bad JSON, a list, another content type, an unknown name, a wrong method and a limit of 0 are refused.", "http"),
    _context(
        29, "A client that leaves or cancels stops its run, recorded as cancelled, and no other.", "here", "changed",
        "test_mcp::test_a_run_can_be_cancelled", "test_mcp::test_a_client_that_times_out_leaves_its_run_going",
        decision="Only on stateless HTTP does a closed stream cancel; a lost connection or a client's time-out leaves the run going.",
    ),
    _context(
        30, "A body that sleeps holds up no other client.", "here", "passes",
        "test_bad_input::test_ten_calls_wait_their_turn_beside_one_that_blocks",
    ),
    _context(
        31, "A body that never ends is stopped at its limit, and the next call succeeds.", "here", "passes",
        "test_bad_input::test_a_body_that_never_ends_is_stopped",
    ),
    _context(
        32, "Overlapping invocations each give their own value.", "here", "passes",
        "test_bad_input::test_ten_calls_wait_their_turn_beside_one_that_blocks",
    ),
    _context(
        33, "A result without a JSON form fails the run with a clear error.", "here", "passes",
        "test_bad_input::test_a_result_that_is_not_json_fails_the_run",
    ),
    _context(
        34, "A returned model is a JSON object with its schema; a prompt for a model's answer repairs it or fails.", "agents", "passes",
        "test_schema::test_an_unannotated_result_takes_models_dataclasses_and_dates",
        "test_sessions::test_b34_a_prompt_for_a_model_is_repaired_or_fails",
    ),
    _context(
        35, "Artifacts of data, text and bytes come back, over restarts too; an unknown one is a clear error.", "artifacts", "passes",
        "test_artifacts::test_b35_data_text_and_bytes_come_back_over_restarts_too",
    ),
    _context(
        36, "ctx.env holds allowed variables only, and errors tell remote clients nothing of the server's paths.", "http", "open",
        "test_context::test_b36_env_holds_what_is_allowed_and_nothing_else",
        "test_context_outside::test_b36_a_caller_of_the_service_is_shown_allowed_variables_only",
        "test_hosts::test_the_keys_of_one_host_serve_no_other",
        decision="The environment is so; there are no remote clients yet, only this machine's, who may see its paths.",
    ),
    _context(
        37, "State set in a run is there in the session's next, after a restart too, and in no other client's session.", "here",
        "passes", "test_mcp::test_state_persists_per_client_and_over_reconnects",
        "test_house::test_hosts_share_what_was_created_and_have_their_own_sessions",
    ),
    _context(
        38, "With a hundred workflows stored, tools are listed within a second, and a call costs less than 20 ms.", "here", "passes",
        "test_function_style::test_b38_a_hundred_stored_workflows_cost_neither_start_nor_calls",
        "test_start::test_an_unchanged_restart_loads_no_workflow_module",
    ),
)  # fmt: skip
