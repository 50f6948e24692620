"""Every knob, from three places, checked before anything starts."""

from pathlib import Path

import pytest

from model.choice import PATIENCE_S
from model.device import choose_device
from worker import settings
from worker.pipeline import DEVICE_PATIENCE_S
from worker.properties import OWNED, consumer_properties, producer_properties, transactional_id
from worker.settings import SettingsProblem, parse_flags
from worker.source import LEAVE_S

CONTRACT_DEFAULTS = {
    "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": "localhost:9092",
    "EMOTAG_KAFKA__GROUP_ID": "emotag",
    "EMOTAG_KAFKA__PROPERTIES": {},
    "EMOTAG_INPUT__TOPIC": "texts",
    "EMOTAG_INPUT__FORMAT": "json",
    "EMOTAG_INPUT__TEXT_PATH": "text",
    "EMOTAG_OUTPUT__TOPIC": "emotions",
    "EMOTAG_OUTPUT__ALL_SCORES": False,
    "EMOTAG_DLQ__TOPIC": "texts.dlq",
    "EMOTAG_DELIVERY": "exactly_once",
    "EMOTAG_CACHE__URL": None,
    "EMOTAG_CACHE__TTL_S": 604_800,
    "EMOTAG_CACHE__KEY": None,
    "EMOTAG_MODEL__PATH": None,
    "EMOTAG_MODEL__DEVICE": "auto",
    "EMOTAG_MODEL__PRECISION": "auto",
    "EMOTAG_ADMIN__HOST": "0.0.0.0",
    "EMOTAG_ADMIN__PORT": 8080,
    "EMOTAG_DRAIN_S": 25,
    "EMOTAG_LOG__LEVEL": "info",
    "EMOTAG_LOG__FORMAT": "auto",
}


def test_names_and_defaults_are_those_of_the_contract() -> None:
    found = {name: default for name, (_, default) in settings.variables().items()}
    assert {name: found[name] for name in CONTRACT_DEFAULTS} == CONTRACT_DEFAULTS


def test_flags_are_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text(
        'drain_s = 1\n[kafka]\ngroup_id = "file"\nbootstrap_servers = "file:1"\n[kafka.properties]\na = 1\n'
    )
    monkeypatch.setenv("EMOTAG_KAFKA__GROUP_ID", "environment")
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"b": "2"}')
    loaded = settings.load(file, parse_flags(["kafka.bootstrap_servers=flag:1", "kafka.properties.c.d=3"]))
    assert 1 == loaded.drain_s
    assert "environment" == loaded.kafka.group_id
    assert "flag:1" == loaded.kafka.bootstrap_servers
    assert {"a": 1, "b": "2", "c.d": "3"} == loaded.kafka.properties


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("kafka.grupp=x", "did you mean EMOTAG_KAFKA__GROUP_ID"),
        ("delivery=sometimes", "exactly_once"),
        ("admin.port=ninety", "EMOTAG_ADMIN__PORT"),
        ("admin.port=70000", "EMOTAG_ADMIN__PORT"),
        ("drain_s=0", "EMOTAG_DRAIN_S"),
        ("input.topic=a b", "EMOTAG_INPUT__TOPIC"),
        ("dlq.topic=texts", "three different topics"),
        ("input.topic=emotions", "three different topics"),
        ("kafka.properties={", "not a JSON object"),
        ("nonsense", "NAME=VALUE"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(flag: str, message: str) -> None:
    with pytest.raises(SettingsProblem, match=message):
        settings.load(flags=parse_flags([flag]))


@pytest.mark.parametrize(
    "flags",
    [
        ["kafka=1", "kafka.group_id=x"],
        ["kafka.group_id=x", "kafka=1"],
        ["kafka=1", "kafka.properties.a=b"],
        ["kafka.properties=x", "kafka.properties.a=b"],
        ["drain_s=1", "drain_s.x=2"],
        ["drain_s.x=2"],
    ],
)
def test_a_setting_and_one_within_it_are_refused_together(flags: list[str]) -> None:
    """In either order; `kafka` and `drain_s` cannot be both one value and many."""
    with pytest.raises(SettingsProblem, match=r"kafka|drain_s"):
        settings.load(flags=parse_flags(flags))


def test_a_property_by_name_is_added_to_those_given_as_an_object() -> None:
    given = parse_flags(['kafka.properties={"a": 1}', "kafka.properties.b=2"])
    assert {"a": 1, "b": "2"} == settings.load(flags=given).kafka.properties


def test_a_secret_is_shown_neither_by_show_nor_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_CACHE__URL", "redis://:hunter2@host/0")
    monkeypatch.setenv("EMOTAG_CACHE__KEY", "hunter2")
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"sasl.password": "hunter2", "sasl.mechanism": "PLAIN"}')
    shown = settings.shown(settings.load())
    assert "hunter2" not in str(shown)
    assert "PLAIN" == shown["kafka"]["properties"]["sasl.mechanism"]
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"sasl.password": ["hunter2"]}')
    with pytest.raises(SettingsProblem) as caught:
        settings.load()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "sasl.username",
        "sasl.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "ssl.key.pem",
        "ssl.key.password",
        "ssl.keystore.password",
        "SASL.PASSWORD",
        "sasl.kerberos.kinit.cmd",
        "sasl.pasword",
    ],
)
def test_a_property_with_a_secret_in_it_is_masked(name: str) -> None:
    """Whatever librdkafka calls sensitive; its other properties are shown, since that is what one looks for."""
    properties = {name: "hunter2", "ssl.ca.location": "/etc/ca.pem"}
    shown = settings.shown(settings.load(flags={"kafka": {"properties": properties}}))
    assert {name: settings.MASK, "ssl.ca.location": "/etc/ca.pem"} == shown["kafka"]["properties"]


