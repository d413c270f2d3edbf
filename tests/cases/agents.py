"""Cases from real use, a model that has only the tools: G1-G24. tests/project/test_cases.py compares this with the tests."""

from __future__ import annotations

from typing import Final

from cases.styles import Case, used

AGENTS: Final[tuple[Case, ...]] = (
    used(
        "G1",
        "A workflow's name called as a function: the finding says `workflows.NAME(...)`. `create_workflow` names what is ambient.",
        "open",
        "test_guide::test_g1_everything_ambient_is_named_where_a_model_looks",
        decision="The names are said; the finding is not.",
    ),
    used(
        "G2",
        "An import of one of our own names or of a stored workflow is never answered with a package to install.",
    ),
    used(
        "G3",
        "A name that `repertoire` does not have: the finding lists the names that there are, nearest first.",
    ),
    used(
        "G4",
        "An effect outside a step is an advisory finding, a resumed run has an event `resumed`, and its envelope counts them.",
        "passes",
        "test_resumed::test_g4_a_run_whose_worker_died_says_how_often_its_body_was_begun_again",
        "test_resumed::test_g4_a_run_whose_server_was_killed_says_so_in_its_events_too",
        "test_review_effects::test_g4_an_effect_outside_of_a_step_is_told",
        "test_review_effects::test_g4_no_effect_is_told_of_a_call_that_has_none",
        "test_review_effects::test_g4_effects_in_steps_and_in_functions_of_steps_are_left_alone",
        "test_review_effects::test_g4_a_body_that_is_soon_over_is_left_alone",
        "test_review_effects::test_g4_a_function_that_the_body_calls_itself_is_part_of_it",
        "test_review_effects::test_g4_a_class_is_read_too",
    ),
    used(
        "G5",
        "What cannot work is kept as a draft: an unknown workflow, an undefined name, a call that lacks an argument.",
        "passes",
        "test_drafts::test_g5_what_cannot_work_is_kept_as_a_draft",
        "test_drafts::test_g5_what_works_is_no_draft",
        "test_drafts::test_g5_conditional_and_starred_names_of_the_module_are_no_drafts",
        "test_drafts::test_g5_a_call_of_a_draft_names_it_and_a_pair_is_published_in_order",
        "test_drafts::test_g5_a_file_that_cannot_work_is_not_written",
        "test_drafts::test_g5_a_version_that_was_published_before_comes_back_with_a_warning",
    ),
    used(
        "G6",
        "Whether a caller still fits its callee is decided by the call's own arguments, in both directions.",
        "passes",
        "test_drafts::test_g6_a_caller_that_gives_the_new_type_already_does_not_hinder_the_change",
        "test_drafts::test_g6_a_caller_that_gives_the_old_type_is_told_with_its_argument",
        "test_drafts::test_g6_what_cannot_be_told_says_so_and_names_force",
        "test_drafts::test_g6_a_caller_that_gives_what_the_callee_does_not_take_is_told",
    ),
    used(
        "G7",
        "An answer that does not fit gives the run's envelope, still input_required, and says why; a right one gives the result.",
        "passes",
        "test_envelope_mcp::test_g7_a_wrong_answer_leaves_the_run_waiting_and_says_why",
        "test_envelope_mcp::test_g7_a_right_answer_gives_the_result",
        "test_envelope_mcp::test_g7_of_two_questions_the_next_call_names_the_first_that_is_open",
        "test_envelope_mcp::test_g7_g8_strict_clients_accept_refusals",
    ),
    used(
        "G8",
        "A refused call is an error alone: no run_id, no session_id.",
        "passes",
        "test_envelope_mcp::test_g8_a_refused_call_is_an_error_alone_with_the_next_call",
        "test_envelope_mcp::test_g8_what_a_workflow_refuses_is_a_failed_run_and_names_the_schema",
        "test_envelope_mcp::test_g8_g14_drafts_pages_and_refused_sources_name_the_next_call",
        "test_envelope_mcp::test_g7_g8_strict_clients_accept_refusals",
    ),
    used(
        "G9",
        "get_run and run:/// show a run's arguments, list_runs their beginning.",
        "passes",
        "test_envelope_mcp::test_g9_a_run_shows_its_arguments_and_who_started_it",
        "test_envelope_mcp::test_g9_the_runs_below_a_run_have_its_client",
    ),
    used(
        "G10",
        "A result in parts says how to get them, and a part comes without the preview.",
        "passes",
        "test_envelope_mcp::test_g10_a_result_in_parts_says_how_to_get_them",
    ),
    used(
        "G11",
        "A result that JSON cannot hold, such as NaN, is named: never null in silence.",
        "passes",
        "test_envelope_mcp::test_g11_a_number_that_json_lacks_is_named",
        "test_envelope_mcp::test_g11_the_run_above_is_told_of_a_number_that_became_null",
    ),
    used(
        "G12",
        "Drafts are listed, can be deleted, and get new examples without their source.",
        "passes",
        "test_drafts::test_g12_drafts_are_listed_deleted_and_get_examples_without_their_source",
        "test_drafts::test_g12_a_deleted_draft_comes_back_by_its_version",
    ),
    used(
        "G13",
        "A deleted workflow's name says who deleted it, when, and how to bring it back.",
        "passes",
        "test_envelope_mcp::test_g13_a_deleted_workflow_says_who_deleted_it_and_how_to_bring_it_back",
    ),
    used(
        "G14",
        "list_workflows filters by who created them, since when, tags and status; a title only where one was given.",
        "passes",
        "test_envelope_mcp::test_g14_workflows_are_listed_by_maker_time_tags_and_status",
        "test_envelope_mcp::test_g8_g14_drafts_pages_and_refused_sources_name_the_next_call",
    ),
    used(
        "G15",
        "What is indexed is ranked by meaning while new entries are ranked by words; a word match names its words.",
        "passes",
        "test_tiers::test_g15_new_entries_are_ranked_by_words_and_the_others_by_meaning",
        "test_tiers::test_g15_during_the_first_indexing_what_is_done_is_ranked_by_meaning",
        "test_search::test_g15_a_word_match_names_its_words_and_scores_as_many_as_it_has",
    ),
    used(
        "G16",
        "search_workflows gives only confident matches, and else the nearest.",
        "passes",
        "test_tiers::test_g16_what_fits_is_a_match_and_what_does_not_is_at_most_among_the_nearest",
        "test_tiers::test_g16_a_query_in_another_language_is_told_what_the_model_knows",
        "test_query_language::test_g16_most_queries_in_another_language_are_known_as_such",
    ),
    used(
        "G17",
        "A missing package: the finding says what a person can do and which packages are installed, wherever the import stands.",
    ),
    used(
        "G18",
        "`input()`, `ask` with wrong arguments, a fenced source, `Args` without a colon, arguments as a JSON string: each is understood.",
    ),
    used(
        "G19",
        "All calls that an example has to mock are named in one answer, which also names from_run.",
        "passes",
        "test_drafts::test_g19_all_missing_mocks_are_named_in_one_answer_with_from_run",
    ),
    used(
        "G20",
        "A run that waits for another of its session says for which; state makes runs go one after another, and creation says so.",
        "passes",
        "test_envelope_mcp::test_g20_a_run_that_waits_for_its_session_says_for_which_run",
        "test_drafts::test_g20_a_creation_says_that_state_makes_runs_take_turns",
    ),
    used(
        "G21",
        "A long run's unfinished answer carries the last progress and the next call; wait_s and events are chosen by the caller.",
        "passes",
        "test_envelope_mcp::test_g21_an_unfinished_answer_has_the_last_progress_and_the_next_call",
        "test_envelope_mcp::test_g21_events_are_chosen_and_progress_is_folded",
    ),
    used(
        "G22",
        "A creation says each finding once, in short.",
    ),
    used(
        "G23",
        "A misspelt argument gets one line that names the right one.",
    ),
    used(
        "G24",
        "An unknown tool's name is answered with near names only, fixed tools first.",
    ),
)
