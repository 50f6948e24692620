"""Provoked mistakes: one plain message on stderr, the exit code of the one table, and a remedy that works."""

import io
import json
import logging
import shlex
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker import cli
from tests.conftest import Topics
from tests.mistakes import ARGUMENTS, BROKER, COMMANDS, CREATE, FILES, OUTAGES, SETTINGS, Mistake, write_files
from tests.security.certificates import Authority
from tests.security.tls_proxy import tls_in_front_of

from .test_commands import emotag as start_emotag

CLOSED = "127.0.0.1:1"


class Done(NamedTuple):
    """The end of a command."""

    code: object
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    write_files(folder)
    return folder


@pytest.fixture
def emotag(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in this process, which saves the start and the imports."""

    def run(command: str, environment: Mapping[str, str], stdin: bytes = b"") -> Done:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["emotag", *shlex.split(command)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        return Done(ended.value.code, *capsys.readouterr())

    handlers = list(logging.getLogger("librdkafka").handlers)
    yield run
    logging.getLogger("librdkafka").handlers[:] = handlers


def check(done: Done, mistake: Mistake, **names: object) -> None:
    assert mistake.code == done.code, done.err
    (line,) = done.err.splitlines()
    assert line.startswith("emotag: ")
    assert [] == [part for part in mistake.parts if part.format(**names) not in line], line
    assert "hunter2" not in line
    assert "1 records" not in line


def name(value: object) -> str:
    return value.command if isinstance(value, Mistake) else ""


def test_the_table_is_large_enough() -> None:
    tables = (ARGUMENTS, SETTINGS, FILES, OUTAGES, BROKER)
    assert sum(len(table) for table in tables) >= 80


@pytest.mark.parametrize("mistake", [*ARGUMENTS, *SETTINGS, *FILES], ids=name)
def test_a_mistake_is_one_line_with_its_value_and_its_code(mistake: Mistake, emotag: Run, files: Path) -> None:
    done = emotag(mistake.command.format(files=files), mistake.environment, mistake.stdin)
    assert 2 == mistake.code
    check(done, mistake, files=files)


@pytest.mark.parametrize("mistake", OUTAGES, ids=name)
def test_an_address_without_a_broker_is_named_with_the_cause_and_the_remedy(mistake: Mistake, emotag: Run) -> None:
    environment = {"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": CLOSED, "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "1"}
    check(emotag(mistake.command, {**environment, **mistake.environment}, mistake.stdin), mistake)


@pytest.mark.parametrize("mistake", BROKER, ids=name)
def test_a_mistake_that_the_broker_notices_is_one_line_too(
    mistake: Mistake, emotag: Run, files: Path, bootstrap_servers: str, topics: Topics
) -> None:
    names = {"files": files, "output": topics.output, "mistyped": topics.output.replace("emotions", "emotoins")}
    environment = {**topics.environment(bootstrap_servers), "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "5"}
    done = emotag(mistake.command.format(**names), {**environment, **mistake.environment}, mistake.stdin)
    check(done, mistake, **names)
    if "did you mean" in done.err:
        assert "create" not in done.err


def test_a_listener_with_tls_and_one_that_is_no_broker_are_told_apart_from_silence(
    emotag: Run, bootstrap_servers: str, tmp_path: Path
) -> None:
    certificate = Authority(tmp_path, "authority").sign("broker", "127.0.0.1")
    with tls_in_front_of(int(bootstrap_servers.rpartition(":")[2]), certificate) as port:
        at = {"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}", "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "3"}
        check(emotag("lag", at), Mistake("lag", 1, (f"127.0.0.1:{port}", "may require TLS", "SASL_SSL")))
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        at["EMOTAG_KAFKA__BOOTSTRAP_SERVERS"] = f"127.0.0.1:{silent.getsockname()[1]}"
        at["EMOTAG_KAFKA__BROKER_TIMEOUT_S"] = "1"
        check(emotag("lag", at), Mistake("lag", 1, ("no answer", "EMOTAG_KAFKA__BOOTSTRAP_SERVERS")))


@pytest.mark.parametrize(
    ("settings", "code", "parts"),
    [
        (f"--set kafka.bootstrap_servers={CLOSED}", 1, ("cannot reach Kafka at 127.0.0.1:1", "connection refused")),
        ("--set input.topic=Unmade --set admin.port=0", 2, ("no such topic: Unmade (EMOTAG_INPUT__TOPIC)", CREATE)),
        ("--set admin.host=192.0.2.1", 2, ("192.0.2.1:", "EMOTAG_ADMIN__HOST", "not on this machine")),
        ("--set admin.port={port} --set admin.host=127.0.0.1", 1, ("127.0.0.1:{port}", "EMOTAG_ADMIN__PORT", "in use")),
    ],
    ids=["broker down", "topic missing", "host elsewhere", "port in use"],
)
def test_a_worker_that_cannot_start_ends_with_the_same_message_in_its_log(
    settings: str, code: int, parts: tuple[str, ...], bootstrap_servers: str, topics: Topics
) -> None:
    """A real process: `run` reports in its log, not on stderr."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        environment = {**topics.environment(bootstrap_servers), "EMOTAG_KAFKA__BROKER_TIMEOUT_S": "3"}
        environment |= {"EMOTAG_LOG__FORMAT": "json", "EMOTAG_ADMIN__PORT": "0"}
        done = start_emotag("run", *settings.format(port=port).split(), **environment)
    assert code == done.returncode
    last = json.loads((done.stdout + done.stderr).splitlines()[-1])
    assert ("worker_stopped", code) == (last["event"], last["exit_code"])
    assert [] == [part for part in parts if part.format(port=port) not in last["reason"]], last["reason"]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS[:3])
