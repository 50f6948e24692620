"""Every command as a user types it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from emotag_worker.local.demo_records import read_sample_texts
from tests.conftest import Topics
from tests.stream import Reader, text

from .conftest import StartWorker

NAMED = ["--engine", "openvino", "--precision", "fp32"]
"""Without a measurement, which would print a note."""
MEASURED = ["--precision", "fp32"]
"""The engine `native` has no fp32, so the others are measured."""


def emotag(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    r"""Run a command to its end; `\udcff` on stdin is the byte 0xff."""
    return subprocess.run(
        [sys.executable, "-m", "emotag_worker", *arguments],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("nonsense", 2, "nonsense"),
        ("tag --device tpu text", 2, "tpu"),
        ("run --set shutdown_timeout=3", 2, "EMOTAG_SHUTDOWN_TIMEOUT_S"),
        ("schemas export /proc/nowhere", 2, "/proc/nowhere"),
        ("lag --set kafka.bootstrap_servers=127.0.0.1:1 --set kafka.broker_timeout_s=1", 1, "connection refused"),
    ],
)
def test_a_mistake_is_one_plain_line(command: str, code: int, message: str) -> None:
    """In a process, as a user starts it; `test_mistakes.py` has the table of mistakes."""
    done = emotag(*command.split())
    assert (code, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("emotag: ")


def test_tag_prints_the_strongest_emotions_with_percentages() -> None:
    done = emotag("tag", "I'm so excited about this new opportunity!", "--top", "5")
    lines = done.stdout.splitlines()
    assert 6 == len(lines)
    assert "excitement" == lines[1].split()[0]
    assert all(line.endswith(" %") for line in lines[1:])


def test_the_first_use_reports_the_measurement_at_once_and_the_second_one_gives_the_same(tmp_path: Path) -> None:
    """In fp32, without the native engine. The limits are 2 s to the first line and 15 s to the result; a busy test
    machine gets twice as long.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "emotag_worker", "tag", *MEASURED, "--json", "--all", "Thank you!"]
    outputs, notes = [], []
    for _ in range(2):
        began = time.monotonic()
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            notes.append(process.stderr.readline())
            noted_s = time.monotonic() - began
            outputs.append(process.stdout.read())
            assert time.monotonic() - began < 30
        if len(outputs) == 1:
            assert noted_s < 4
    assert notes[0].startswith(b"measuring which engine is fastest")
    assert b"" == notes[1]
    assert outputs[0] == outputs[1]
    assert "Thank you!" == json.loads(outputs[0])["text"]


@pytest.mark.parametrize("moment", ["while it measures", "while it waits for stdin"])
def test_ctrl_c_ends_tag_without_a_traceback(tmp_path: Path, moment: str) -> None:
    measures = moment == "while it measures"
    with subprocess.Popen(
        [sys.executable, "-m", "emotag_worker", "tag", *(MEASURED if measures else NAMED)],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"Thank you!\n")
        process.stdin.flush()
        if measures:
            assert process.stderr.readline().startswith(b"measuring")
        else:
            assert b"Thank you!\n" == process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate()
    assert (128 + signal.SIGINT, b"") == (process.returncode, errors)


