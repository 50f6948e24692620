"""`emotag dlq` before it reaches any broker."""

import pytest

from emotag_worker.kafka import clients

from .conftest import Command


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["list", "--reason", "Nonsense"], "NotJson"),
        (["replay", "--yes", "--reason", "Nonsense"], "NotJson"),
        (["replay", "--yes", "--from", "7"], "PARTITION:OFFSET"),
        (["replay"], "--dry-run"),
        (["replay", "--max-attempts", "0"], "--max-attempts"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_a_mistake_is_one_line_before_a_client_is_created(
    arguments: list[str], part: str, monkeypatch: pytest.MonkeyPatch, emotag: Command
) -> None:
    """Without a terminal, `replay` needs --yes or --dry-run."""

    def fail(*_: object) -> None:
        raise AssertionError("a client was created")

    for name in ("create_finite_reader", "create_replay_consumer", "create_replay_producer"):
        monkeypatch.setattr(clients, name, fail)
    code, out, err = emotag("dlq", *arguments)
    assert (2, "", 1) == (code, out, err.count("\n"))
    assert part in err
