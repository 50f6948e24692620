"""Every setting that can be wrong says so in one plain line, wherever it was set."""

import json
from pathlib import Path

import pytest

from worker import settings
from worker.settings import SettingsProblem, parse_flags

POSITIVE = ["0", "-1", "many", "", "nan", "inf"]
WHOLE = ["0", "-1", "1.5", "many", ""]
TOPIC = ["", "a b", "ü", "a" * 250, "a/b", ".", ".."]
WRONG: dict[str, list[str]] = {
    "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": ["", ",", "a:b", "a:1,b:c:d", "http://a/b", "a:1 b:2"],
    "EMOTAG_KAFKA__GROUP_ID": ["", " "],
    "EMOTAG_KAFKA__PROPERTIES": ["hunter2", "[1]", '{"a": {"b": "hunter2"}}', '{"a"'],
    "EMOTAG_KAFKA__UNAVAILABLE_S": POSITIVE,
    "EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S": [*POSITIVE, "901"],
    "EMOTAG_INPUT__TOPIC": TOPIC,
    "EMOTAG_INPUT__FORMAT": ["", "xml", "JSON"],
    "EMOTAG_INPUT__TEXT_PATH": ["", ".", "a..b", "a."],
    "EMOTAG_INPUT__OFFSET_GONE": ["", "ignore"],
    "EMOTAG_INPUT__MAX_VALUE_BYTES": WHOLE,
    "EMOTAG_INPUT__MAX_METADATA_BYTES": WHOLE,
    "EMOTAG_OUTPUT__TOPIC": TOPIC,
    "EMOTAG_OUTPUT__ALL_SCORES": ["", "perhaps"],
    "EMOTAG_DLQ__TOPIC": TOPIC,
    "EMOTAG_DLQ__MAX_RATIO": [*POSITIVE, "1.1"],
    "EMOTAG_DLQ__WINDOW": WHOLE,
    "EMOTAG_DELIVERY": ["", "at_most_once"],
    "EMOTAG_CACHE__KEY": [""],
    "EMOTAG_CACHE__TTL_S": WHOLE,
    "EMOTAG_CACHE__TIMEOUT_MS": [*WHOLE, "1001"],
    "EMOTAG_MODEL__ENGINE": ["", "onnx"],
    "EMOTAG_MODEL__PRECISION": ["", "fp8"],
    "EMOTAG_BATCH__MAX_RECORDS": [*WHOLE, "100001"],
    "EMOTAG_BATCH__MAX_BYTES": WHOLE,
    "EMOTAG_ADMIN__PORT": ["-1", "65536", "http", "", "80.5"],
    "EMOTAG_LATENCY_SLO_MS": WHOLE,
    "EMOTAG_DRAIN_S": POSITIVE,
    "EMOTAG_LOG__LEVEL": ["", "loud", "INFO"],
    "EMOTAG_LOG__FORMAT": ["", "xml"],
    "EMOTAG_TRACES__ENDPOINT": [
        "",
        "collector:4317",
        "grpc://collector:4317",
        "http://",
        "http://user:hunter2@collector:4318",
    ],
}
ANY = {"EMOTAG_CACHE__URL", "EMOTAG_MODEL__PATH", "EMOTAG_MODEL__DEVICE", "EMOTAG_ADMIN__HOST"}
"""Any string may be one; whether it is good shows when it is used, and is said then."""

CASES = [(variable, value) for variable, values in WRONG.items() for value in values]


def test_every_setting_is_looked_at() -> None:
    assert set(settings.variables()) == set(WRONG) | ANY


@pytest.fixture(params=["environment", "file", "flag"])
def place(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.parametrize(("variable", "value"), CASES)
def test_a_wrong_value_is_one_line_that_names_the_setting(
    variable: str, value: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says what it takes, without repeating what it got: that may be a secret in the wrong place."""
    name, _ = settings.variables()[variable]
    section, _, field = name.rpartition(".")
    file, flags = None, None
    if place == "environment":
        monkeypatch.setenv(variable, value)
    elif place == "file":
        file = tmp_path / "emotag.toml"
        file.write_text(f"{f'[{section}]' * bool(section)}\n{field} = {json.dumps(value)}\n", encoding="utf-8")
    else:
        flags = [f"{name}={value}"]
    with pytest.raises(SettingsProblem) as caught:
        settings.load(file, parse_flags(flags or ()))
    line = str(caught.value)
    assert "\n" not in line
    assert name in line
    assert "hunter2" not in line


@pytest.mark.parametrize("brokers", ["a", "a:9092", "10.0.0.1:9092, b.example:9093", "SASL_SSL://a:1", "[::1]:9092"])
def test_addresses_as_the_client_reads_them_are_let_through(brokers: str) -> None:
    assert brokers == settings.load(flags={"kafka": {"bootstrap_servers": brokers}}).kafka.bootstrap_servers


@pytest.mark.parametrize("topic", ["a", "my.texts", ".a", "...", "a" * 249])
def test_names_that_kafka_takes_for_topics_are_let_through(topic: str) -> None:
    assert topic == settings.load(flags={"input": {"topic": topic}}).input.topic


def test_a_property_whose_name_has_dots_and_no_quotes_in_a_file_is_told_of_them(tmp_path: Path) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text('[kafka.properties]\nsasl.password = "hunter2"\n', encoding="utf-8")
    with pytest.raises(SettingsProblem, match=r"^kafka.properties \(EMOTAG_KAFKA__PROPERTIES\): sasl takes .*quotes$"):
        settings.load(file)
