"""Every setting: its name, its default, the values that it accepts, and the order of the timeouts."""

import pytest

from emotag_worker import settings
from emotag_worker.settings import loader
from emotag_worker.settings.reference import list_settings

CONTRACT_DEFAULTS = {
    "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": "localhost:9092",
    "EMOTAG_KAFKA__GROUP_ID": "emotag",
    "EMOTAG_KAFKA__PROPERTIES": {},
    "EMOTAG_INPUT__TOPIC": "texts",
    "EMOTAG_INPUT__FORMAT": "json",
    "EMOTAG_INPUT__TEXT_PATH": "text",
    "EMOTAG_OUTPUT__TOPIC": "emotions",
    "EMOTAG_OUTPUT__ALL_SCORES": False,
    "EMOTAG_OUTPUT__REASONS": False,
    "EMOTAG_DLQ__TOPIC": "texts.dlq",
    "EMOTAG_DELIVERY": "exactly_once",
    "EMOTAG_COMMIT_INTERVAL_MS": 100,
    "EMOTAG_CACHE__URL": None,
    "EMOTAG_CACHE__TTL_S": 604_800,
    "EMOTAG_CACHE__HASH_SECRET": None,
    "EMOTAG_MODEL__PATH": None,
    "EMOTAG_MODEL__DEVICE": "auto",
    "EMOTAG_MODEL__PRECISION": "auto",
    "EMOTAG_ADMIN__HOST": "*",
    "EMOTAG_ADMIN__PORT": 8080,
    "EMOTAG_SHUTDOWN_TIMEOUT_S": 25,
    "EMOTAG_LOG__LEVEL": "info",
    "EMOTAG_LOG__FORMAT": "auto",
}


def test_names_and_defaults_are_those_of_the_contract() -> None:
    defaults = {name: setting.default for name, setting in list_settings().items()}
    assert {name: defaults[name] for name in CONTRACT_DEFAULTS} == CONTRACT_DEFAULTS


@pytest.mark.parametrize(
    ("cache", "warned"),
    [
        ({}, False),
        ({"url": "redis://r"}, True),
        ({"url": "redis://r", "hash_secret": "k"}, False),
        ({"hash_secret": "k"}, False),
    ],
)
def test_a_cache_without_a_key_is_warned_of(cache: dict[str, str], warned: bool) -> None:
    """Otherwise a misspelt key in a Secret would leave guessable hashes, without any message."""
    assert warned == bool(settings.check_cache_secret(loader.load(flags={"cache": cache})))


def test_settings_without_values_are_the_defaults_whatever_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `loader` reads the environment."""
    monkeypatch.setenv("EMOTAG_KAFKA__GROUP_ID", "environment")
    assert "emotag" == settings.Settings().kafka.group_id
    assert "environment" == loader.load().kafka.group_id
