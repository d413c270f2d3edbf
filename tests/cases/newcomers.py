"""Cases from real use, a new user at a terminal: N1-N26. tests/project/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases.styles import Case, used

NEWCOMERS: Final[tuple[Case, ...]] = (
    used(
        "N1",
        "A run carries its caller's folders: its calls find the same workflows.",
        "passes",
        "test_folders::test_n1_what_a_host_s_workflows_call_is_found_in_that_host_s_folders",
    ),
    used(
        "N2",
        "The default session comes from the client's own name, and the command line has `cli`.",
        "passes",
        "test_client_sessions::test_n2_each_client_has_the_session_of_its_own_name_and_the_command_line_has_cli",
        "test_client_sessions::test_n2_a_clients_name_is_no_way_into_the_session_of_a_connection",
    ),
    used(
        "N3",
        "Everything ambient works with await, and is typed.",
        "changed",
        "test_every_name::test_n3_every_name_works_in_a_run_with_and_without_await",
        "test_every_name::test_n3_n4_imported_names_are_awaited_in_a_plain_test",
        "test_types::test_n3_n4_pyright_strict_finds_nothing_in_examples_and_workflows",
        "test_types::test_n3_n4_mypy_strict_finds_nothing_in_examples_and_workflows",
        decision="For type checkers a step of a sync function is awaited as `step.aio(f, x)`: no Python type is an exact T and awaitable.",
    ),
    used(
        "N4",
        "The names import from `repertoire` and work in plain pytest; `repertoire.testing` gives the rest.",
        "open",
        "test_every_name::test_n3_n4_imported_names_are_awaited_in_a_plain_test",
        "test_every_name::test_n4_imported_names_work_in_a_plain_test",
        "test_every_name::test_n4_a_name_that_needs_a_server_says_what_to_use",
        "test_types::test_n3_n4_pyright_strict_finds_nothing_in_examples_and_workflows",
        "test_types::test_n3_n4_mypy_strict_finds_nothing_in_examples_and_workflows",
        decision="`repertoire.testing` is not there yet.",
    ),
    used(
        "N5",
        "`search` in a terminal draws a real bar and is quick the second time.",
    ),
    used(
        "N6",
        "`run` with arguments that do not fit says what the workflow takes.",
    ),
    used(
        "N7",
        "Tables measure cells: numbers are never cut, and wide characters stay in their columns.",
    ),
    used(
        "N8",
        "`show RUN` has arguments, result, session, client, version, and the error with its line.",
    ),
    used(
        "N9",
        "A run is named by any unique prefix of its id, or `last`.",
    ),
    used(
        "N10",
        "A broken file is named with its line; an unknown status is answered with the list.",
    ),
    used(
        "N11",
        "Errors of the command line name commands, not tools.",
    ),
    used(
        "N12",
        "Arguments are given as key=value, as options by the schema, from a file or from stdin; --detach, -h, --home anywhere, completion.",
    ),
    used(
        "N13",
        "Exit codes: usage 2, failed 1, waits for an answer 3; documented.",
    ),
    used(
        "N14",
        "One rule for options that take JSON: inline, @FILE, or - for stdin.",
    ),
    used(
        "N15",
        "`serve --http` opens the HTTP door of the daemon that runs.",
        "passes",
        "test_http_of_daemon::test_n15_n18_the_running_daemon_opens_its_door_and_status_names_clients_runs_and_doors",
    ),
    used(
        "N16",
        "`delete` asks at a terminal, says how to undo it, and what comes back is what it was.",
        "passes",
        "test_cli_delete::test_n16_delete_asks_at_a_terminal_and_a_file_comes_back_as_its_file",
        "test_cli_delete::test_n16_a_created_workflow_comes_back_as_one_and_a_taken_name_is_refused",
    ),
    used(
        "N17",
        "A setting that the running daemon ignores is said; `config` shows each setting and its source.",
        "passes",
        "test_settings_and_log::test_n17_n24_settings_that_the_daemon_ignores_are_said_and_its_log_has_starts_ends_and_errors",
        "test_settings_and_log::test_n17_each_source_of_a_setting_is_named",
    ),
    used(
        "N18",
        "`status` names clients and runs, also those unfinished when the daemon is stopped.",
        "passes",
        "test_http_of_daemon::test_n15_n18_the_running_daemon_opens_its_door_and_status_names_clients_runs_and_doors",
    ),
    used(
        "N19",
        "`sessions` shows, resets, renames and deletes sessions; empty ones expire.",
        "passes",
        "test_cli_sessions::test_n19_a_session_is_shown_reset_renamed_and_deleted",
        "test_cli_sessions::test_n19_a_session_in_use_and_names_of_connections_are_refused",
        "test_cli_sessions::test_n19_empty_sessions_that_no_name_finds_expire",
    ),
    used(
        "N20",
        "`inbox` lists what waits for a person.",
        "passes",
        "test_cli_inbox::test_n20_the_inbox_lists_what_waits_and_its_commands_answer_it",
        "test_cli_inbox::test_n20_a_version_that_waits_for_approval_is_there_until_it_is_published",
    ),
    used(
        "N21",
        "Times are local and relative for people, ISO in JSON.",
    ),
    used(
        "N22",
        "Progress has clean numbers, and is never above its total.",
        "passes",
        "test_service::test_n22_progress_has_clean_numbers_and_is_never_above_its_total",
        "test_service::test_n22_log_lines_alone_count_the_seconds",
    ),
    used(
        "N23",
        "`debug NAME` runs a workflow in the foreground; `breakpoint()` and `input()` elsewhere say so.",
        "passes",
        "test_debug::test_n23_debug_runs_a_workflow_in_the_foreground_with_breakpoint_and_input",
        "test_debug::test_n23_debug_shows_an_error_with_its_line_and_opens_the_debugger_there",
        "test_terminal::test_n23_breakpoint_in_a_run_names_the_command_that_has_a_terminal",
        "test_terminal::test_n23_input_in_a_run_says_to_ask",
    ),
    used(
        "N24",
        "The page `Daily life` answers everyday questions, and daemon.log has a line for each start, end and error.",
        "open",
        "test_settings_and_log::test_n17_n24_settings_that_the_daemon_ignores_are_said_and_its_log_has_starts_ends_and_errors",
        decision="The log has its lines; the page is missing.",
    ),
    used(
        "N25",
        "Every command of the README works as it is written.",
    ),
    used(
        "N26",
        "Our own tools have schemas without warnings of strict hosts.",
        "changed",
        "test_guide::test_n26_no_schema_of_ours_is_loose",
        "test_guide::test_n26_the_inspector_has_nothing_to_say_of_our_tools",
        decision="The Inspector has no warning. create_workflow, run_workflow and answer_run take any JSON object, so a host that "
        "converts schemas to a strict dialect (openai-agents) uses these three as they are: a text of JSON would be worse for all others. "
        "Such a text is read as well.",
    ),
)
