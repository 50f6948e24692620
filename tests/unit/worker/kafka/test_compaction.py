"""What becomes of tombstones, by the settings and by the output topic."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, Self

import pytest
from confluent_kafka import KafkaError, KafkaException

from emotag_worker.kafka import clients
from emotag_worker.kafka.compaction import CompactedTopics, choose_tombstone_action
from emotag_worker.settings import InputSettings, Settings
from tests.unit.worker.kafka.scripted import Connected


class Admin(Connected):
    """An admin client that answers requests with a policy or an error."""

    def __init__(self, answer: str | KafkaError) -> None:
        self.answer = answer

    def describe_configs(self, resources: list[Any], *, request_timeout: float) -> dict[Any, Future[Any]]:
        described: Future[Any] = Future()
        if isinstance(self.answer, KafkaError):
            described.set_exception(KafkaException(self.answer))
        else:
            described.set_result({"cleanup.policy": SimpleNamespace(value=self.answer)})
        return {resources[0]: described}

    def poll(self, timeout_s: float) -> int:
        return 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def choose(answer: str | KafkaError, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setattr(clients, "create_admin", lambda *_, **__: Admin(answer))
    return choose_tombstone_action(Settings())


@pytest.mark.parametrize(
    ("policy", "action"), [("delete", "dead_letter"), ("compact", "forward"), ("compact,delete", "forward")]
)
def test_tombstones_are_forwarded_to_a_compacted_topic(
    policy: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (action, f"cleanup.policy of emotions is {policy}") == choose(policy, monkeypatch)


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.INVALID_REQUEST])
def test_a_policy_that_cannot_be_read_leaves_tombstones_in_the_dead_letters(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that lacks one more permission still works. Its log has the reason."""
    action, reason = choose(KafkaError(code), monkeypatch)
    assert "dead_letter" == action
    assert "the cleanup.policy of emotions is not known" in reason


@pytest.mark.parametrize("described", [{}, {"cleanup.policy": SimpleNamespace(value=None)}])
def test_brokers_that_do_not_report_the_policy_stop_no_worker(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some services that speak Kafka's protocol know fewer settings."""
    answer: Future[Any] = Future()
    answer.set_result(described)
    admin = Admin("")
    monkeypatch.setattr(admin, "describe_configs", lambda resources, **_: {resources[0]: answer})
    monkeypatch.setattr(clients, "create_admin", lambda *_, **__: admin)
    action, reason = choose_tombstone_action(Settings())
    assert ("dead_letter", "the cleanup.policy of emotions is not known") == (action, reason[:43])


@pytest.mark.parametrize("action", ["forward", "skip", "dead_letter"])
def test_a_named_action_needs_no_broker(action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "create_admin", lambda *_, **__: pytest.fail("asked"))
    settings = Settings(input=InputSettings(tombstones=action))
    assert (action, "EMOTAG_INPUT__TOMBSTONES") == choose_tombstone_action(settings)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("compact,delete", True), ("delete", False), (KafkaError.TOPIC_AUTHORIZATION_FAILED, False)],
)
def test_only_a_topic_that_is_certainly_compacted_counts_as_compacted(
    answer: Any, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []

    def create(*_: object, **__: object) -> Admin:
        asked.append(None)
        return Admin(answer if isinstance(answer, str) else KafkaError(answer))

    monkeypatch.setattr(clients, "create_admin", create)
    compacted = CompactedTopics(Settings())
    assert [expected, expected] == ["emotions" in compacted, "emotions" in compacted]
    assert 1 == len(asked)
