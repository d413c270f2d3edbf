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
        "open",
        "test_resumed::test_g4_a_run_whose_worker_died_says_how_often_its_body_was_begun_again",
        "test_resumed::test_g4_a_run_whose_server_was_killed_says_so_in_its_events_too",
        decision="The finding is missing.",
    ),
    used(
        "G5",
        "What cannot work is kept as a draft: an unknown workflow, an undefined name, a call that lacks an argument.",
    ),
    used(
        "G6",
        "Whether a caller still fits its callee is decided by the call's own arguments, in both directions.",
    ),
    used(
        "G7",
        "An answer that does not fit gives the run's envelope, still input_required, and says why; a right one gives the result.",
    ),
    used(
        "G8",
        "A refused call is an error alone: no run_id, no session_id.",
    ),
    used(
        "G9",
        "get_run and run:/// show a run's arguments, list_runs their beginning.",
    ),
    used(
        "G10",
        "A result in parts says how to get them, and a part comes without the preview.",
    ),
    used(
        "G11",
        "A result that JSON cannot hold, such as NaN, is named: never null in silence.",
    ),
    used(
        "G12",
        "Drafts are listed, can be deleted, and get new examples without their source.",
    ),
    used(
        "G13",
        "A deleted workflow's name says who deleted it, when, and how to bring it back.",
    ),
    used(
        "G14",
        "list_workflows filters by who created them, since when, tags and status; a title only where one was given.",
    ),
    used(
        "G15",
        "What is indexed is ranked by meaning while new entries are ranked by words; a word match names its words.",
    ),
    used(
        "G16",
        "search_workflows gives only confident matches, and else the nearest.",
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
    ),
    used(
        "G20",
        "A run that waits for another of its session says for which; state makes runs go one after another, and creation says so.",
    ),
    used(
        "G21",
        "A long run's unfinished answer carries the last progress and the next call; wait_s and events are chosen by the caller.",
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
