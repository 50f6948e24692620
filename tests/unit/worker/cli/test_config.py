"""`emotag config`: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from emotag_worker import service
from emotag_worker.settings.reference import list_settings

from .conftest import Command


def test_list_prints_value_source_and_meaning(emotag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("EMOTAG_CACHE__URL", "redis://:hunter2@r")
    code, out, err = emotag("config", "list", "--set", "log.level=DEBUG")
    assert (0, "") == (code, err)
    assert "debug  (--set)" in out
    assert "**********  (variable)" in out
    assert "hunter2" not in out
    assert "Lowest level that is logged." in " ".join(out.split())


def test_list_as_json_is_one_object_per_setting(emotag: Command, tmp_path: Path) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text('[input]\ntopic = "mine"\n')
    objects = [json.loads(line) for line in emotag("config", "list", "--json", "--config", str(file)).out.splitlines()]
    assert list(list_settings()) == [each["variable"] for each in objects]
    assert {
        "name": "input.topic",
        "variable": "EMOTAG_INPUT__TOPIC",
        "default": "texts",
        "value": "mine",
        "source": "file",
        "allowed": "a name of up to 249 letters, digits, dots, hyphens and underscores",
        "meaning": "Topic of the texts.",
    } in objects


def test_the_example_can_be_used(emotag: Command, tmp_path: Path) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text(emotag("config", "example").out)
    assert emotag("config", "show", "--config", str(file)) == emotag("config", "show")


def test_show_is_one_object_without_secrets(emotag: Command) -> None:
    shown = json.loads(emotag("config", "show", "--set", "cache.hash_secret=hunter2").out)
    assert ("**********", "texts") == (shown["cache"]["hash_secret"], shown["input"]["topic"])


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check of clients, device and model, which `test_service` has."""
    monkeypatch.setattr(service, "check", lambda settings: None)


@pytest.mark.usefixtures("checked")
def test_check_accepts_settings_and_warns_of_a_cache_without_secret(emotag: Command) -> None:
    assert (0, "the settings are valid\n", "") == emotag("config", "check")
    code, _, err = emotag("config", "check", "--set", "cache.url=redis://r")
    assert (0, True) == (code, err.startswith("warning: EMOTAG_CACHE__HASH_SECRET is not set"))


@pytest.mark.usefixtures("checked")
def test_check_rejects_a_variable_that_is_no_setting(emotag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_DRAIN_S", "9")
    message = "emotag: EMOTAG_DRAIN_S is not a setting; list the settings with: emotag config list\n"
    assert (2, "", message) == emotag("config", "check")


WARNING = "emotag: warning: EMOTAG_INPUT_TOPIC is not a setting; did you mean EMOTAG_INPUT__TOPIC?\n"


@pytest.mark.parametrize("command", ["list", "show"])
def test_a_mistyped_variable_is_a_warning(command: str, emotag: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr; otherwise `emotag produce` would send records to the default topic in silence."""
    monkeypatch.setenv("EMOTAG_INPUT_TOPIC", "mine")
    monkeypatch.setenv("EMOTAG_PORT", "tcp://10.0.0.1:8080")  # from Kubernetes
    code, _, err = emotag("config", command)
    assert (0, WARNING) == (code, err)
