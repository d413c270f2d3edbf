"""Cases from real use, under load and faults: R1-R22. tests/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases import Case, used

RELIABILITY: Final[tuple[Case, ...]] = (
    used(
        "R1",
        "Any tree of runs ends with any number of workers: a run gives its place back whatever it waits for, and has one again "
        "before its body goes on.",
        "passes",
        "test_places::test_r1_any_tree_of_runs_ends_with_any_number_of_workers",
    ),
    used(
        "R2",
        "One idempotency key from several clients at once: the claim is one transaction; all callers get the one run.",
        "open",
    ),
    used(
        "R3",
        "Kill -9 of the process that workers are forked from, while runs wait for a fork; just after a restart: "
        "infrastructure is started again and the fork repeated; only the body's own doing ends a run.",
        "open",
    ),
    used(
        "R4",
        'Too few file descriptors (ulimit -n 52): the run waits ("no file descriptors"), the log says what to raise.',
        "open",
    ),
    used(
        "R5",
        "Disk full, file immutable, database locked for 30 s: never say final what is not recorded: answer `working` or "
        'an error without a status, "its record could not be written; ask get_run"; a lock of 30 s ends no durable run.',
        "open",
    ),
    used(
        "R6",
        "A `create_workflow`, or a file, whose inspecting worker or zygote is killed from outside is read again, "
        "three times at most; a module that kills its own process is refused after that.",
        "passes",
        "test_faults_inspect::test_a_create_whose_inspection_is_killed_is_tried_again",
        "test_faults_inspect::test_a_module_that_kills_its_own_process_is_refused_after_a_few_tries",
        "test_faults_inspect::test_a_file_whose_inspection_was_killed_is_published",
        "test_faults_inspect::test_a_linter_that_is_killed_is_asked_once_more",
    ),
    used(
        "R7",
        "`stop`, SIGTERM, hand-over to a newer version, under load: each open call is answered `working` with its run "
        "id before the close; fronts learn the new version.",
        "open",
        "test_front_trouble::test_r7_an_old_fronts_next_call_starts_the_newer_version_although_its_front_has_gone",
        "test_front_trouble::test_r7_a_newer_version_whose_front_was_only_a_probe_is_started_by_the_old_front",
        "test_front_trouble::test_r7_a_newer_version_that_is_no_longer_installed_is_not_started",
        decision="Open calls are not answered before the close yet.",
    ),
    used(
        "R8",
        "Home deleted while the daemon runs: noticed (inode of the database and lock) within seconds: no more answers, "
        "a clear error, end.",
        "open",
    ),
    used(
        "R9",
        "While the clock is set back, jumps forward or is put right again, and after a laptop has slept, a parked "
        "sleep and a question's expiry wake within a second of the due time by whichever clock says it first.",
        "passes",
        "test_clock::test_r9_a_parked_sleep_ends_in_time_though_the_clock_is_set_back",
        "test_clock::test_r9_a_parked_sleep_is_over_when_the_clock_jumps_forward",
        "test_clock::test_r9_a_sleep_begun_while_the_clock_was_wrong_is_over_by_either_clock",
        "test_clock::test_r9_a_question_expires_in_time_though_the_clock_is_set_back",
        "test_clock::test_r9_a_short_sleep_that_keeps_its_worker_hears_of_a_jump",
        "test_clock::test_r9_a_restart_while_the_clock_is_back_waits_for_the_right_time_again",
    ),
    used(
        "R10",
        "After restarts: a question that is open in the record can be answered at any time.",
        "open",
    ),
    used(
        "R11",
        "A daemon that is killed while a front starts it is started again, three times at most, and the log says so.",
        "passes",
        "test_front_trouble::test_r11_a_daemon_that_is_killed_while_it_starts_is_started_again",
        "test_front_trouble::test_r11_one_that_is_killed_every_time_is_given_up_with_the_reason",
    ),
    used(
        "R12",
        'Daemon killed before a run was stored: say "may not have begun"; the same call made again with its key finds '
        "it or begins it.",
        "open",
    ),
    used(
        "R13",
        "Scratch folders are below the home; those of a killed daemon are deleted at the next start of that home, and by no other home.",
        "passes",
        "test_faults_inspect::test_r13_scratch_folders_of_killed_servers_go_at_the_next_start_and_no_other_homes",
    ),
    used(
        "R14",
        "A call made in a lambda, a `partial` or a helper, or stored first, can be awaited wherever it was written.",
        "passes",
        "test_await_anywhere::test_r14_calls_that_are_awaited_elsewhere_are_made_at_once",
        "test_await_anywhere::test_r14_a_value_is_awaited_wherever_its_call_was_written",
        "test_await_anywhere::test_r14_a_value_that_is_not_awaited_is_a_plain_value",
        "test_await_anywhere::test_r14_what_no_door_gave_is_not_awaitable",
    ),
    used(
        "R15",
        "Start on a full disk: names the file and what to do.",
        "open",
    ),
    used(
        "R16",
        "A run of 200,000 events or items meets a documented limit, and the message names its setting: `max_events`, "
        "`max_items`.",
        "passes",
        "test_caller_place::test_the_limits_of_events_and_items_name_their_settings",
    ),
    used(
        "R17",
        "500 clients at once: fair: an interactive call beside 500 clients is answered within 5 x its undisturbed time "
        "or says its place in the queue.",
        "open",
    ),
    used(
        "R18",
        "`workflows.create()` or `.delete()` of a body in flight at a kill: the host's own effects are exactly once: "
        "recorded in the same transaction as the call.",
        "open",
    ),
    used(
        "R19",
        "After a restart, a run that asks while another of its calls goes on: the open question is in the record: shown "
        "and answerable at once.",
        "open",
    ),
    used(
        "R20",
        "A front that had a daemon stays when no other can be started: it tries again with growing pauses, and "
        "every call gets the reason meanwhile.",
        "passes",
        "test_front_trouble::test_r20_a_front_that_had_a_daemon_stays_without_one_and_tells_every_call_why",
        "test_front_trouble::test_r20_what_listens_goes_on_to_wait_and_is_told_to_the_next_daemon_without_a_call",
        "test_front_trouble::test_r20_a_front_without_a_daemon_ends_with_its_host",
    ),
    used(
        "R21",
        "A run that calls `commit_state`: what only a resume needs goes when the run has ended; states are stored once "
        "(content-addressed).",
        "open",
    ),
    used(
        "R22",
        "3,000 abandoned legacy HTTP sessions: bounded (oldest idle ones go), SIGTERM stays within 2 s.",
        "open",
    ),
)
