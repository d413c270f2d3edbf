"""Cases from real use, Python as people write it: W1-W27. tests/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases import Case, used

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
        "A forked child (`Process`, `Pool`) that prints, logs, warns, sleeps a second, calls `progress`, or raises: as "
        "in plain Python; a child's print becomes a log line, its frames never reach the parent's socket.",
        "open",
    ),
    used(
        "W3",
        "`Pool(4).map(pi, range(4))` with `random`: children get seeds of their own, deterministic by their order.",
        "open",
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
        "A step raises `RateLimited(msg, retry_after)` (own `__init__`); the body sleeps `error.retry_after`: the same "
        "error again, with attributes, notes, cause; what cannot be restored is refused when recorded.",
        "open",
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
        "`concurrent.futures.as_completed` over `pool.submit(step, ...)`, then `sleep(6)`: threads get their paths at "
        "submission and their answers in recorded order.",
        "open",
    ),
    used(
        "W14",
        "A step (closure) fills a dict of the body: `pages[url] = ...`; then a park: said in docs and, where the source "
        "shows it (closure, nonlocal, global, mutated argument), a finding at publishing; a state change inside a step "
        "is recorded with it.",
        "open",
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
        "`@step` methods: at replay the body calls `refund` where `charge` was recorded: NonDeterminism: the step's "
        "identity is its qualified name.",
        "open",
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
        "Joblib, `ProcessPoolExecutor` with spawn: see M12.",
        "open",
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
        "An exception whose attribute access raises: its type, and what could be read.",
        "open",
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
        "Tqdm, subprocess output, `os.system`: lines as they come; children's output is log lines.",
        "open",
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
        "Created code: 100 threads; 300 open files: named limit and setting.",
        "open",
    ),
)
