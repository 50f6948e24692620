"""Settings from three places: their priority, and mistakes in each place."""

import json
import re
from pathlib import Path

import pytest

from emotag_worker.errors import SettingsError
from emotag_worker.settings import Settings, loader
from emotag_worker.settings.loader import find_source, parse_flags, read_sources, validate
from emotag_worker.settings.reference import list_settings


def test_flags_are_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text(
        'shutdown_timeout_s = 1\n[kafka]\ngroup_id = "file"\nbootstrap_servers = "file:1"\n[kafka.properties]\na = 1\n'
    )
    monkeypatch.setenv("EMOTAG_KAFKA__GROUP_ID", "environment")
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"b": "2"}')
    loaded = loader.load(file, parse_flags(["kafka.bootstrap_servers=flag:1", "kafka.properties.c.d=3"]))
    assert 1 == loaded.shutdown_timeout_s
    assert "environment" == loaded.kafka.group_id
    assert "flag:1" == loaded.kafka.bootstrap_servers
    assert {"a": 1, "b": "2", "c.d": "3"} == loaded.kafka.properties


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("kafka.grupp=x", r"did you mean kafka.group_id \(EMOTAG_KAFKA__GROUP_ID\)"),
        ("group_id=x", "did you mean kafka.group_id"),
        ("input.topic.x=1", r"^input.topic.x \(from --set\) is not a setting; did you mean input.topic "),
        ("foo.bar=1", r"^foo.bar \(from --set\) is not a setting; list the settings with: emotag config list$"),
        ("kafka=1", r"^kafka \(from --set\) is a section: .* for example kafka.bootstrap_servers$"),
        (
            "delivery=sometimes",
            r"^delivery \(EMOTAG_DELIVERY, from --set\) cannot be 'sometimes': use exactly_once or at_least_once "
            r"\(default: exactly_once\)$",
        ),
        ("input.text_path=$.payload.body", "for example payload.body"),
        ("input.topic=emotions", r"^input.topic and output.topic are the same topic, 'emotions'"),
        ("dlq.topic=texts", "three different topics"),
        ("input.topic=emotions", "three different topics"),
        ("nonsense", "NAME=VALUE; write, for example, --set kafka.group_id=mine$"),
        ("log.levl", "--set log.level=VALUE$"),
        ("cache.hash_secret:hunter2", "--set cache.hash_secret=VALUE$"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(flag: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        loader.load(flags=parse_flags([flag]))


@pytest.mark.parametrize(
    "flags",
    [
        ["kafka=1", "kafka.group_id=x"],
        ["kafka.group_id=x", "kafka=1"],
        ["kafka=1", "kafka.properties.a=b"],
        ["kafka.properties=x", "kafka.properties.a=b"],
        ["shutdown_timeout_s=1", "shutdown_timeout_s.x=2"],
        ["shutdown_timeout_s.x=2"],
    ],
)
def test_a_setting_and_one_within_it_are_refused_together(flags: list[str]) -> None:
    """In either order; `kafka` and `shutdown_timeout_s` cannot be both one value and many."""
    with pytest.raises(SettingsError, match=r"kafka|shutdown_timeout_s"):
        loader.load(flags=parse_flags(flags))


def test_a_property_by_name_is_added_to_those_given_as_an_object() -> None:
    given = parse_flags(['kafka.properties={"a": 1}', "kafka.properties.b=2"])
    assert {"a": 1, "b": "2"} == loader.load(flags=given).kafka.properties


@pytest.mark.parametrize(
    "flag",
    [
        "cache.hash_secret:hunter2",
        "=hunter2",
        'kafka.properties={"sasl.password": "hunter2"',
        "cache.url:redis://:hunter2@host/0?protocol=3",
        "kafka.properties.sasl.password:hunter2=1",
        "cache.hash_secret hunter2=",
    ],
)
def test_a_mistyped_flag_is_refused_without_its_value(flag: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_flags([flag])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("EMOTAG_SHUTDOWN_TIMEOUT", "did you mean EMOTAG_SHUTDOWN_TIMEOUT_S?"),
        ("EMOTAG_INPUT_TOPIC", "did you mean EMOTAG_INPUT__TOPIC?"),
        ("emotag_input_topic", "did you mean EMOTAG_INPUT__TOPIC?"),
        ("EMOTAG_GROUP_ID", "did you mean EMOTAG_KAFKA__GROUP_ID?"),
        ("EMOTAG_ADMIN_PORT", "did you mean EMOTAG_ADMIN__PORT?"),
        ("EMOTAG_DRAIN_S", "list the settings with: emotag config list"),
        ("EMOTAG_KAFKA", "list the settings with: emotag config list"),
    ],
)
def test_a_variable_without_a_section_that_is_no_setting_is_reported_and_has_no_effect(
    variable: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "9")
    assert [f"{variable} is not a setting; {remedy}"] == loader.find_unknown_variables({variable: "9"})
    assert loader.load() == Settings()


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("EMOTAG_CACHE__KEY", "list the settings with: emotag config list"),
        ("EMOTAG_KAFKA__BOOTSTRAP_SERVER", "did you mean EMOTAG_KAFKA__BOOTSTRAP_SERVERS?"),
        ("emotag_kafka__group", "did you mean EMOTAG_KAFKA__GROUP_ID?"),
        ("EMOTAG_INPUT__OFFSET_GONE", "list the settings with: emotag config list"),
        ("EMOTAG_LOG__LEVEL__X", "did you mean EMOTAG_LOG__LEVEL?"),
        ("EMOTAG_DELIVERY__MODE", "did you mean EMOTAG_DELIVERY?"),
    ],
)
def test_a_variable_of_a_section_that_is_no_setting_stops_every_command(
    variable: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a mistyped address would mean localhost, and a mistyped hash secret no secret."""
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(SettingsError, match=f"^{variable} is not a setting; {re.escape(remedy)}$"):
        loader.load()


def test_several_such_variables_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_CACHE__KEY", "x")
    monkeypatch.setenv("EMOTAG_KAFKA__GROUP", "x")
    with pytest.raises(SettingsError, match=r"^EMOTAG_CACHE__KEY is .*; EMOTAG_KAFKA__GROUP is "):
        loader.load()


KUBERNETES = {
    "EMOTAG_SERVICE_HOST": "10.0.0.1",
    "EMOTAG_SERVICE_PORT": "8080",
    "EMOTAG_SERVICE_PORT_METRICS": "8080",
    "EMOTAG_PORT": "tcp://10.0.0.1:8080",
    "EMOTAG_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "EMOTAG_PORT_8080_TCP_ADDR": "10.0.0.1",
    "EMOTAG_PROBES_SERVICE_HOST": "10.0.0.1",
    "EMOTAG_PROBES_PORT": "tcp://10.0.0.1:8080",
}


def test_variables_of_kubernetes_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)
    assert loader.load() == Settings()


def test_settings_and_variables_of_kubernetes_and_of_others_are_not_reported() -> None:
    others = {"EMOTAG_KAFKA__PROPERTIES__sasl.password": "x", "emotag_log__level": "info", "HOME": "/", "EMOTAGS": "1"}
    assert [] == loader.find_unknown_variables(KUBERNETES | others | dict.fromkeys(list_settings(), ""))


def test_variables_may_be_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("emotag_log__level", "debug")
    assert "debug" == loader.load().log.level


def test_a_property_can_have_its_own_variable_beside_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES__SASL.password", "one")
    monkeypatch.setenv("EMOTAG_KAFKA__PROPERTIES", '{"sasl.password": "other", "sasl.username": "u"}')
    assert {"sasl.password": "one", "sasl.username": "u"} == loader.load().kafka.properties


def test_the_source_of_each_value_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text('latency_slo_ms = 5\n[log]\nlevel = "debug"\n[input]\ntopic = "file"\n[kafka.properties]\na = 1\n')
    monkeypatch.setenv("EMOTAG_INPUT__TOPIC", "variable")
    monkeypatch.setenv("EMOTAG_LOG__LEVEL", "error")
    sources = read_sources(file, parse_flags(["log.level=info", "kafka.properties.b=2"]))
    names = ("latency_slo_ms", "input.topic", "log.level", "delivery", "kafka.properties")
    assert ["file", "variable", "--set", "default", "--set, file"] == [find_source(sources, name) for name in names]
    assert (5, "variable", "info") == (
        (read := validate(sources)).latency_slo_ms,
        read.input.topic,
        read.log.level,
    )


def test_several_mistakes_are_reported_together_each_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text("[foo]\nbar = 1\nbaz = 2\n[input]\ntopic = 5\n")
    monkeypatch.setenv("EMOTAG_ADMIN__PORT", "80.5")
    with pytest.raises(SettingsError) as caught:
        loader.load(file)
    for part in (
        f"foo.bar (from {file}) is not a setting",
        f"foo.baz (from {file}) is not a setting",
        f"input.topic (EMOTAG_INPUT__TOPIC, from {file}) cannot be 5: use a name",
        "admin.port (EMOTAG_ADMIN__PORT, from the environment) cannot be '80.5': use a whole number from 0 to 65535",
    ):
        assert part in str(caught.value)


POSITIVE = ["0", "-1", "many", "", "nan", "inf"]
WHOLE = ["0", "-1", "1.5", "many", ""]
PATH = ["", ".", "a..b", "a.", "$", "$.payload.body", "$['a']", "/payload/body", "a[0]", "a[*].b"]
TOPIC = ["", "a b", "ü", "a" * 250, "a/b", ".", ".."]
WRONG: dict[str, list[str]] = {
    "EMOTAG_KAFKA__BOOTSTRAP_SERVERS": ["", ",", "a:b", "a:1,b:c:d", "http://a/b", "a:1 b:2"],
    "EMOTAG_KAFKA__GROUP_ID": ["", " "],
    "EMOTAG_KAFKA__PROPERTIES": ["hunter2", "[1]", '{"a": {"b": "hunter2"}}', '{"a"'],
    "EMOTAG_KAFKA__BROKER_TIMEOUT_S": POSITIVE,
    "EMOTAG_KAFKA__TRANSACTION_TIMEOUT_S": [*POSITIVE, "901"],
    "EMOTAG_INPUT__TOPIC": TOPIC,
    **{f"EMOTAG_INPUT__{name}": ["", "xml"] for name in ("FORMAT", "LONG_TEXTS")},
    "EMOTAG_INPUT__TEXT_PATH": PATH,
    "EMOTAG_INPUT__ID_PATH": PATH[1:],
    "EMOTAG_INPUT__METADATA_PATH": PATH[1:],
    "EMOTAG_INPUT__TOMBSTONES": ["", "delete"],
    "EMOTAG_INPUT__MAX_HEADERS_BYTES": WHOLE[1:],
    "EMOTAG_INPUT__START": ["", "newest", "2026-11-30", "2026-11-30T06:00:00"],
    "EMOTAG_INPUT__ON_DATA_LOSS": ["", "ignore"],
    "EMOTAG_INPUT__MAX_VALUE_BYTES": WHOLE,
    "EMOTAG_INPUT__MAX_METADATA_BYTES": WHOLE,
    "EMOTAG_OUTPUT__TOPIC": TOPIC,
    **{f"EMOTAG_OUTPUT__{name}": ["", "perhaps"] for name in ("ALL_SCORES", "REASONS")},
    "EMOTAG_DLQ__TOPIC": TOPIC,
    "EMOTAG_DLQ__STOP_AFTER": WHOLE[1:],
    "EMOTAG_ON_MISTAKE": ["", "restart"],
    "EMOTAG_DELIVERY": ["", "at_most_once"],
    "EMOTAG_CACHE__HASH_SECRET": [""],
    "EMOTAG_CACHE__TTL_S": WHOLE,
    "EMOTAG_CACHE__MEMORY_ENTRIES": ["-1", "1.5", "many", "10000001"],
    "EMOTAG_CACHE__TIMEOUT_MS": [*WHOLE, "1001"],
    "EMOTAG_MODEL__ENGINE": ["", "onnx"],
    "EMOTAG_MODEL__PRECISION": ["", "fp8"],
    "EMOTAG_BATCH__MAX_RECORDS": [*WHOLE, "100001"],
    "EMOTAG_BATCH__MAX_BYTES": WHOLE,
    "EMOTAG_ADMIN__PORT": ["-1", "65536", "http", "", "80.5"],
    "EMOTAG_LATENCY_SLO_MS": WHOLE,
    "EMOTAG_COMMIT_INTERVAL_MS": ["-1", "1001", "1.5", "never", ""],
    "EMOTAG_SHUTDOWN_TIMEOUT_S": POSITIVE,
    "EMOTAG_PROCESSES": [*WHOLE, "257", "automatic"],
    "EMOTAG_OUTPUT__OUT_OF_SCOPE": ["", "skip"],
    "EMOTAG_OUTPUT__PARTITION": ["", "same"],
    "EMOTAG_OUTPUT__TIMESTAMP": ["", "CreateTime"],
    "EMOTAG_KAFKA__IDENTITY": ["", "a b", "a/b", "x" * 201],
    **{name: ["", "loud"] for name in ("EMOTAG_LOG__LEVEL", "EMOTAG_LOG__FORMAT")},
    "EMOTAG_TRACES__ENDPOINT": ["", "c:4317", "grpc://c:4317", "http://", "http://a b", "http://user:hunter2@c:4318"],
}
ANY = {"EMOTAG_CACHE__URL", "EMOTAG_MODEL__PATH", "EMOTAG_MODEL__DEVICE", "EMOTAG_ADMIN__HOST"}
"""Settings that accept every string. A bad value is reported when the worker uses it."""

PLACES = {"environment": "the environment", "flag": "--set"}
PYDANTIC = ("Input", "should", "String", "Value error", "valid ")
"""Words of pydantic's own messages."""

CASES = [(variable, value) for variable, values in WRONG.items() for value in values]


def test_every_setting_is_looked_at() -> None:
    assert set(list_settings()) == set(WRONG) | ANY


@pytest.fixture(params=["environment", "file", "flag"])
def place(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.parametrize(("variable", "value"), CASES)
def test_a_wrong_value_is_one_line_that_names_the_setting(
    variable: str, value: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the setting, its variable, where the value came from, what is allowed and the default."""
    name = list_settings()[variable].name
    section, _, field = name.rpartition(".")
    file, flags = None, None
    if place == "environment":
        monkeypatch.setenv(variable, value)
    elif place == "file":
        file = tmp_path / "emotag.toml"
        file.write_text(f"{f'[{section}]' * bool(section)}\n{field} = {json.dumps(value)}\n", encoding="utf-8")
    else:
        flags = [f"{name}={value}"]
    with pytest.raises(SettingsError) as caught:
        loader.load(file, parse_flags(flags or ()))
    line = str(caught.value)
    assert "\n" not in line
    assert f"{name} ({variable}, from {PLACES.get(place, file)})" in line
    assert "hunter2" not in line
    assert not [word for word in PYDANTIC if word in line]
    if name != "kafka.properties":
        setting = list_settings()[variable]
        assert f": use {setting.allowed} (default: " in line
        assert setting.secret or "@" in value or len(value) > 50 or f"cannot be {value!r}" in line


@pytest.mark.parametrize(
    ("section", "line", "allowed"),
    [
        ("admin", "port = true", "a whole number from 0 to 65535"),
        ("input", "max_value_bytes = true", "a whole number of at least 1"),
        ("dlq", "stop_after = true", "a whole number of at least 0"),
    ],
)
def test_true_in_a_file_is_not_a_number(section: str, line: str, allowed: str, tmp_path: Path) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text(f"[{section}]\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=rf"{section}\.{line.split()[0]} .* cannot be true: use {allowed}"):
        loader.load(file)


@pytest.mark.parametrize("place", ["file", "variable", "flag"])
def test_1_is_true_in_every_source(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text("[output]\nall_scores = 1\n" if place == "file" else "", encoding="utf-8")
    if place == "variable":
        monkeypatch.setenv("EMOTAG_OUTPUT__ALL_SCORES", "1")
    flags = parse_flags(["output.all_scores=1"] if place == "flag" else [])
    assert loader.load(file, flags).output.all_scores is True


@pytest.mark.parametrize("brokers", ["localhost;9092", "a:1;b:2", "a b:1", "ho$t:1", "http://a:1", "a@b:1", "(a):1"])
def test_an_address_with_a_character_that_no_host_has_is_rejected(brokers: str) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap_servers .*: use host:port"):
        loader.load(flags={"kafka": {"bootstrap_servers": brokers}})


BROKERS = ("my_host-1.local", "a:9092", "10.0.0.1:9092, b.example:9093", "SASL_SSL://a:1", "[::1]:9092")
TOPICS = ("a", "my.texts", ".a", "...", "a" * 249)


@pytest.mark.parametrize(("brokers", "topic"), list(zip(BROKERS, TOPICS, strict=True)))
def test_addresses_and_topics_as_kafka_reads_them_are_let_through(brokers: str, topic: str) -> None:
    loaded = loader.load(flags={"kafka": {"bootstrap_servers": brokers}, "input": {"topic": topic}})
    assert (brokers, topic) == (loaded.kafka.bootstrap_servers, loaded.input.topic)


def test_a_property_whose_name_has_dots_and_no_quotes_in_a_file_is_told_of_them(tmp_path: Path) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text('[kafka.properties]\nsasl.password = "hunter2"\n', encoding="utf-8")
    with pytest.raises(
        SettingsError, match=r"^kafka.properties \(EMOTAG_KAFKA__PROPERTIES, from .*\): sasl must be .*quotes$"
    ):
        loader.load(file)
