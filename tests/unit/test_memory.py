"""What a worker gives back of its memory."""

import pytest

from worker import memory


def test_what_is_free_is_given_back_at_once_and_then_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: loading leaves the most."""
    times = iter((100.0, 101.0, 100.0 + memory.EVERY_S, 101.0 + memory.EVERY_S))
    given = []
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    monkeypatch.setattr(memory, "give_back", lambda: given.append("back"))
    spare = memory.Spare()
    found = []
    for _ in range(4):
        spare.give_back()
        found.append(len(given))
    assert [1, 1, 2, 2] == found
