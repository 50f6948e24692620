"""How far dead letters were put back, and what of that an offset and a note say."""

import random

import pytest

from worker.progress import NoteUnreadable, Progress

REASONS = ["DeviceRejected", "NoText", "NotJson"]


def test_a_replay_of_all_needs_no_note() -> None:
    assert Progress(7) == Progress(3).after(7, None)
    assert ("", 7) == (Progress(7).note, Progress(7).first(None))


def test_a_replay_of_one_reason_leaves_the_others_due() -> None:
    at = Progress(3).after(7, "NotJson")
    assert (3, '{"NotJson":7}') == (at.offset, at.note)
    assert [True, False] == [at.settled("NotJson", 6), at.settled("NoText", 6)]
    assert at == Progress.of(3, at.note, partition=0)


def test_whatever_is_replayed_in_whatever_order_each_is_put_back_once() -> None:
    """And after a replay of all, nothing is left. Every replay is cut short somewhere."""
    draw = random.Random(1)
    for _ in range(200):
        letters = [draw.choice(REASONS) for _ in range(30)]
        times = [0] * len(letters)
        at = Progress(0)
        for turn in range(6):
            reason = None if turn == 5 else draw.choice([None, *REASONS])
            end = len(letters) if turn == 5 else draw.randrange(len(letters))
            for offset in range(at.first(reason), end):
                if reason in (None, letters[offset]) and not at.settled(letters[offset], offset):
                    times[offset] += 1
            at = Progress.of((after := at.after(end, reason)).offset, after.note, partition=0)
        assert [1] * len(letters) == times
        assert Progress(len(letters)) == at


@pytest.mark.parametrize("note", ["rubbish", "[]", '{"NotJson": "x"}'])
def test_a_note_of_somebody_else_is_no_progress(note: str) -> None:
    with pytest.raises(NoteUnreadable, match="--from"):
        Progress.of(3, note, partition=0)
