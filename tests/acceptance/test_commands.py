"""Every command as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Topics
from tests.stream import Reader, text
from worker.demo import sample_texts

from .conftest import StartWorker

COMMANDS = ["run", "tag", "demo", "local", "produce", "tail", "topics create", "config show", "config check"]
COMMANDS += ["schemas export", "model info", "dlq list", "dlq replay", "lag"]


def emotag(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    r"""Run a command to its end; `\udcff` on stdin is the byte 0xff."""
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *arguments],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = emotag(*command.split(), "--help", COLUMNS="200")
    assert 0 == done.returncode
    assert f"emotag {command}" in done.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nonsense", "nonsense"),
        ("tag --top zero text", "--top"),
        ("tag --model /nowhere text", "/nowhere"),
        ("tag --device tpu text", "tpu"),
        ("tag --precision fp8 text", "fp8"),
        ("run --config /nowhere.toml", "/nowhere.toml"),
        ("run --set drain=3", "EMOTAG_DRAIN_S"),
        ("produce /nowhere.txt", "/nowhere.txt"),
        ("model info /nowhere", "/nowhere"),
        ("config check --set model.path=/nowhere", "/nowhere"),
        ("config check --set model.device=tpu", "tpu"),
        ("config check --set cache.url=http://host", "EMOTAG_CACHE__URL"),
        ("config check --set kafka.properties.no.such=1", "no.such"),
        ("schemas export /proc/nowhere", "/proc/nowhere"),
        ("tail --set kafka.bootstrap_servers=127.0.0.1:1", "no broker answers"),
    ],
)
def test_a_mistake_is_one_plain_line_and_code_2(command: str, message: str) -> None:
    done = emotag(*command.split())
    assert 2 == done.returncode
    assert 1 == len(done.stderr.splitlines()), done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("emotag: ")


def test_tag_prints_the_strongest_emotions_with_percentages() -> None:
    done = emotag("tag", "I'm so excited about this new opportunity!", "--top", "5")
    lines = done.stdout.splitlines()
    assert 6 == len(lines)
    assert "excitement" == lines[1].split()[0]
    assert all(line.endswith(" %") for line in lines[1:])


def test_tag_reads_lines_and_writes_the_contracts_json() -> None:
    """One object a line, in order; blank lines are no texts; bytes that are no UTF-8 stop nothing."""
    done = emotag("tag", "--json", "--all", stdin="\ufeffThank you!\n\n  \nThat is \udcff.\nThat is disgusting.\r\n")
    assert (0, "") == (done.returncode, done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["Thank you!", "That is \ufffd.", "That is disgusting."] == [answer["text"] for answer in found]
    assert {"text", "emotions", "sentiment", "ekman", "truncated", "scores"} == set(found[0])
    assert "gratitude" == found[0]["emotions"][0]["label"]
    assert 28 == len(found[0]["scores"])


def test_tag_replaces_bytes_that_are_no_utf_8_in_an_argument_too() -> None:
    done = emotag("tag", "--json", "So happy \udcff!")
    assert "So happy \ufffd!" == json.loads(done.stdout)["text"]


@pytest.mark.parametrize("piped", [True, False], ids=["stdin", "file"])
def test_produce_refuses_bytes_that_are_no_utf_8_and_what_was_before_them_stays_sent(
    bootstrap_servers: str, topics: Topics, tmp_path: Path, *, piped: bool
) -> None:
    """One line that says where, and code 2; the records before it are there, none after it is."""
    file = tmp_path / "texts.txt"
    file.write_bytes(b"first\n\nsecond\r\nthird \xff\nfourth\n")
    given = file.read_text(encoding="utf-8", errors="surrogateescape") if piped else ""
    environment = topics.environment(bootstrap_servers)
    done = emotag("produce", "-" if piped else str(file), stdin=given, **environment)
    assert (2, f"emotag: line 4 is not UTF-8; 2 records before it went to {topics.input}, none after it\n") == (
        done.returncode,
        done.stderr,
    )
    # `tail` follows any topic: here the input, whose records stand as they were produced.
    environment |= {"EMOTAG_OUTPUT__TOPIC": topics.input, "EMOTAG_INPUT__TOPIC": topics.output}
    there = emotag("tail", "--json", "--from-beginning", "--idle-s", "3", **environment)
    assert ['{"text": "first"}', '{"text": "second"}'] == sorted(there.stdout.splitlines())


def test_what_is_produced_is_tagged_and_can_be_followed(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker, tmp_path: Path
) -> None:
    """produce, run and tail, in text and in JSON lines."""
    environment = topics.environment(bootstrap_servers)
    file = tmp_path / "texts.txt"
    file.write_text('What a wonderful day!\n{"text": "I am so sorry.", "id": "mine"}\n\n', encoding="utf-8")
    produced = emotag("produce", str(file), **environment)
    assert (0, f"2 records to {topics.input}\n") == (produced.returncode, produced.stderr)
    start_worker(environment)
    Reader(bootstrap_servers, topics).until(2, timeout_s=30)
    followed = emotag("tail", "--json", "--from-beginning", "--idle-s", "3", **environment)
    results = {result["id"]: result for result in map(json.loads, followed.stdout.splitlines())}
    assert 2 == len(results)
    assert "remorse" == results["mine"]["emotions"][0]["label"]
    plain = emotag("tail", "--from-beginning", "--idle-s", "3", **environment)
    assert any(line.startswith("mine  remorse ") for line in plain.stdout.splitlines())


def test_produce_says_at_once_that_there_is_no_topic(bootstrap_servers: str, topics: Topics, tmp_path: Path) -> None:
    """The client alone would wait half a minute for it to come, and say nothing of how it is made."""
    file = tmp_path / "texts.txt"
    file.write_text("a text\n")
    began = time.monotonic()
    environment = topics.environment(bootstrap_servers) | {"EMOTAG_INPUT__TOPIC": "nobody-made-it"}
    done = emotag("produce", str(file), **environment)
    assert 2 == done.returncode
    assert "emotag topics create" in done.stderr
    assert time.monotonic() - began < 20


def test_topics_are_created_once_and_left_alone_after(bootstrap_servers: str, topics: Topics) -> None:
    environment = topics.environment(bootstrap_servers) | {"EMOTAG_DLQ__TOPIC": f"{topics.dlq}-new"}
    first = emotag("topics", "create", "--partitions", "3", **environment)
    assert f"{topics.dlq}-new: created" in first.stdout
    assert f"{topics.input}: exists already, with {topics.partitions} partitions" in first.stdout
    assert first.stdout.count("exists already") + 1 == emotag("topics", "create", **environment).stdout.count("exists")


def test_settings_are_shown_and_checked_without_their_secrets() -> None:
    shown = emotag("config", "show", EMOTAG_CACHE__URL="redis://:hunter2@cache/0")
    assert "hunter2" not in shown.stdout
    assert "emotions" == json.loads(shown.stdout)["output"]["topic"]
    checked = emotag("config", "check", EMOTAG_DRAIN="3")
    assert (2, "emotag: EMOTAG_DRAIN is not a setting; did you mean EMOTAG_DRAIN_S?\n") == (
        checked.returncode,
        checked.stderr,
    )
    plain = emotag("config", "check")
    assert (0, "") == (plain.returncode, plain.stderr)
    unkeyed = emotag("config", "check", EMOTAG_CACHE__URL="redis://cache/0")
    assert (0, "the settings hold\n") == (unkeyed.returncode, unkeyed.stdout)
    assert "EMOTAG_CACHE__KEY is not set" in unkeyed.stderr


def test_the_model_says_what_it_is() -> None:
    info = json.loads(emotag("model", "info").stdout)
    assert "emotag-mini" == info["name"]
    assert 28 == len(info["labels"])


@pytest.mark.timeout(240)
def test_the_demo_ends_with_its_figures_and_nothing_left_behind() -> None:
    """With servers of its own, as `make demo` starts it."""
    done = emotag("demo", "--messages", "250", "--no-input", "--json")
    assert 0 == done.returncode, done.stderr
    summary = json.loads(done.stdout)
    names = ["in", "out", "dead_lettered", "lost", "duplicated", "cached"]
    names += ["seconds", "messages_per_s", "p50_ms", "p99_ms"]
    assert names == list(summary)
    assert (250, 250, 0, 0) == (summary["in"], summary["out"], summary["lost"], summary["duplicated"])
    assert summary["cached"] <= 250 - len(sample_texts())


@pytest.mark.timeout(240)
def test_the_demo_uses_servers_that_are_named(bootstrap_servers: str, redis_url: str) -> None:
    """On somebody's own Kafka it uses topics of its own, and takes them away again."""
    environment = {"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers, "EMOTAG_CACHE__URL": redis_url}
    done = emotag("demo", "--messages", "20", "--no-input", **environment)
    assert 0 == done.returncode, done.stderr
    assert "starting Apache Kafka" not in done.stderr
    assert "every text came out exactly once" in done.stdout


def test_local_prints_addresses_and_ends_at_ctrl_c() -> None:
    process = subprocess.Popen([sys.executable, "-m", "worker.cli", "local"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert lines[0].startswith("export EMOTAG_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:")
    assert lines[1].startswith("export EMOTAG_CACHE__URL=redis://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert 130 == process.wait(30)
    process.stdout.close()


def test_logs_carry_no_text_and_metrics_count_what_was_done(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """One JSON line an event; the probes answer on the admin port."""
    from tests.stream import Sent, send

    secret = "hunter2 makes me happy"
    send(bootstrap_servers, topics.input, [text(secret), text(secret), Sent(b'{"text": "hunter2'), Sent(b'"hunter2"')])
    worker = start_worker(topics.environment(bootstrap_servers))
    Reader(bootstrap_servers, topics).until(4, timeout_s=30)
    assert [200, 200, 200, 404] == [worker.get(f"/{path}")[0] for path in ("livez", "readyz", "startupz", "nothing")]
    metrics = worker.get("/metrics")[1]
    assert "emotag_records_total 4.0" in metrics
    assert 'emotag_dead_letters_total{reason="NotJson"} 2.0' in metrics
    worker.stop()
    log = worker.log_path.read_text()
    assert "hunter2" not in log + metrics
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert "worker_started" in events
    assert "step_committed" in events
    assert "worker_stopped" == events[-1]
