"""Secrets and texts appear only in their own places.

A worker runs with secrets in its settings and a planted sentence in its records, with the most verbose log. Then
everything that it wrote is searched.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import redis

from emotag_worker.errors import SettingsError
from emotag_worker.local import LocalValkey
from emotag_worker.settings import loader
from emotag_worker.settings.reference import MASK
from tests.conftest import Topics
from tests.stream import Reader, Sent, headers_of, send, text

from .conftest import PASSWORD, USER, Trust
from .secured import SCRAM, SecuredKafka
from .telling import VARIABLE, TellingWorker

SENTENCE = "quixotic zeppelins adore my grandmother's marzipan"
WORDS = ("quixotic", "zeppelin", "marzipan")
"""Words of the sentence, which occur nowhere else."""

CACHE_PASSWORD, CACHE_KEY, KEY_PASSWORD = "pl@nted-in-redis", "planted-as-the-hash-key", "planted-for-a-key"
SECRETS = (PASSWORD, CACHE_PASSWORD, quote(CACHE_PASSWORD, safe=""), CACHE_KEY, KEY_PASSWORD)

GOOD = [
    text(SENTENCE),
    text(SENTENCE),
    text(f"{SENTENCE} ", id="1"),
    text(f"{SENTENCE} " * 200),
    text(f"{SENTENCE} \0 \N{GRINNING FACE}"),
]
DEVICE_FAILS = [text(f"hello {SENTENCE}"), text(f"{SENTENCE}, hello")]
REFUSED = [
    Sent(f'{{"text": "{SENTENCE}'.encode()),
    Sent(f'"{SENTENCE}"'.encode()),
    Sent(SENTENCE.encode()),
    Sent(f'{{"text": "{SENTENCE}\xff"}}'.encode("latin-1")),
    Sent(f'{{"text": "{SENTENCE} \\ud800"}}'.encode()),
    Sent(json.dumps({"text": [SENTENCE]}).encode()),
    Sent(json.dumps({"words": SENTENCE}).encode()),
    Sent(json.dumps({SENTENCE: SENTENCE}).encode()),
    text("fine", id={SENTENCE: 1}),
    text("fine", id=SENTENCE * 100),
    text("fine", id=[SENTENCE]),
    text("fine", metadata={SENTENCE: SENTENCE * 2000}),
    text(SENTENCE * 30_000),
]
RECORDS = [*GOOD, *DEVICE_FAILS, *REFUSED]


def test_a_planted_sentence_and_planted_secrets_are_nowhere_to_be_found(
    secured_kafka: SecuredKafka, secured_topics: Topics, own_valkey: LocalValkey, trust: Trust
) -> None:
    """Not in the log, not even at the level `debug`; not in metrics, headers of dead letters, results or Redis."""
    port = urlsplit(own_valkey.url).port
    with redis.Redis(port=port or 0) as admin:
        admin.config_set("requirepass", CACHE_PASSWORD)
    properties = {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(trust.authority.pem),
        "ssl.key.password": KEY_PASSWORD,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": PASSWORD,
        "debug": "all",
    }
    environment = {
        **secured_topics.environment(secured_kafka.at(SCRAM)),
        "EMOTAG_KAFKA__PROPERTIES": json.dumps(properties),
        "EMOTAG_CACHE__URL": f"redis://:{quote(CACHE_PASSWORD, safe='')}@127.0.0.1:{port}/0",
        "EMOTAG_CACHE__HASH_SECRET": CACHE_KEY,
        "EMOTAG_LOG__LEVEL": "debug",
        "EMOTAG_OUTPUT__ALL_SCORES": "true",
        "EMOTAG_MODEL__ENGINE": "openvino",
        "EMOTAG_MODEL__PRECISION": "fp32",
        VARIABLE: SENTENCE,
    }
    placed = send(secured_kafka.bootstrap_servers, secured_topics.input, RECORDS)
    with TellingWorker(environment) as worker:
        worker.start()
        reader = Reader(secured_kafka.bootstrap_servers, secured_topics)
        read = reader.until(len(RECORDS), timeout_s=60)
        reader.close()
        metrics = worker.get("/metrics")[1]
        worker.stop()
        log = worker.log_path.read_text(encoding="utf-8")
    with redis.Redis(port=port or 0, password=CACHE_PASSWORD) as admin:
        kept = {key: admin.dump(key) for key in admin.keys("*")}

    assert dict.fromkeys(placed, 1) == read.times()
    assert len(DEVICE_FAILS) + len(REFUSED) == len(read.dead)
    assert len(DEVICE_FAILS) == metrics_of(metrics, 'emotag_dead_letters_total{reason="DeviceRejected"}')
    assert len({sent.value for sent in GOOD}) - 1 <= len(kept)
    assert "sasl.username = [redacted]" in log, "librdkafka was to say all it knows, too"
    assert "worker_stopped" in log
    written = {
        "the log": log,
        "metrics": metrics,
        "headers of dead letters": shown_headers(read.dead),
        "headers of results": shown_headers(read.results),
        "results": " ".join(str(message[0].value()) for message in read.results.values()),
        "redis": str(kept),
    }
    for place, found in written.items():
        for planted in (*SECRETS, *WORDS):
            assert planted.lower() not in found.lower(), f"{planted} is in {place}"


def metrics_of(metrics: str, name: str) -> float:
    return float(next(line.removeprefix(name) for line in metrics.splitlines() if line.startswith(name)))


def shown_headers(read: dict[Any, Any]) -> str:
    return " ".join(str(headers_of(message)) for messages in read.values() for message in messages)


def test_settings_are_shown_with_their_secrets_masked() -> None:
    properties = {
        "sasl.username": USER,
        "sasl.password": PASSWORD,
        "ssl.key.password": KEY_PASSWORD,
        "ssl.keystore.password": KEY_PASSWORD,
        "ssl.ca.location": "/etc/ca.pem",
    }
    environment = {
        "EMOTAG_KAFKA__PROPERTIES": json.dumps(properties),
        "EMOTAG_CACHE__URL": f"rediss://emotag:{quote(CACHE_PASSWORD, safe='')}@cache/0",
        "EMOTAG_CACHE__HASH_SECRET": CACHE_KEY,
    }
    done = subprocess.run(
        [sys.executable, "-m", "emotag_worker", "config", "show"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown = json.loads(done.stdout)
    assert "/etc/ca.pem" == shown["kafka"]["properties"]["ssl.ca.location"]
    assert MASK == shown["kafka"]["properties"]["sasl.password"]
    assert MASK == shown["cache"]["url"]
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("EMOTAG_CACHE__URL:redis://:hunter2@host/0?protocol", "3", "EMOTAG_CACHE__URL…"),
        ("EMOTAG_KAFKA__PROPERTIES__sasl.password:hunter2", "1", "a property called sasl.password…: "),
        ("EMOTAG_KAFKA__PROPERTIES", '{"sasl.password:hunter2": 1}', "a property called sasl.password…: "),
        ("EMOTAG_KAFKA__BOOTSTRAP_SERVERS", "SASL_SSL://hunter2@host", "this value"),
        ("EMOTAG_TRACES__ENDPOINT", "http://host/?token=hunter2", "this value"),
        ("EMOTAG_TRACES__ENDPOINT", "http://host?token=hunter2", "this value"),
        ("EMOTAG_TRACES__ENDPOINT", "http://host/#hunter2", "this value"),
    ],
)
def test_a_secret_in_the_wrong_place_of_a_variable_is_not_shown(
    variable: str, value: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        loader.load()
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


FILES = {
    '"url:redis://:hunter2@host" = 1': "url…",
    '[cache]\n"url:redis://:hunter2@host" = 1': "cache.url…",
    '["cache.url:hunter2"]\nprotocol = 3': "cache.url…",
    '[kafka.properties]\n"sasl.password:hunter2" = 1': "sasl.password…",
    # Not TOML: the parser reports the place and not the line.
    "[cache]\nhash_secret = hunter2": "line 2",
    '[cache]\nhash_secret = "hunter2': "not TOML",
    '[cache]\nhash_secret "hunter2"': "line 2",
    '[cache]\n"hash_secret = hunter2"': "not TOML",
    '[cache]\nhash_secret = "\\hunter2"': "line 2",
    '[cache]\nurl = "redis://:hunter2@host" hash_secret = "hunter2"': "line 2",
    # TOML, and a secret where a table or a section belongs.
    "[cache.hash_secret]\nhunter2 = 1": "cache.hash_secret",
    'cache = "hunter2"': "cache (from",
    '[kafka.properties]\n"sasl.password" = ["hunter2"]': "sasl.password must be",
}


@pytest.mark.parametrize("content", FILES)
def test_a_secret_in_a_file_with_a_mistake_is_not_shown(content: str, tmp_path: Path) -> None:
    file = tmp_path / "emotag.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        loader.load(file)
    assert FILES[content] in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_variable_without_a_section_has_no_secret_in_its_line() -> None:
    (line,) = loader.find_unknown_variables({"EMOTAG_URL:redis://:hunter2@host": ""})
    assert line.startswith("EMOTAG_URL… is not a setting")
    assert "hunter2" not in line


@pytest.mark.parametrize("command", ["config list", "config list --json", "config show"])
def test_no_command_shows_a_secret_setting(command: str) -> None:
    environment = {
        "EMOTAG_KAFKA__PROPERTIES": '{"sasl.password": "hunter2", "ssl.key.pem": "hunter2", "sasl.pasword": "hunter2"}',
        "EMOTAG_KAFKA__PROPERTIES__sasl.oauthbearer.config": "hunter2",
        "EMOTAG_CACHE__URL": "redis://:hunter2@cache",
        "EMOTAG_CACHE__HASH_SECRET": "hunter2",
    }
    done = subprocess.run(
        [sys.executable, "-m", "emotag_worker", *command.split()],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert MASK in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