def test_the_remedy_for_a_missing_topic_works(
    command: str, emotag: Run, bootstrap_servers: str, topics: Topics, admin: AdminClient
) -> None:
    """Run the command that the message names, then the same command again."""
    # Names that resemble no other topic's, or the message would suggest that one.
    unmade = [uuid.uuid4().hex for _ in range(3)]
    variables = ("EMOTAG_INPUT__TOPIC", "EMOTAG_OUTPUT__TOPIC", "EMOTAG_DLQ__TOPIC")
    fresh = topics.environment(bootstrap_servers) | dict(zip(variables, unmade, strict=True))
    command += " --idle-s 0.1" if command == "tail" else ""
    refused = emotag(command, fresh, b"so happy\n")
    assert 2 == refused.code
    remedy = refused.err.strip().rpartition(": ")[2]
    assert remedy.startswith(CREATE)
    assert 0 == emotag(remedy.removeprefix("emotag "), fresh).code
    again = emotag(command, fresh, b"so happy\n")
    for future in admin.delete_topics(unmade).values():
        future.result()
    assert 0 == again.code, again.err


def test_the_suggested_topic_works(emotag: Run, bootstrap_servers: str, topics: Topics) -> None:
    environment = topics.environment(bootstrap_servers)
    refused = emotag("tail --idle-s 0.1", environment | {"EMOTAG_OUTPUT__TOPIC": topics.output + "s"})
    suggested = refused.err.strip().rpartition("did you mean ")[2].removesuffix("?")
    assert topics.output == suggested
    assert 0 == emotag("tail --idle-s 0.1", environment | {"EMOTAG_OUTPUT__TOPIC": suggested}).code


def test_a_replay_without_a_terminal_works_with_the_option_that_it_names(
    emotag: Run, bootstrap_servers: str, topics: Topics
) -> None:
    environment = topics.environment(bootstrap_servers)
    refused = emotag("dlq replay", environment)
    assert "--yes" in refused.err
    assert 0 == emotag("dlq replay --yes", environment).code


def test_counts_are_right_for_one_and_for_none(emotag: Run, bootstrap_servers: str, topics: Topics) -> None:
    environment = topics.environment(bootstrap_servers)
    assert (0, "", f"sent 1 record to {topics.input}\n") == emotag("produce -", environment, b"so happy\n")
    assert (0, "", f"sent 2 records to {topics.input}\n") == emotag("produce -", environment, b"a\nb\n")
    assert (0, "", f"0 dead letters in {topics.dlq}\n") == emotag("dlq list", environment)


def test_ctrl_c_prints_no_traceback_at_any_moment_of_the_start() -> None:
    """The first moment is inside `main`, when it imports the commands: Python itself reports an earlier Ctrl-C."""
    program = """
import sys
from emotag_worker.cli import main

class Told:
    def find_spec(self, name, *_):
        if name == "emotag_worker.cli.commands":
            print(1, flush=True)

sys.meta_path.insert(0, Told())
sys.argv[1:] = ["tail"]
main()
"""
    for delay_s in (0.0, 0.1, 0.3):
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "1\n" == process.stdout.readline()
            try:
                process.wait(delay_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            assert process.wait(30) in (0, 130, -signal.SIGINT)  # 0 once it waits for results
            said = process.stderr.read()
        assert "Traceback" not in said