@pytest.mark.parametrize("flag", ["cache.key:hunter2", "=hunter2", 'kafka.properties={"sasl.password": "hunter2"'])
def test_a_mistyped_flag_is_refused_without_its_value(flag: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        parse_flags([flag])
    assert "hunter2" not in str(caught.value)


def test_a_mistyped_variable_is_noticed_and_kubernetes_own_are_not() -> None:
    environment = {
        "EMOTAG_DRAIN": "3",
        "EMOTAG_KAFKA__PROPERTIES": "{}",
        "EMOTAG_SERVICE_HOST": "10.0.0.1",
        "EMOTAG_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    assert ["EMOTAG_DRAIN is not a setting; did you mean EMOTAG_DRAIN_S?"] == settings.unknown_variables(environment)


def test_a_variable_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", "{hunter2")
    with pytest.raises(SettingsProblem, match=r"EMOTAG_KAFKA__PROPERTIES.*JSON") as caught:
        settings.load()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["stats_cb", "oauth_cb", "logger", "on_commit", "default.topic.config"])
def test_what_only_code_can_give_a_client_is_no_property(name: str) -> None:
    """The client would end in a traceback, or take a text for a function."""
    loaded = settings.load(flags={"kafka": {"properties": {name: "x"}}})
    with pytest.raises(SettingsProblem, match=f"{name} is none of librdkafka's"):
        consumer_properties(loaded)


@pytest.mark.parametrize("name", OWNED)
def test_what_the_guarantee_stands_on_cannot_be_set(name: str) -> None:
    loaded = settings.load(flags={"kafka": {"properties": {name: "x"}}})
    with pytest.raises(SettingsProblem, match="cannot be set"):
        consumer_properties(loaded)


def test_each_client_gets_only_properties_that_are_its_own() -> None:
    """librdkafka warns of every other one, at every start."""
    given = {"group.instance.id": "one", "linger.ms": 1, "security.protocol": "PLAINTEXT", "session.timeout.ms": 6000}
    loaded = settings.load(flags={"kafka": {"properties": given}})
    consumer, producer = consumer_properties(loaded), producer_properties(loaded)
    assert tuple(consumer[name] for name in ("group.instance.id", "session.timeout.ms", "security.protocol")) == (
        "one",
        6000,
        "PLAINTEXT",
    )
    assert "linger.ms" not in consumer
    assert (producer["linger.ms"], producer["security.protocol"]) == (1, "PLAINTEXT")
    assert "group.instance.id" not in producer


def test_a_member_hears_of_others_within_a_second_unless_it_is_told_otherwise_or_the_broker_decides() -> None:
    """A partition that was handed over lies unread until then; the newer protocol's clients refuse the property."""
    name = "heartbeat.interval.ms"
    told = settings.load(flags={"kafka": {"properties": {name: 2500}}})
    decided = settings.load(flags={"kafka": {"properties": {"group.protocol": "consumer"}}})
    assert 1000 == consumer_properties(settings.load())[name]
    assert 2500 == consumer_properties(told)[name]
    assert name not in consumer_properties(decided)


def test_a_worker_with_an_identity_keeps_its_transactional_id_and_others_are_unique() -> None:
    named = settings.load(flags={"kafka": {"group_id": "g", "properties": {"group.instance.id": "one"}}})
    assert "g-one" == transactional_id(named)
    assert transactional_id(settings.load()) != transactional_id(settings.load())


def test_timeouts_stand_in_the_order_their_reasons_need() -> None:
    """A cache call and the measuring of engines are lost in a drain, a drain in Kubernetes' grace period, a transaction
    in the brokers' deadline."""
    defaults = settings.load()
    kubernetes_grace_s = 30
    assert defaults.cache.timeout_ms / 1000 < defaults.drain_s < kubernetes_grace_s
    assert defaults.kafka.transaction_timeout_s < defaults.drain_s
    assert DEVICE_PATIENCE_S + LEAVE_S < defaults.drain_s
    assert PATIENCE_S < defaults.drain_s
    assert defaults.kafka.transaction_timeout_s < defaults.kafka.unavailable_s


@pytest.mark.parametrize(
    ("cache", "warned"),
    [({}, False), ({"url": "redis://r"}, True), ({"url": "redis://r", "key": "k"}, False), ({"key": "k"}, False)],
)
def test_a_cache_without_a_key_is_warned_of(cache: dict[str, str], warned: bool) -> None:
    """A misspelt key in a Secret would else leave guessable hashes, and nobody told."""
    assert warned == bool(settings.unkeyed_cache(settings.load(flags={"cache": cache})))


def test_an_unknown_device_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="tpu"):
        choose_device("tpu")
