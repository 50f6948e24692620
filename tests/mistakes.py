"""Mistakes and outages that users run into, as a table: the command, its exit code, and parts of its message."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotag_model import artifact

CREATE = "emotag topics create"
KAFKA = "EMOTAG_KAFKA__BOOTSTRAP_SERVERS"


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        command: without `emotag`. `{files}` is the folder that `write_files` fills.
        code: the exit code: 1 for a failure outside, 2 for a mistake.
        parts: each is in the message.
        environment: added to the test's.
    """

    command: str
    code: int
    parts: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""


def write_files(folder: Path) -> None:
    """Write the files that the mistakes are about."""
    (folder / "empty").mkdir()
    (folder / "broken.toml").write_text("[kafka\n", encoding="utf-8")
    (folder / "unknown.toml").write_text('[kafka]\ngroup = "mine"\n', encoding="utf-8")
    (folder / "latin1.toml").write_bytes(b'[input]\ntopic = "caf\xe9"\n')
    (folder / "latin1.txt").write_bytes(b"first\ncaf\xe9\n")
    (folder / "broken.jsonl").write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    (folder / "texts.txt").write_text("so happy\n", encoding="utf-8")
    for name, damage in (("damaged", "config.json"), ("foreign", "")):
        made = folder / name
        made.mkdir()
        for each in ("SHA256SUMS", *artifact.REQUIRED, "metrics.json", "training.json", "reference.json", "README.md"):
            if (artifact.DEFAULT / each).is_file():
                (made / each).symlink_to(artifact.DEFAULT / each)
        if damage:
            content = (made / damage).read_bytes()
            (made / damage).unlink()
            (made / damage).write_bytes(content[:-9])
    (folder / "foreign" / "SHA256SUMS").unlink()
    shutil.copytree(artifact.DEFAULT, folder / "incomplete", ignore=lambda *_: {"model.safetensors"})


ARGUMENTS = [
    Mistake("nonsense", 2, ("nonsense",)),
    Mistake("tagg text", 2, ("tagg", "tag")),
    Mistake("dlq lst", 2, ("lst", "list")),
    Mistake("topics delete", 2, ("delete",)),
    Mistake("tag --topp 3 text", 2, ("--topp", "--top")),
    Mistake("tag --top zero text", 2, ("--top",)),
    Mistake("tag --top 0 text", 2, ("--top",)),
    Mistake("tag --device tpu text", 2, ("'tpu'", "cuda")),
    Mistake("tag --device cuda:x text", 2, ("'cuda:x'",)),
    Mistake("tag --engine onnx text", 2, ("'onnx'", "openvino")),
    Mistake("tag --precision fp8 text", 2, ("'fp8'", "int8")),
    Mistake("tag --engine openvino --precision fp16 text", 2, ("fp16", "openvino")),
    Mistake("tag ''", 2, ("text 1 of 1 is empty",)),
    Mistake("produce", 2, ("Missing argument",)),
    Mistake("topics create --partitions 0", 2, ("--partitions",)),
    Mistake("topics create --partitions many", 2, ("--partitions",)),
    Mistake("tail --idle-s soon", 2, ("--idle-s",)),
    Mistake("dlq list --reason Nonsense", 2, ("--reason Nonsense", "NotJson")),
    Mistake("dlq list --limit 0", 2, ("--limit",)),
    Mistake("dlq replay", 2, ("--yes", "--dry-run")),
    Mistake("dlq replay --yes --from 7", 2, ("--from", "PARTITION:OFFSET")),
    Mistake("dlq replay --yes --from a:b", 2, ("a:b", "PARTITION:OFFSET")),
    Mistake("dlq replay --yes --max-attempts 0", 2, ("--max-attempts",)),
    Mistake("dlq replay --yes --reason notjson", 2, ("notjson", "NotJson")),
    Mistake("offsets reset", 2, ("--to-time", "--to-earliest")),
    Mistake("offsets reset --to-earliest --to-latest", 2, ("give one of",)),
    Mistake("offsets reset --to-time 2026-11-30T06:00:00", 2, ("--to-time", "2026-11-30T06:00:00Z")),
    Mistake("run --from 2026-11-30T06:00:00Z", 2, ("--until", "give both")),
    Mistake("run --from yesterday --until now", 2, ("--from", "yesterday", "RFC 3339")),
    Mistake("run --from 2026-01-02T00:00:00Z --until 2026-01-01T00:00:00Z", 2, ("--until", "is not after")),
    Mistake("run --from 2026-01-02T00:00:00Z --until 2999-01-01T00:00:00Z", 2, ("--until", "future")),
    Mistake("demo --messages 0", 2, ("--messages",)),
    Mistake("demo --rate fast", 2, ("--rate",)),
]
"""Unknown commands and options, and values that options do not take."""

