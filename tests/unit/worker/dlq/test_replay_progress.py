"""The progress of replays as an offset and a note."""

import random

import pytest

from emotag_worker.dlq.replay_progress import ReplayProgress
from emotag_worker.errors import ProgressUnreadable

REASONS = ["DeviceRejected", "NoText", "NotJson"]


def test_a_replay_of_all_needs_no_note() -> None:
    assert ReplayProgress(7) == ReplayProgress(3).advance(7, None)
    assert ("", 7) == (ReplayProgress(7).note, ReplayProgress(7).find_start(None))


def test_a_replay_of_one_reason_leaves_the_others_due() -> None:
    at = ReplayProgress(3).advance(7, "NotJson")
    assert (3, '{"NotJson":7}') == (at.offset, at.note)
    assert [True, False] == [at.is_settled("NotJson", 6), at.is_settled("NoText", 6)]
    assert at == ReplayProgress.parse(3, at.note, partition=0)


def test_whatever_is_replayed_in_whatever_order_each_is_put_back_once() -> None:
    """And after a replay of all, nothing is left. Every replay is cut short somewhere."""
    draw = random.Random(1)
    for _ in range(200):
        letters = [draw.choice(REASONS) for _ in range(30)]
        times = [0] * len(letters)
        at = ReplayProgress(0)
        for turn in range(6):
            reason = None if turn == 5 else draw.choice([None, *REASONS])
            end = len(letters) if turn == 5 else draw.randrange(len(letters))
            for offset in range(at.find_start(reason), end):
                if reason in (None, letters[offset]) and not at.is_settled(letters[offset], offset):
                    times[offset] += 1
            at = ReplayProgress.parse((after := at.advance(end, reason)).offset, after.note, partition=0)
        assert [1] * len(letters) == times
        assert ReplayProgress(len(letters)) == at


@pytest.mark.parametrize("note", ["rubbish", "[]", '{"NotJson": "x"}'])
def test_a_note_of_somebody_else_is_no_progress(note: str) -> None:
    with pytest.raises(ProgressUnreadable, match="--from"):
        ReplayProgress.parse(3, note, partition=0)
