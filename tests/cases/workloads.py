"""Cases from real use, Python as people write it: W1-W27. tests/project/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases.styles import Case, used

WORKLOADS: Final[tuple[Case, ...]] = (
    used(
        "W1",
        "What a body holds of the state when it is parked (a list, a dict, an object) stays the state's: where "
        "nobody else has changed it, it is left alone, and what others have changed is changed in the same "
        "objects.",
        "passes",
        "test_park_state::test_w1_what_a_body_holds_stays_the_states_over_a_question",
        "test_park_state::test_w1_what_others_have_changed_is_in_the_objects_that_a_body_holds",
        "test_park_state::test_w1_the_same_over_a_sleep",
        "test_park_state::test_w1_what_the_top_level_holds_of_the_state_stays_the_states",
        "test_update::test_w1_the_result_is_what_is_stored",
        "test_update::test_w1_each_object_of_a_list_stays_what_it_was",
        "test_update::test_w1_what_was_held_twice_becomes_two_where_it_was_stored_so",
    ),
    used(
        "W2",
        "A forked child (`Process`, `Pool`, `os.fork`) may print, log, warn, sleep, call `progress` and raise as in a plain script: what "
        "it says is an event of the run, its exit code is its own, and a "
        "call that needs the host is refused with a sentence.",
        "passes",
        "test_children::test_w2_a_forked_child_may_say_whatever_it_likes_and_sleep",
        "test_children::test_w2_a_failed_child_reads_as_one_and_shows_its_traceback",
        "test_children::test_w2_a_child_of_os_fork_that_reaches_the_end_of_the_body_ends_as_a_script",
        "test_children::test_w2_a_call_that_needs_the_host_is_refused_in_a_child_with_a_sentence",
        "test_children::test_w2_time_sleep_and_loops_of_a_child_are_real",
        "test_children::test_w2_forking_while_threads_print_never_locks_a_child",
        "test_children::test_w2_processes_that_are_not_joined_are_waited_for_as_at_a_scripts_end",
        "test_children::test_w2_a_worker_with_a_process_left_in_it_is_not_used_again",
        "test_children::test_w2_multiprocessing_is_as_new_in_the_next_run",
        "test_children::test_w2_created_code_forks_as_well",
        "test_children::test_w2_what_children_say_is_told_once_though_the_run_is_begun_again",
        "test_children::test_w2_a_run_that_leaves_a_program_behind_is_followed_by_one_in_another_worker",
    ),
    used(
        "W3",
        "Child processes draw random numbers of their own, and the same ones when the run is begun again.",
        "passes",
        "test_children::test_w3_children_draw_numbers_of_their_own_that_the_run_determines",
        "test_children::test_w3_libraries_numbers_and_numpys_are_seeded_in_children_too",
    ),
    used(
        "W4",
        "A state is restored and not validated: a model whose validator multiplies comes back as it was, of the "
        "same types at every level, or storing is refused with the place of what would not.",
        "passes",
        "test_codec_law::test_w4_w5_whatever_is_stored_comes_back_the_same",
        "test_codec_law::test_w4_what_is_easily_lost_comes_back",
        "test_codec_law::test_w4_a_restored_model_was_never_validated",
        "test_codec_law::test_w4_w6_what_would_not_come_back_is_refused_when_it_is_stored",
    ),
    used(
        "W5",
        "A SecretStr in the state is the secret in the next run, and stars in the record of an input or a result.",
        "passes",
        "test_codec_law::test_w4_w5_whatever_is_stored_comes_back_the_same",
        "test_codec_law::test_w5_a_secret_is_stored_and_not_told_in_records",
    ),
    used(
        "W6",
        "A dataclass that is a dict too, and every other subclass of a built-in type, is refused when it is "
        "stored, so no session is stuck with what cannot be read.",
        "passes",
        "test_codec_law::test_w4_w6_what_would_not_come_back_is_refused_when_it_is_stored",
    ),
    used(
        "W7",
        "Whatever process-wide thing a run changes (the decimal context, a patched module, a signal handler), the next run in a "
        "reused worker finds as the first one did: it is put back after the answer, or the worker is replaced. A worker in which "
        "nothing has changed is used again.",
        "passes",
        "test_surroundings::test_w7_m16_what_a_run_changes_is_not_there_for_the_next",
        "test_surroundings::test_w7_a_worker_that_nothing_has_changed_is_used_again",
        "test_surroundings::test_w7_a_module_that_only_one_run_can_find_reaches_no_other",
        "test_surroundings::test_w7_a_run_that_fails_or_leaves_is_compared_too",
        "test_surroundings::test_w7_what_a_run_changed_before_it_imported_something_is_seen",
    ),
    used(
        "W8",
        "A file that was only scanned, never run, changes nothing for the runs of others, whatever its top level does: it is "
        "looked at in a process that runs nothing else.",
        "passes",
        "test_surroundings::test_w8_a_file_that_is_only_looked_at_changes_nothing_for_runs",
    ),
    used(
        "W9",
        "Code that gets the current event loop, runs it and closes it works twice, in one run and in each run of a worker.",
        "passes",
        "test_surroundings::test_w9_the_current_loop_is_closed_and_asked_for_again",
        "test_surroundings::test_w9_a_loop_that_is_left_open_is_not_the_next_runs",
    ),
    used(
        "W10",
        "The error of a step is raised again as it was, with its attributes, notes, cause and context, whatever its constructor asks for; "
        "one that could not be made again is refused when it is recorded.",
        "changed",
        "test_step_records::test_w10_the_error_of_a_step_is_the_same_when_the_body_is_begun_again",
        "test_step_records::test_w10_what_an_error_holds_and_cannot_be_recorded_says_so_each_time",
        "test_step_records::test_w10_an_error_that_could_not_be_made_again_is_refused_when_it_is_recorded",
        "test_step_records::test_w10_a_validation_error_is_one_again",
        decision="An attribute that cannot be stored, such as an HTTP response, does not refuse its error, so `except HTTPError` still "
        "catches it. To read the attribute raises a StateError that names it, the first time as well.",
    ),
    used(
        "W11",
        "Threads and their loop that take steps at once never hang: one reads the socket, and every answer reaches its call.",
        "passes",
        "test_threads_and_loops::test_w11_threads_and_their_loop_share_one_socket",
    ),
    used(
        "W12",
        "Doors are awaited in asyncio loops of any thread; any other loop is refused at once with a sentence.",
        "passes",
        "test_threads_and_loops::test_w12_doors_are_awaited_in_loops_of_any_thread",
        "test_threads_and_loops::test_w12_a_loop_that_cannot_be_repeated_is_refused_at_once",
    ),
    used(
        "W13",
        "A body that is begun again sees its threads as it saw them: which future was done next, who put into a queue and "
        "got from it before whom, and in which order the threads went on.",
        "passes",
        "test_thread_order::test_w13_what_threads_see_of_each_other_is_the_same_again",
        "test_thread_order::test_w13_threads_are_killed_at_any_point",
        "test_thread_order::test_w13_threads_and_then_a_sleep_that_parks",
    ),
    used(
        "W14",
        "What a step changes in the state is recorded with the step, so that it is there again where the step is not; what it changes in "
        "the body's own variables is not, which the docs say and, where the source shows it, a finding at publishing.",
        "passes",
        "test_step_records::test_w14_what_a_step_changes_in_the_state_is_recorded_with_it",
        "test_step_records::test_w14_steps_at_the_same_time_change_the_state_once",
        "test_step_records::test_w14_what_a_step_and_code_beside_it_both_change_is_no_silent_loss",
        "test_review_steps::test_w14_a_change_that_a_step_loses_is_a_finding",
        "test_review_steps::test_w14_what_a_step_keeps_or_nobody_reads_is_none",
    ),
    used(
        "W15",
        "`asyncio.run` ends as in Python: jobs of the default executor are done, tasks cancelled, generators closed.",
        "changed",
        "test_threads_and_loops::test_w15_what_the_default_executor_was_given_is_done",
        "test_threads_and_loops::test_w15_tasks_and_generators_end_with_their_loop",
        decision="A job that the body has given up itself, as wait_for does at its limit, is not waited for: its thread may never end.",
    ),
    used(
        "W16",
        "A step is known by its function's module and qualified name, a lambda by what it does, and a method by its object too, so that "
        "another step with the same arguments is NonDeterminism.",
        "passes",
        "test_step_records::test_w16_another_step_of_the_same_arguments_is_noticed",
        "test_step_records::test_w16_the_same_step_is_answered_from_its_record",
        "test_step_records::test_w16_journals_of_earlier_versions_are_answered_from",
    ),
    used(
        "W17",
        "A step with a time limit runs in its caller's thread and context, so the limit does not change what is computed.",
        "passes",
        "test_limit::test_w17_a_limit_does_not_change_what_is_computed",
        "test_limit::test_w17_what_takes_too_long_in_the_main_thread_is_broken_off",
        "test_limit::test_w17_an_inner_limit_is_not_taken_for_the_outer_one",
        "test_limit::test_w17_a_computation_in_a_thread_is_broken_off",
        "test_limit_runs::test_w17_what_cannot_be_broken_off_costs_its_worker_and_not_the_run",
    ),
    used(
        "W18",
        "`sys.path.append(dirname(__file__))` and `import lib_rates`, which is then edited: a helper that is found by any path "
        "below the file's folder is part of the version, and each run imports it anew.",
        "passes",
        "test_siblings::test_w18_a_helper_found_by_sys_path_is_part_of_the_version_and_fresh",
    ),
    used(
        "W19",
        "A file imports `rel.a`, which says `from .b import B`: the version holds the package with its relative imports, its data for "
        "`importlib.resources`, and what `import_module` names.",
        "passes",
        "test_siblings::test_w19_a_package_is_bundled_with_its_relative_imports",
        "test_siblings::test_w19_ways_to_import_a_sibling",
        "test_siblings::test_w19_data_of_a_package_is_part_of_the_version",
    ),
    used(
        "W20",
        "joblib and `ProcessPoolExecutor` with spawn find the workflow's functions in their processes.",
        "passes",
        "test_offspring::test_m12_w20_a_child_of_any_start_method_imports_the_workflow",
        "test_offspring::test_m12_w20_a_child_of_created_code_too",
    ),
    used(
        "W21",
        "Any integer is readable everywhere: of up to 4,300 digits as a number; a longer one as text where the result "
        "has no type, and in parts where its type promises an integer.",
        "passes",
        "test_caller_place::test_a_long_integer_is_readable_at_the_command_line",
        "test_caller_place::test_a_long_integer_is_readable_by_clients_as_text_and_where_an_integer_is_promised_in_parts",
    ),
    used(
        "W22",
        "An exception whose own code fails (attributes, message, repr, class) ends its run with its type, its line and what could be read "
        "of it; the worker lives on.",
        "passes",
        "test_worker_odd_errors::test_w22_an_exception_that_cannot_be_read_still_says_its_type",
    ),
    used(
        "W23",
        "A workflow named `package`, and `:book:` or `[red]` in a source, are shown verbatim by every command.",
        "passes",
        "test_caller_place::test_names_and_sources_are_shown_verbatim",
    ),
    used(
        "W24",
        "TZ is part of the caller's environment: local times of a run are the caller's, with a daemon and without one.",
        "passes",
        "test_caller_place::test_a_body_works_in_its_callers_folder_and_time_zone_through_a_daemon",
    ),
    used(
        "W25",
        "What programs and C code print is told line by line while they run, in order with the "
        "body's own prints, and of a progress bar what it shows now and then.",
        "passes",
        "test_capture::test_w25_what_programs_and_c_code_print_are_lines_of_the_run_in_order",
        "test_capture::test_w25_lines_come_while_the_program_runs",
        "test_capture::test_w25_a_program_that_prints_a_lot_stops_nothing",
        "test_capture::test_w25_c_code_that_holds_the_interpreters_lock_may_print_a_lot",
        "test_capture::test_w25_last_lines_belong_to_their_own_run",
        "test_capture::test_w25_a_body_that_closes_or_bends_the_descriptors_does_not_silence_the_next",
        "test_capture::test_w25_what_a_left_program_prints_is_not_the_next_runs",
        "test_capture::test_w25_a_progress_bar_is_seen_while_it_moves",
        "test_capture::test_w25_lines_are_told_as_a_terminal_would_leave_them",
        "test_capture::test_w25_an_endless_bar_takes_little_memory_and_few_lines",
    ),
    used(
        "W26",
        "numpy's global generator is seeded by the run and repeats; a body that does not repeat hears of the likely cause in "
        "its own text, with the line, and of `step`.",
        "passes",
        "test_library_chance::test_w26_numpys_global_generator_is_seeded_by_the_run",
        "test_library_chance::test_w26_a_run_that_draws_from_numpy_is_begun_again_and_draws_the_same",
        "test_library_chance::test_w26_a_body_that_does_not_repeat_hears_of_the_likely_cause",
        "test_library_chance::test_w26_a_hint_names_what_the_text_uses_and_nothing_that_repeats",
    ),
    used(
        "W27",
        "Created code may have a hundred threads and three hundred open files; where a limit ends it, the error names the setting.",
        "passes",
        "test_capture::test_w27_created_code_may_have_a_hundred_threads_and_three_hundred_files",
        "test_capture::test_w27_an_error_that_a_limit_explains_names_the_setting",
        "test_capture::test_w27_the_deepest_recursion_fits_into_a_threads_stack",
        "test_capture::test_w27_the_operators_own_files_meet_no_limit_of_ours",
    ),
)
