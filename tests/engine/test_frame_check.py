"""What the server takes from a worker's socket: every frame that a worker may not send is refused, whoever wrote it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from repertoire.engine.frame_check import FrameCheck, Rules
from repertoire.engine.frame_reader import BadFrame, FrameReader
from repertoire.engine.pace import Pace
from repertoire.limits import Limits
from repertoire.values.json_check import NotJson, check_json, check_long_json
from repertoire.wire import (
    Answer,
    Call,
    Done,
    Drop,
    Events,
    Failed,
    Fault,
    Idle,
    Inspect,
    Inspected,
    Late,
    More,
    Page,
    RawEvent,
    Record,
    Recorded,
    Settled,
    Task,
    Tick,
    WorkerFrame,
    encode,
)

CODE: Any = None
TASK = Task("run", "key", "{}", recorded=2)
INSPECT = Inspect(CODE)
CALL = Call(1, "0", "sleep", "{}", "hash")
LOG = RawEvent("log", 1.0, '{"message": "a"}', "", 1)


def begun(*frames: Any, **limits: Any) -> FrameCheck:
    """A check that has seen these frames."""
    check = FrameCheck()
    check.rules = Rules.of(msgspec.structs.replace(Limits(), **limits), trusted=False, is_reused=False)
    for frame in frames:
        if isinstance(frame, Task | Inspect | Answer | Page):
            check.sent(frame)
        else:
            check.take(frame)
    return check


def refused(check: FrameCheck, frame: WorkerFrame) -> str:
    with pytest.raises(BadFrame) as caught:
        check.take(frame)
    return str(caught.value)


# Phases


def test_a_worker_without_a_task_may_say_nothing() -> None:
    for frame in (Tick(), CALL, Done("1"), Settled(), Events([LOG]), Inspected("{}", "{}")):
        assert "wrong time" in refused(begun(), frame)


def test_a_worker_that_loads_a_module_may_only_answer() -> None:
    assert "wrong time" in refused(begun(INSPECT), CALL)
    assert "wrong time" in refused(begun(INSPECT), Done("1"))
    assert begun(INSPECT).take(Inspected("{}", "{}")) == Inspected("{}", "{}")


def test_a_run_ends_once() -> None:
    assert "after its final answer" in refused(begun(TASK, Done("1")), Done("2"))
    assert "wrong time" in refused(begun(TASK), Inspected("{}", "{}"))


def test_frames_of_threads_that_a_body_has_left_behind_are_ignored_up_to_a_number() -> None:
    check = begun(TASK, Done("1"))
    assert [check.take(frame) for frame in (Tick(), CALL, Events([LOG]))] == [None, None, None]
    with pytest.raises(BadFrame, match="no end of frames"):
        for _ in range(100_000):
            check.take(Tick())


def test_only_a_worker_that_is_used_again_settles_and_only_once() -> None:
    assert "Settled after" in refused(begun(TASK, Done("1")), Settled())
    check = begun(TASK)
    check.rules = Rules.of(Limits(), trusted=True, is_reused=True)
    check.take(Done("1"))
    assert check.take(Settled("the\nlogger \x1b[31mroot")) == Settled("the logger [31mroot")
    assert "Settled after" in refused(check, Settled())


# Calls


def test_the_number_of_a_call_is_used_once() -> None:
    assert "second time" in refused(begun(TASK, CALL), msgspec.structs.replace(CALL, path="1"))
    assert "second time" in refused(begun(TASK, CALL, Answer(1, 1, 0.5)), Record(1, "1", "step", "hash"))
    assert "second time" in refused(begun(TASK), msgspec.structs.replace(CALL, id=0))
    begun(TASK, msgspec.structs.replace(CALL, id=5, path="5"), CALL)  # threads may be out of order


def test_two_open_calls_have_two_paths() -> None:
    second = msgspec.structs.replace(CALL, id=2)
    assert "path of a call that is open" in refused(begun(TASK, CALL), second)
    assert begun(TASK, CALL, Answer(1, 1, 0.5)).take(second) == second


@pytest.mark.parametrize(
    "path", ["", "a", "0/", "../0", "0?ask", "0/1\n", "0//1", "-1", "0 ", "\u0660", "9" * 30, "0/" * 20_000 + "0"]
)
def test_a_path_has_the_form_of_a_path(path: str) -> None:
    assert "path" in refused(begun(TASK), msgspec.structs.replace(CALL, path=path))


@pytest.mark.parametrize("path", ["0", "12/3", "2/0:1", "0/init0/4", "1/then12/0:0:7"])
def test_paths_of_bodies_pass(path: str) -> None:
    call = msgspec.structs.replace(CALL, path=path)
    assert begun(TASK).take(call) is call


def test_a_record_holds_json_and_a_label_is_cut() -> None:
    assert "no JSON" in refused(begun(TASK), Record(1, "0", "step", "hash", result="{"))
    assert "no JSON" in refused(begun(TASK), Record(1, "0", "step", "hash", result="NaN"))
    long = begun(TASK).take(Record(1, "0", "step", "hash", "x" * 100_000, "1"))
    assert isinstance(long, Record) and len(long.label) == 300
    assert "odd name" in refused(begun(TASK), msgspec.structs.replace(CALL, op="o" * 1000))


def test_a_timer_is_late_for_an_answer_that_was_sent_and_once() -> None:
    assert "late" in refused(begun(TASK), Late(1, 1.0))
    told = begun(TASK, CALL, Answer(1, 7, 0.5))
    assert told.take(Late(7, 1.0)) == Late(7, 1.0)
    assert "late" in refused(told, Late(7, 2.0))
    assert "late" in refused(begun(TASK, CALL, Answer(1, 7, 0.5)), Late(8, 1.0))


def test_a_worker_waits_for_its_own_calls_and_asks_for_pages_in_order() -> None:
    assert "waits for a call" in refused(begun(TASK, CALL), Idle([1, 2]))
    assert begun(TASK, CALL).take(Idle([1])) == Idle([1])
    assert "out of order" in refused(begun(TASK), More(5))
    assert "out of order" in refused(begun(msgspec.structs.replace(TASK, recorded=0)), More(0))
    read = begun(TASK, More(0), Page([Recorded(9, "0", "sleep", "hash", 0.5)]))
    assert read.take(More(9)) == More(9)


def test_a_cancelled_call_may_never_have_been_sent() -> None:
    drop = Drop(4, "0", "sleep", "hash")
    assert begun(TASK).take(drop) == drop
    assert "no JSON" in refused(begun(TASK), msgspec.structs.replace(drop, heard="["))


# Events and texts


def test_events_beyond_the_limit_become_one_warning() -> None:
    check = begun(TASK, max_events=5)
    taken = [check.take(Events([LOG] * 20)) for _ in range(3)]
    assert isinstance(taken[1], Events) and len(taken[1].events) == 6 and "max_events" in taken[1].events[-1].data
    assert taken[2] is None


def test_bytes_of_events_beyond_the_limit_become_one_warning() -> None:
    long = msgspec.structs.replace(LOG, data=f'{{"message": "{"x" * 500}"}}')
    taken = begun(TASK, max_log_bytes=1000).take(Events([long, long, long]))
    assert isinstance(taken, Events) and taken.events[0] == long and "max_log_bytes" in taken.events[1].data


@pytest.mark.parametrize("data", ["", "[]", '"a"', "{", '{"a": NaN}', '{"a": ' + "[" * 400 + "]" * 400 + "}"])
def test_the_data_of_an_event_is_an_object(data: str) -> None:
    assert "an event is no JSON" in refused(begun(TASK), Events([msgspec.structs.replace(LOG, data=data)]))


def test_a_fault_is_short_and_its_code_is_one_that_there_is() -> None:
    fault = Fault("approved", "Type\nx\x1b[0m" * 100, "m" * 100_000, line=-4, hint="h" * 100_000, traceback="t" * 10**6)
    failed = begun(TASK).take(Failed(fault))
    assert isinstance(failed, Failed) and failed.fault.code == "exception" and failed.fault.line is None
    assert failed.fault.type.isprintable() and len(failed.fault.type) <= 200
    assert len(encode(failed)) < 70_000


# Bytes


def test_a_length_of_two_gigabytes_costs_nothing() -> None:
    reader = FrameReader()
    reader.feed((2**31 - 1).to_bytes(4, "little"))
    with pytest.raises(BadFrame, match="bytes, where"):
        reader.take()


def test_frames_are_taken_one_by_one_however_they_arrive() -> None:
    data = encode(Tick()) + encode(Done("1")) + encode(CALL)
    for size in (1, 3, 1000):
        reader, taken = FrameReader(), []
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
            while (frame := reader.take()) is not None:
                taken.append(frame[0])
        assert taken == [Tick(), Done("1"), CALL]


HEAD = b"\x82\xa4type"
BYTES = {
    "nothing": b"",
    "an array": b"\x90",
    "a kind that there is not": HEAD + b"\xa4pool",
    "a kind in the second place": b"\x82\xa1x\xc0\xa4type\xa4tick",
    "another key": HEAD + b"\xa4tick\xa1x\x01",
    "a billion lists of clocks": HEAD + b"\xa4call\xa5clock\xdd\x7f\xff\xff\xff",
    "a list without clocks": b"\x86\xa4type\xa4drop\xa2id\x01\xa4path\xa10\xa2op\xa1x\xa4hash\xa1x\xa5clock\x91\x90",
    "a billion events": HEAD + b"\xa6events\xa6events\xdd\x7f\xff\xff\xff",
    "a deep value": b"\x82\xa4type\xa6events\xa6events" + b"\x91" * 100_000,
    "NaN as a time": b"\x83\xa4type\xa4late\xa1n\x01\xa2at\xcb\x7f\xf8\0\0\0\0\0\0",
    "a negative number": b"\x82\xa4type\xa4more\xa5after\xff",
    "a number of 64 bits": b"\x82\xa4type\xa4more\xa5after\xcf" + b"\xff" * 8,
    "a text that is no Unicode": b"\x82\xa4type\xa4done\xa6result\xa1\xff",
    "bytes for a text": b"\x82\xa4type\xa4done\xa6result\xc4\x01a",
    "one byte too many": encode(Tick())[4:] + b"\xc0",
}


@pytest.mark.parametrize("what", BYTES)
def test_bytes_that_are_no_frame_are_refused_at_once(what: str) -> None:
    reader = FrameReader()
    reader.feed(len(BYTES[what]).to_bytes(4, "little") + BYTES[what])
    began = time.process_time()
    with pytest.raises(BadFrame):
        reader.take()
    assert time.process_time() - began < 0.5


def test_a_pace_lets_a_second_through_at_once_and_then_slows_down() -> None:
    pace = Pace(100)
    pace.spend(90)
    assert pace.wait_s() == 0
    pace.spend(110)
    assert 0.5 < pace.wait_s() <= 1.1
    assert Pace(0).wait_s() == 0


# JSON

DEEP = "[" * 299 + "1" + "]" * 299
UNREADABLE = {
    "cut": '{"a": [1, 2',
    "NaN": '{"a": NaN}',
    "two values": "1 2",
    "a control character": '"\x01"',
    "deep": f"[[{DEEP}]]",
    "very deep": "[" * 100_000 + "]" * 100_000,
    "deep beside brackets in strings": '["]]]]", ' * 400 + "1" + "]" * 400,
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_text_that_a_reader_could_not_read_is_refused(what: str) -> None:
    with pytest.raises(NotJson):
        check_long_json(UNREADABLE[what])


@pytest.mark.parametrize(
    "text",
    ["1", DEEP, '{"a": "\\ud800"}', '"\\\\ud800"', "9" * 100_000, "[" + '"[[[[", ' * 1000 + "1]", f"[{'[],' * 1000}1]"],
)
def test_a_text_that_every_reader_reads_passes(text: str) -> None:
    check_json(text)
    check_long_json(text)


def test_the_depth_of_a_long_text_is_found_part_by_part() -> None:
    wide = '{"name": "a [b] {c} \\" d", "n": [1, 2]}, ' * 5000
    check_long_json(f"[{wide}1]")
    with pytest.raises(NotJson):
        check_long_json(f"[{wide}{'[' * 300}{wide}1{']' * 300}]")
