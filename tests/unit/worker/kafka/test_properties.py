"""The properties of each Kafka client: those of the operator, those of the guarantee, and no others."""

import pytest

from emotag_worker.errors import SettingsError
from emotag_worker.kafka import properties
from emotag_worker.settings import KafkaSettings, Settings, loader
from emotag_worker.settings.machine import BatchSettings


def load(**given: object) -> Settings:
    return loader.load(flags={"kafka": {"group_id": "g", "properties": given}})


def test_a_reader_never_shares_the_workers_group() -> None:
    """It would take part in the group, and its offsets would be the worker's."""
    assert "g" == properties.build_consumer_properties(load())["group.id"]
    for build in (properties.build_reader_properties, properties.build_finite_reader_properties):
        assert "g-reader" == build(load())["group.id"]
        assert not build(load())["enable.auto.commit"]


def test_readers_of_dead_letters_notice_the_end_of_a_partition() -> None:
    assert not properties.build_reader_properties(load())["enable.partition.eof"]
    for build in (properties.build_finite_reader_properties, properties.build_replay_consumer_properties):
        assert build(load())["enable.partition.eof"]


def test_a_client_that_asks_for_offsets_uses_those_of_the_group_and_is_no_member() -> None:
    given = load(**{"group.instance.id": "one", "group.protocol": "consumer"})
    found = properties.build_outsider_properties(given)
    assert ["group.id"] == [name for name in found if name.startswith("group.")]
    assert "g" == found["group.id"]


def test_a_replay_is_no_member_of_its_group() -> None:
    given = load(**{"group.instance.id": "one", "group.protocol": "consumer", "socket.keepalive.enable": True})
    found = properties.build_replay_consumer_properties(given)
    assert ["group.id"] == [name for name in found if name.startswith("group.")]
    assert "g-dlq-replay" == found["group.id"] == properties.name_replay_group(given)
    assert found["socket.keepalive.enable"]


def test_replays_of_a_group_share_a_transactional_id_and_workers_have_one_each_or_keep_that_of_their_identity() -> None:
    first, second = (properties.build_replay_producer_properties(load())["transactional.id"] for _ in range(2))
    assert "g-dlq-replay" == first == second
    first, second = (properties.build_producer_properties(load())["transactional.id"] for _ in range(2))
    assert first != second
    assert "g-one" == properties.make_transactional_id(load(**{"group.instance.id": "one"}))


def test_without_transactions_nobody_has_a_transactional_id() -> None:
    given = loader.load(flags={"delivery": "at_least_once"})
    for build in (properties.build_producer_properties, properties.build_replay_producer_properties):
        assert "transactional.id" not in build(given)
        assert build(given)["enable.idempotence"]


@pytest.mark.parametrize(
    ("name", "consumer", "producer", "admin"),
    [
        ("fetch.min.bytes", True, False, False),
        ("group.instance.id", True, False, False),
        ("session.timeout.ms", True, False, False),
        ("linger.ms", False, True, False),
        ("security.protocol", True, True, True),
    ],
)
def test_each_client_gets_the_operators_properties_that_are_for_it(
    name: str, consumer: bool, producer: bool, admin: bool
) -> None:
    """librdkafka warns of every other one, at every start."""
    given = load(**{name: "1"})
    assert consumer == ("1" == properties.build_consumer_properties(given).get(name))
    assert producer == ("1" == properties.build_producer_properties(given).get(name))
    assert producer == ("1" == properties.build_plain_producer_properties(given).get(name))
    assert admin == ("1" == properties.build_admin_properties(given).get(name))


@pytest.mark.parametrize("name", ["stats_cb", "oauth_cb", "logger", "on_commit", "default.topic.config"])
def test_what_only_code_can_give_a_client_is_no_property(name: str) -> None:
    """The client would end in a traceback, or take a text for a function."""
    loaded = Settings(kafka=KafkaSettings(properties={name: "x"}))
    with pytest.raises(SettingsError, match=f"{name} is not a property of librdkafka"):
        properties.build_consumer_properties(loaded)


@pytest.mark.parametrize("name", properties.OWNED)
def test_what_the_guarantee_stands_on_cannot_be_set(name: str) -> None:
    loaded = Settings(kafka=KafkaSettings(properties={name: "x"}))
    with pytest.raises(SettingsError, match="cannot be set"):
        properties.build_consumer_properties(loaded)


def test_a_members_session_lasts_six_seconds_unless_the_operator_or_the_broker_decides() -> None:
    """Nobody reads the partitions of a member that died for that time."""
    name = "session.timeout.ms"
    assert properties.build_consumer_properties(load())[name] == 6_000
    assert properties.build_consumer_properties(load(**{name: 30_000}))[name] == 30_000
    assert name not in properties.build_consumer_properties(load(**{"group.protocol": "consumer"}))


def test_an_identity_names_the_member_and_its_transactions() -> None:
    settings = loader.load(flags={"kafka": {"group_id": "g", "identity": "worker-3"}})
    assert "worker-3" == properties.build_consumer_properties(settings)["group.instance.id"]
    assert "g-worker-3" == properties.build_producer_properties(settings)["transactional.id"]
    assert "group.instance.id" not in properties.build_replay_consumer_properties(settings)


def test_the_rack_of_the_client_is_one_of_the_operators_properties() -> None:
    """Consumers then read from a replica in their own zone."""
    given = load(**{"client.rack": "eu-1a"})
    for build in (properties.build_consumer_properties, properties.build_producer_properties):
        assert "eu-1a" == build(given)["client.rack"]


def test_a_member_hears_of_others_within_a_second_unless_it_is_told_otherwise_or_the_broker_decides() -> None:
    """A partition that was handed over is unread until then. Clients of the newer protocol reject the property."""
    name = "heartbeat.interval.ms"
    told = Settings(kafka=KafkaSettings(properties={name: 2500}))
    decided = Settings(kafka=KafkaSettings(properties={"group.protocol": "consumer"}))
    assert 1000 == properties.build_consumer_properties(Settings())[name]
    assert 2500 == properties.build_consumer_properties(told)[name]
    assert name not in properties.build_consumer_properties(decided)


def test_the_clients_queue_holds_two_of_the_largest_batches_and_is_refilled_at_once() -> None:
    """With librdkafka's backoff of a second, a worker idles while its partition has a backlog."""
    found = properties.build_consumer_properties(Settings(batch=BatchSettings(max_records=500)))
    told = Settings(kafka=KafkaSettings(properties={"fetch.queue.backoff.ms": 50}))
    assert 1000 == found["queued.min.messages"]
    assert 10 == found["fetch.queue.backoff.ms"]
    assert 50 == properties.build_consumer_properties(told)["fetch.queue.backoff.ms"]