SETTINGS = [
    Mistake("config check --set kafka.group=x", 2, ("kafka.group (from --set)", "kafka.group_id")),
    Mistake("config check --set nonsense", 2, ("NAME=VALUE",)),
    Mistake("config check --set input.format=xml", 2, ("EMOTAG_INPUT__FORMAT", "'xml'", "use json or text")),
    Mistake("config check --set kafka.bootstrap_servers=http://x", 2, (KAFKA, "'http://x'", "use host:port")),
    Mistake("config check --set kafka.properties=5", 2, ("EMOTAG_KAFKA__PROPERTIES", "not a JSON object")),
    Mistake("config check --set kafka.properties.no.such=1", 2, ("EMOTAG_KAFKA__PROPERTIES", "no.such")),
    Mistake("config check --set kafka.properties.auto.offset.reset=latest", 2, ("EMOTAG_INPUT__START",)),
    Mistake("config check --set input.start=2026-11-30T06:00:00", 2, ("EMOTAG_INPUT__START", "with its zone")),
    Mistake("config check --set kafka.properties.group.id=x", 2, ("group.id", "EMOTAG_KAFKA__GROUP_ID")),
    Mistake("config check --set model.device=tpu", 2, ("tpu", "EMOTAG_MODEL__DEVICE")),
    Mistake("config check --set input.topic=emotions", 2, ("input.topic", "output.topic")),
    Mistake("config check --set traces.endpoint=http://c?t=hunter2", 2, ("EMOTAG_TRACES__ENDPOINT", "this value")),
    Mistake("config check --set cache.url:redis://:hunter2@c?db=1", 2, ("NAME=VALUE", "--set cache.url=VALUE")),
    Mistake("config check --set kafka.properties.sasl.password:hunter2=1", 2, ("NAME=VALUE",)),
    Mistake("config check cache.hash_secret=hunter2", 2, ("unexpected extra argument", "cache.hash_secret=…")),
    Mistake("config cache.hash_secret=hunter2", 2, ("No such command 'cache.hash_secret=…'",)),
    Mistake("config check", 2, ("EMOTAG_SHUTDOWN_TIMEOUT_S?",), {"EMOTAG_SHUTDOWN_TIMEOUT": "3"}),
    Mistake(
        "config check", 2, ("EMOTAG_KAFKA__PROPERTIES", "Expecting value"), {"EMOTAG_KAFKA__PROPERTIES": "hunter2"}
    ),
    Mistake("config check", 2, ("EMOTAG_CACHE__URL", "rediss://"), {"EMOTAG_CACHE__URL": "http://:hunter2@cache"}),
    Mistake("config show", 2, ("EMOTAG_ADMIN__PORT", "'ninety'", "65535"), {"EMOTAG_ADMIN__PORT": "ninety"}),
    Mistake("lag", 2, ("BROKER_TIMEOUT_S", "'0'", "above 0"), {"EMOTAG_KAFKA__BROKER_TIMEOUT_S": "0"}),
    Mistake("lag", 2, ("BOOTSTRAP_SERVER is not a setting", KAFKA), {"EMOTAG_KAFKA__BOOTSTRAP_SERVER": "kafka:1"}),
    Mistake("dlq replay --yes", 2, ("EMOTAG_CACHE__KEY is not a setting",), {"EMOTAG_CACHE__KEY": "hunter2"}),
    Mistake("tail", 2, ("EMOTAG_OUTPUT__TOPIC", "'a topic'", "letters"), {"EMOTAG_OUTPUT__TOPIC": "a topic"}),
    Mistake("dlq list", 2, ("EMOTAG_DLQ__TOPIC", "'ä'", "letters"), {"EMOTAG_DLQ__TOPIC": "ä"}),
    Mistake("topics create --set delivery=twice", 2, ("EMOTAG_DELIVERY", "'twice'", "exactly_once")),
    Mistake("produce {files}/texts.txt --set input.text_path=a..b", 2, ("EMOTAG_INPUT__TEXT_PATH", "'a..b'")),
    Mistake("run --set batch.max_records=0", 2, ("EMOTAG_BATCH__MAX_RECORDS", "'0'", "from 1 to 100000")),
]
"""Settings that cannot be used: the message names the setting and the refused value, unless that may be a secret."""