def test_tag_reads_lines_and_writes_the_contracts_json() -> None:
    """One object a line, in order; blank lines are no texts; bytes that are no UTF-8 stop nothing."""
    done = emotag(
        "tag", "--json", "--all", *NAMED, stdin="\ufeffThank you!\n\n  \nThat is \udcff.\nThat is disgusting.\r\n"
    )
    assert (0, "") == (done.returncode, done.stderr)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["Thank you!", "That is \ufffd.", "That is disgusting."] == [answer["text"] for answer in found]
    fields = {"text", "emotions", "sentiment", "ekman", "truncated", "scope", "language", "scores", "parts"}
    assert fields == set(found[0])
    assert "gratitude" == found[0]["emotions"][0]["label"]
    assert 28 == len(found[0]["scores"])


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
    assert (2, f"emotag: line 4 is not UTF-8; sent 2 records before it to {topics.input}, none after it\n") == (
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
    assert (0, f"sent 2 records to {topics.input}\n") == (produced.returncode, produced.stderr)
    start_worker(environment)
    Reader(bootstrap_servers, topics).until(2, timeout_s=30)
    followed = emotag("tail", "--json", "--from-beginning", "--idle-s", "3", **environment)
    results = {result["id"]: result for result in map(json.loads, followed.stdout.splitlines())}
    assert 2 == len(results)
    assert "remorse" == results["mine"]["emotions"][0]["label"]
    plain = emotag("tail", "--from-beginning", "--idle-s", "3", **environment)
    assert any(line.startswith("mine  remorse ") for line in plain.stdout.splitlines())


def test_settings_are_shown_and_checked_without_their_secrets() -> None:
    shown = emotag("config", "show", EMOTAG_CACHE__URL="redis://:hunter2@cache/0")
    assert "hunter2" not in shown.stdout
    assert "emotions" == json.loads(shown.stdout)["output"]["topic"]
    checked = emotag("config", "check", EMOTAG_SHUTDOWN_TIMEOUT="3")
    assert (2, "emotag: EMOTAG_SHUTDOWN_TIMEOUT is not a setting; did you mean EMOTAG_SHUTDOWN_TIMEOUT_S?\n") == (
        checked.returncode,
        checked.stderr,
    )
    plain = emotag("config", "check")
    assert (0, "") == (plain.returncode, plain.stderr)
    unkeyed = emotag("config", "check", EMOTAG_CACHE__URL="redis://cache/0")
    assert (0, "the settings are valid\n") == (unkeyed.returncode, unkeyed.stdout)
    assert "EMOTAG_CACHE__HASH_SECRET is not set" in unkeyed.stderr


def test_the_model_says_what_it_is() -> None:
    info = json.loads(emotag("model", "info").stdout)
    assert "emotag-mini" == info["name"]
    assert (28, ["en"]) == (len(info["labels"]), info["languages"])


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
    assert summary["cached"] <= 250 - len(read_sample_texts())


@pytest.mark.timeout(240)
def test_the_demo_uses_servers_that_are_named(bootstrap_servers: str, redis_url: str) -> None:
    """On somebody's own Kafka it uses topics of its own, and takes them away again."""
    environment = {"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers, "EMOTAG_CACHE__URL": redis_url}
    done = emotag("demo", "--messages", "20", "--no-input", **environment)
    assert 0 == done.returncode, done.stderr
    assert "starting Apache Kafka" not in done.stderr
    assert "21 records in: 20 results, 1 dead letter, 0 lost, 0 duplicated" in done.stdout
    assert "✓ Every text has exactly one result" in done.stdout
    assert re.search(r"✗ .*NotJson", done.stdout)
    assert re.search(r"\nNext\n.* tag .*\n.* local ", done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_local_prints_lines_to_paste_and_ends_with_0_when_it_is_stopped(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "emotag_worker", "local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        notes = ""
        while "Ctrl-C in this terminal" not in notes:  # the last note
            notes += process.stderr.readline()
        process.send_signal(number)
        assert 0 == process.wait(30)
        assert "" == process.stderr.read()
    assert lines[0].startswith("export EMOTAG_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:")
    assert lines[1].startswith("export EMOTAG_CACHE__URL=redis://127.0.0.1:")
    assert "In a second terminal, paste these lines:" in notes
    assert re.search(r"-m emotag_worker topics create --partitions 1 && .* -m emotag_worker run\n", notes)


def test_local_ends_with_1_when_one_of_its_servers_ends() -> None:
    """It names the server, and stops the other one."""
    command = [sys.executable, "-m", "emotag_worker", "local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        url = process.stdout.readline().strip().partition("=")[2]
        while "Ctrl-C in this terminal" not in process.stderr.readline():
            pass
        redis.Redis.from_url(url).shutdown(nosave=True)
        assert 1 == process.wait(30)
        message = process.stderr.read()
    assert re.fullmatch(r"emotag: valkey ended unexpectedly with code 0\. .* again with: emotag local\n", message)


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
    assert "records_committed" in events
    assert "worker_stopped" == events[-1]
