"""Cases from real use, under load and faults: R1-R22. tests/project/test_cases.py compares this with the tests, in both directions."""

from __future__ import annotations

from typing import Final

from cases.styles import Case, used

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
        "One idempotency key from several clients at once is one run with one body: the claim is one transaction with "
        "the run's start, and all callers get that run.",
        "passes",
        "test_claims::test_r2_only_the_last_body_of_a_run_writes_and_a_key_has_one_run",
        "test_claims::test_r2_callers_with_one_key_at_once_get_one_run",
        "test_claims::test_r2_a_run_that_is_cancelled_while_others_ask_for_it_with_its_key_stays_cancelled",
    ),
    used(
        "R3",
        "A process that forks workers may be killed while runs wait for a fork: it is started again, the fork is "
        "repeated, and no run ends by it.",
        "passes",
        "test_infrastructure::test_r3_runs_outlive_the_process_that_forks_their_workers",
        "test_infrastructure::test_r3_a_file_outlives_the_process_that_forks_its_workers",
    ),
    used(
        "R4",
        "With too few file descriptors runs wait and say so, and the log says what to raise; no run fails.",
        "passes",
        "test_infrastructure::test_r4_runs_wait_for_descriptors_and_say_so",
    ),
    used(
        "R5",
        "A full disk or a locked database ends no run: nobody is told an end that is not recorded, and the run goes on "
        "when the disk can be written.",
        "passes",
        "test_faults_disk::test_a_run_that_ends_on_a_full_disk_is_working_until_its_record_is_written",
        "test_faults_disk::test_a_run_outlives_a_lock_that_is_held_for_long",
        "test_replay_parking::test_a_call_that_cannot_be_recorded_now_is_recorded_later_and_done_once",
        "test_survive::test_a_disk_that_is_full_at_a_record_holds_the_run_back_and_loses_nothing",
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
        "When the server ends (`stop`, SIGTERM, a newer version that takes over), each open call is answered "
        "before the close: `working` with its run's id. An old front's next call starts the newer version.",
        "passes",
        "test_ending::test_r7_open_calls_are_answered_working_before_the_daemon_closes",
        "test_ending::test_r7_who_waits_with_get_run_and_who_creates_is_answered_too",
        "test_ending::test_r7_a_hand_over_answers_what_is_still_open",
        "test_ending::test_r7_an_embedded_server_answers_before_it_goes",
        "test_ending::test_r7_a_server_over_http_answers_before_it_goes",
        "test_front_trouble::test_r7_an_old_fronts_next_call_starts_the_newer_version_although_its_front_has_gone",
        "test_front_trouble::test_r7_a_newer_version_whose_front_was_only_a_probe_is_started_by_the_old_front",
        "test_front_trouble::test_r7_a_newer_version_that_is_no_longer_installed_is_not_started",
    ),
    used(
        "R8",
        "A server whose home is deleted, moved or replaced notices it within seconds: it answers no more but with "
        "a clear error, ends, and takes nothing from the next one.",
        "passes",
        "test_ending::test_r8_every_file_that_is_taken_away_is_noticed",
        "test_ending::test_r8_a_home_that_is_taken_away_is_noticed_and_its_daemon_ends",
        "test_ending::test_r8_a_daemon_that_was_left_without_its_home_takes_nothing_from_the_next_one",
        "test_ending::test_r8_a_server_over_http_says_so_and_ends_with_an_error",
        "test_ending::test_r8_a_disk_that_does_not_answer_has_lost_nothing",
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
        "A question that is open in the record can be answered at any time after a restart.",
        "passes",
        "test_claims::test_r10_r19_what_a_run_asks_is_shown_and_answered_at_once_after_a_restart",
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
        "A daemon that is killed before a run was stored leaves no run to ask for: the call is told that it may not "
        "have begun, and made again with its key it finds the run or begins it.",
        "passes",
        "test_survive::test_r12_a_call_whose_run_was_not_stored_is_told_so_and_begins_it_when_it_is_made_again",
    ),
    used(
        "R13",
        "Scratch folders are below the home; those of a killed daemon are deleted at the next start of that home, and "
        "by no other home.",
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
        "A start on a full disk names the first file that could not be written and says what to do, also where the"
        " log cannot be written.",
        "passes",
        "test_start_disk::test_r15_whichever_file_has_no_room_is_named_with_what_to_do",
        "test_start_disk::test_r15_a_host_is_told_although_the_log_cannot_be_written_either",
        "test_start_disk::test_r15_a_limit_on_the_size_of_files_is_named_too",
        "test_start_disk::test_an_error_without_a_path_gets_the_one_that_was_meant",
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
        "500 clients at once: callers take turns for the workers, so that one who asks now and then is next, and whoever waits is told "
        "how many runs come before its own.",
        "passes",
        "test_queue::test_callers_take_turns_and_keep_their_own_order",
        "test_queue::test_who_asks_now_and_then_comes_before_500_who_ask_all_the_time",
        "test_queue::test_callers_who_come_new_hold_nobody_up_for_ever",
        "test_queue::test_r17_one_call_beside_a_flood_is_next_and_the_flood_says_its_place",
    ),
    used(
        "R18",
        "What a body creates or deletes is done once although the server dies before the call is recorded: the change "
        "and its answer share a transaction.",
        "passes",
        "test_claims::test_r18_what_a_body_creates_and_deletes_is_done_once_although_the_server_dies_before_it_is_recorded",
    ),
    used(
        "R19",
        "After a restart the open question of a run is shown and can be answered at once, although its body has not "
        "come to it again.",
        "passes",
        "test_claims::test_r10_r19_what_a_run_asks_is_shown_and_answered_at_once_after_a_restart",
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
        "What a run that calls `commit_state` or is parked keeps of its session's state is stored once, however many runs began with the "
        "same, and goes when the run has completed or was cancelled.",
        "passes",
        "test_kept_states::test_r21_a_run_that_has_ended_keeps_no_state",
        "test_kept_states::test_r21_failed_runs_share_a_state_until_they_are_deleted",
        "test_kept_states::test_r21_a_failed_run_is_run_again_with_the_state_that_it_began_with",
        "test_kept_states::test_r21_a_run_that_is_begun_again_has_the_state_that_it_began_with",
    ),
    used(
        "R22",
        "Of more than `max_http_sessions` legacy sessions over HTTP the one that was idle for longest goes, and "
        "abandoned ones do not hold up the end of the server.",
        "passes",
        "test_http_sessions::test_r22_the_session_that_was_idle_for_longest_goes_first",
        "test_http_sessions::test_r22_one_with_an_open_stream_stays_and_new_ones_are_refused_where_all_have_one",
        "test_http_sessions::test_r22_abandoned_sessions_do_not_hold_up_the_end",
    ),
)