FILES = [
    Mistake("config show --config {files}/nowhere.toml", 2, ("nowhere.toml", "No such file")),
    Mistake("config show --config {files}/empty", 2, ("empty",)),
    Mistake("config check --config {files}/broken.toml", 2, ("broken.toml", "line")),
    Mistake("lag --config {files}/latin1.toml", 2, ("latin1.toml",)),
    Mistake("tail --config {files}/unknown.toml", 2, ("kafka.group (from", "EMOTAG_KAFKA__GROUP_ID")),
    Mistake("topics create --config {files}/nowhere.toml", 2, ("nowhere.toml",)),
    Mistake("dlq list --config {files}/broken.toml", 2, ("broken.toml",)),
    Mistake("dlq replay --yes --config {files}/broken.toml", 2, ("broken.toml",)),
    Mistake("run --config {files}/broken.toml", 2, ("broken.toml",)),
    Mistake("produce {files}/nowhere.txt", 2, ("nowhere.txt", "No such file")),
    Mistake("produce {files}/empty", 2, ("empty",)),
    Mistake("tag --model {files}/nowhere text", 2, ("nowhere", "no such directory")),
    Mistake("tag --model {files}/texts.txt text", 2, ("texts.txt", "not a directory")),
    Mistake("tag --model {files}/empty text", 2, ("this is not an emotag model directory",)),
    Mistake("model info {files}/empty", 2, ("this is not an emotag model directory",)),
    Mistake("model info {files}/foreign", 2, ("SHA256SUMS", "export the model again")),
    Mistake("model info {files}/damaged", 2, ("config.json", "sha256")),
    Mistake("model info {files}/incomplete", 2, ("model.safetensors",)),
    Mistake("config check --set model.path={files}/damaged", 2, ("config.json", "sha256", "EMOTAG_MODEL__PATH")),
    Mistake("schemas export /proc/nowhere", 2, ("/proc/nowhere",)),
    Mistake("schemas export {files}/texts.txt", 2, ("texts.txt",)),
]
"""Files that are missing, damaged, or something else."""

COMMANDS = (
    "produce -",
    "tail",
    "lag",
    "topics create",
    "dlq list",
    "dlq replay --yes",
    "offsets show",
    "offsets reset --to-latest",
)
"""The commands that need the brokers and nothing else."""

NO_CACHE = {"EMOTAG_CACHE__URL": "redis://127.0.0.1:1"}  # so that the demo starts none

OUTAGES = [
    *(Mistake(c, 1, (f"127.0.0.1:1 ({KAFKA})", "connection refused", "emotag local"), stdin=b"a\n") for c in COMMANDS),
    Mistake("demo --messages 1 --json", 1, (f"127.0.0.1:1 ({KAFKA})", "connection refused"), NO_CACHE),
    Mistake("lag", 1, ("nowhere.invalid:9092", "DNS does not resolve", KAFKA), {KAFKA: "nowhere.invalid:9092"}),
    Mistake("tail", 1, ("nowhere.invalid:9092", "DNS does not resolve", KAFKA), {KAFKA: "nowhere.invalid:9092"}),
]  # fmt: skip
"""No broker at the address."""


def properties(**given: str) -> dict[str, str]:
    """Return the variable with Kafka properties; `_` in a name means a dot."""
    named = {name.replace("_", "."): value for name, value in given.items()}
    return {"EMOTAG_KAFKA__PROPERTIES": json.dumps(named)}


SASL = properties(
    security_protocol="sasl_plaintext", sasl_mechanism="PLAIN", sasl_username="u", sasl_password="hunter2"
)

BROKER = [
    Mistake("lag", 1, (KAFKA, "TLS handshake failed", "security.protocol"), properties(security_protocol="ssl")),
    Mistake("tail", 1, ("refuse this client", "sasl.password in EMOTAG_KAFKA__PROPERTIES"), SASL),
    Mistake("topics create", 1, ("refuse this client", "sasl.password in EMOTAG_KAFKA__PROPERTIES"), SASL),
    Mistake("topics create --replication 9 --set input.topic=unmade", 2, ("unmade", "replication")),
    Mistake("tail --set output.topic={mistyped}", 2, ("{mistyped} (EMOTAG_OUTPUT__TOPIC)", "did you mean {output}?")),
    Mistake("lag --set input.topic=Unmade", 2, ("Unmade (EMOTAG_INPUT__TOPIC)", CREATE)),
    Mistake("offsets show --set input.topic=Unmade", 2, ("Unmade (EMOTAG_INPUT__TOPIC)", CREATE)),
    Mistake("tail --set output.topic=Unmade", 2, ("Unmade (EMOTAG_OUTPUT__TOPIC)", CREATE)),
    Mistake("produce - --set input.topic=Unmade", 2, ("Unmade (EMOTAG_INPUT__TOPIC)", CREATE), stdin=b"a\n"),
    Mistake("dlq list --set dlq.topic=Unmade", 2, ("Unmade (EMOTAG_DLQ__TOPIC)", CREATE)),
    Mistake("dlq replay --yes --set input.topic=Unmade", 2, ("Unmade (EMOTAG_INPUT__TOPIC)", CREATE)),
    Mistake("dlq replay --yes --from 99:0", 2, ("--from 99:", "no partition 99")),
    Mistake("produce {files}/latin1.txt", 2, ("line 2 is not UTF-8", "sent 1 record before it")),
    Mistake("produce {files}/broken.jsonl", 2, ("line 2 begins like a JSON object", '{{"text": "…"}}')),
]
"""Mistakes that only a broker can notice."""
