"""What is secret, and what people wrote, is nowhere but where it belongs.

A worker with secrets in its settings and a planted sentence in its records, at its most talkative; then everything that
it wrote anywhere is searched.
"""

import json
import os
import subprocess
import sys
from typing import Any
from urllib.parse import quote, urlsplit

import redis

from tests.conftest import Topics
from tests.stream import Reader, Sent, headers_of, send, text
from worker import settings
from worker.local import LocalValkey

from .conftest import PASSWORD, USER, Trust
from .secured import SCRAM, SecuredKafka
from .telling import VARIABLE, TellingWorker

SENTENCE = "quixotic zeppelins adore my grandmother's marzipan"
WORDS = ("quixotic", "zeppelin", "marzipan")
"""Of the sentence; nobody else writes them."""

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
    text("fine", metadata=[SENTENCE]),
    text("fine", metadata={SENTENCE: SENTENCE * 2000}),
    text(SENTENCE * 30_000),
]
RECORDS = [*GOOD, *DEVICE_FAILS, *REFUSED]


def test_a_planted_sentence_and_planted_secrets_are_nowhere_to_be_found(
    secured_kafka: SecuredKafka, secured_topics: Topics, own_valkey: LocalValkey, trust: Trust
) -> None:
    """Not in the log, though all of it is asked for; not in metrics, dead letters' headers, results or Redis."""
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
        "EMOTAG_CACHE__KEY": CACHE_KEY,
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
        "EMOTAG_CACHE__KEY": CACHE_KEY,
    }
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "config", "show"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    shown = json.loads(done.stdout)
    assert "/etc/ca.pem" == shown["kafka"]["properties"]["ssl.ca.location"]
    assert settings.MASK == shown["kafka"]["properties"]["sasl.password"]
    assert settings.MASK == shown["cache"]["url"]
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]
