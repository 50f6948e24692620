"""The words that describe settings, and the masks of secrets."""

import pytest
from annotated_types import Lt

from emotag_worker.errors import SettingsError
from emotag_worker.settings import loader, reference
from emotag_worker.settings.reference import (
    MASK,
    join_words,
    list_settings,
    mask_secrets,
    show_name,
    show_value,
    show_wrong_value,
)

SETTINGS = {setting.name: setting for setting in list_settings().values()}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_a_meaning_in_sentences(name: str) -> None:
    """The meaning becomes a cell of a Markdown table, so it has neither lines nor bars."""
    meaning = SETTINGS[name].meaning
    assert meaning[:1].isupper()
    assert meaning.endswith(".")
    assert not {"\n", "|"} & set(meaning + SETTINGS[name].allowed)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("delivery", "exactly_once or at_least_once"),
        ("output.all_scores", "true or false"),
        ("admin.port", "a whole number from 0 to 65535"),
        ("cache.ttl_s", "a whole number of at least 1"),
        ("dlq.stop_after", "a whole number of at least 0"),
        ("shutdown_timeout_s", "a number above 0"),
        ("kafka.transaction_timeout_s", "a number from 1 to 900"),
        ("cache.url", "redis://…, rediss://…, unix://…, redis+cluster://… or redis+sentinel://…"),
    ],
)
def test_allowed_values_are_described_from_the_fields_type_and_bounds(name: str, allowed: str) -> None:
    assert allowed == SETTINGS[name].allowed


def test_a_bound_without_words_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="lower bound"):
        reference._describe_bounds([Lt(5)])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kafka.group", "kafka.group"),
        ("EMOTAG_INPUT__TOPICS", "EMOTAG_INPUT__TOPICS"),
        ("cache.url:redis://:hunter2@host", "cache.url…"),
        ("sasl.password hunter2", "sasl.password…"),
        (":hunter2", "…"),
    ],
)
def test_an_unknown_name_ends_where_a_value_may_begin(name: str, shown: str) -> None:
    assert shown == show_name(name)


def test_words_are_joined_as_in_a_sentence() -> None:
    assert ["a", "a or b", "a, b or c"] == [join_words(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "none"), (True, "true"), (60.0, "60"), (0.9, "0.9"), (7, "7"), ("a", "a"), ({"a": 1}, '{"a": 1}')],
)
def test_a_value_is_shown_as_it_would_be_written_in_a_variable(value: object, shown: str) -> None:
    assert shown == show_value(value)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("log.level", "loud", "'loud'"),
        ("log.level", True, "true"),
        ("log.level", {"a": "hunter2"}, "a table"),
        ("log.level", ["hunter2"], "a list of these values"),
        ("kafka.bootstrap_servers", "user:hunter2@host", "this value"),
        ("cache.url", "hunter2", "this value"),
        ("cache.hash_secret", 7, "this value"),
        ("kafka.properties", "hunter2", "this value"),
        ("input.topic", "a" * 250, f"'{'a' * 58}…"),
    ],
)
def test_a_refused_value_is_shown_unless_it_may_be_a_secret(name: str, value: object, shown: str) -> None:
    assert shown == show_wrong_value(SETTINGS[name], value)


def test_a_secret_is_shown_neither_by_show_nor_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_CACHE__URL", "redis://:hunter2@host/0")
    monkeypatch.setenv("EMOTAG_CACHE__HASH_SECRET", "hunter2")
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"sasl.password": "hunter2", "sasl.mechanism": "PLAIN"}')
    shown = mask_secrets(loader.load())
    assert "hunter2" not in str(shown)
    assert "PLAIN" == shown["kafka"]["properties"]["sasl.mechanism"]
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"sasl.password": ["hunter2"]}')
    with pytest.raises(SettingsError) as caught:
        loader.load()
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
    shown = mask_secrets(loader.load(flags={"kafka": {"properties": properties}}))
    assert {name: MASK, "ssl.ca.location": "/etc/ca.pem"} == shown["kafka"]["properties"]


def test_a_private_key_next_to_its_certificate_is_masked() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMII\n-----BEGIN EC PRIVATE KEY-----\nhunter2"
    shown = mask_secrets(loader.load(flags={"kafka": {"properties": {"ssl.certificate.pem": pem}}}))
    assert {"ssl.certificate.pem": MASK} == shown["kafka"]["properties"]
