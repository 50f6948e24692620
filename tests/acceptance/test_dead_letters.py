"""The operator's commands: list dead letters and put them back."""

import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from emotag_worker.errors import BadRecord, DeviceRejected, NoText, NotJson
from emotag_worker.wire.encode import RecordEncoder
from emotag_worker.wire.record import Record
from tests.conftest import QUIET, Topics
from tests.stream import Reader, Sent, header_map, headers_of, send, text

from .conftest import StartWorker
from .test_commands import emotag

NOT_JSON, NO_TEXT, REJECTED = NotJson("why"), NoText("text", "missing"), DeviceRejected(ValueError())


def letters(
    topics: Topics, errors: Sequence[BadRecord], *, age: timedelta = timedelta(), group: str = "", attempts: int = 1
) -> list[Sent]:
    """Return a dead letter for each of *errors*, each with a different text."""
    encoder = RecordEncoder({}, topics.output, topics.dlq, group or topics.group, "1")
    made = []
    for number, error in enumerate(errors):
        own = [("tenant", b"a"), *([("emotag.errors.attempts", b"%d" % (attempts - 1))] if attempts > 1 else [])]
        record = Record(topics.input, 0, number, b"k%d" % number, b'{"text": "hunter2 %d"}' % number, own, 1)
        letter = encoder.encode_dead_letter(record, error, datetime.now(UTC) - age)
        made.append(Sent(letter.value, letter.key, letter.headers))
    return made


def lying_in(bootstrap_servers: str, topic: str, partitions: int, *, most: int | None = None) -> Iterator[Message]:
    """Return the committed records of a topic, to its end or up to a number."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"{topic}-looking",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        },
        logger=QUIET,
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    ended, seen = 0, 0
    while (ended < partitions and most is None) or (most is not None and seen < most):
        message = consumer.poll(20)
        assert message is not None
        if message.error() is None:
            seen += 1
            yield message
        else:
            ended += 1
    consumer.close()


def put_back(bootstrap_servers: str, topics: Topics) -> Counter[bytes | None]:
    """Count each value in the input topic."""
    return Counter(message.value() for message in lying_in(bootstrap_servers, topics.input, topics.partitions))


def replay(bootstrap_servers: str, topics: Topics, *arguments: str, code: int = 0, **environment: str) -> str:
    """Return the output of a replay; if it fails, this is one line."""
    done = emotag("dlq", "replay", *arguments, **topics.environment(bootstrap_servers), **environment)
    assert code == done.returncode, done.stderr
    assert (1 if code else 0) == len(done.stderr.splitlines()), done.stderr
    return done.stderr if code else done.stdout


def list_states(bootstrap_servers: str, topics: Topics) -> list[str]:
    """Return the states of all dead letters, sorted."""
    listed = emotag("dlq", "list", "--json", **topics.environment(bootstrap_servers))
    assert (0, "") == (listed.returncode, listed.stderr)
    return sorted(json.loads(line)["state"] for line in listed.stdout.splitlines())


def test_the_list_says_where_since_when_and_why_and_no_text(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """For people and machines; texts only with `--show-texts`."""
    bad = [Sent(b'{"text": "hunter2', b"secret"), Sent(b'{"text": ""}'), Sent(None), Sent(b"hunter2 \xff")]
    placed = send(bootstrap_servers, topics.input, bad)
    environment = topics.environment(bootstrap_servers)
    worker = start_worker(environment)
    Reader(bootstrap_servers, topics).until(len(bad), timeout_s=30)
    worker.stop()

    found = emotag("dlq", "list", "--json", **environment)
    assert (0, "") == (found.returncode, found.stderr)
    listed = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(bad) == len(listed)
    assert set(placed) == {(each["input"]["partition"], each["input"]["offset"]) for each in listed}
    assert {"NotJson": 1, "NoText": 1, "Tombstone": 1, "NotUtf8": 1} == Counter(each["reason"] for each in listed)
    assert {("decode", 1, topics.group)} == {(each["stage"], each["attempts"], each["group"]) for each in listed}
    assert {"open"} == {each["state"] for each in listed}
    for each in listed:
        assert abs(datetime.fromisoformat(each["failed_at"]) - datetime.now(UTC)) < timedelta(minutes=5)

    plain = emotag("dlq", "list", "--reason", "NotJson", **environment)
    _, line = plain.stdout.splitlines()
    ((partition, offset),) = [place for place, sent in placed.items() if sent is bad[0]]
    assert f"{topics.input}-{partition}@{offset}" in line
    assert "hunter2" not in found.stdout + plain.stdout
    assert "secret" not in found.stdout + plain.stdout

    shown = emotag("dlq", "list", "--json", "--show-texts", **environment).stdout.splitlines()
    told = {each["reason"]: each for each in map(json.loads, shown)}
    assert ('{"text": "hunter2', "secret") == (told["NotJson"]["value"], told["NotJson"]["key"])
    assert told["Tombstone"]["value"] is None
    assert "aHVudGVyMiD/" == told["NotUtf8"]["value_base64"]
    assert "hunter2" in emotag("dlq", "list", "--show-texts", **environment).stdout
    assert 3 == len(emotag("dlq", "list", "--limit", "2", **environment).stdout.splitlines())  # with the header


def test_a_record_that_is_no_dead_letter_is_listed_as_that_and_stays(bootstrap_servers: str, topics: Topics) -> None:
    """With any content: no headers, corrupt headers, escape sequences, bytes that are not UTF-8."""
    forged = [(name, b"\x1b[2J") for name, _ in letters(topics, [NOT_JSON])[0].headers]
    send(bootstrap_servers, topics.dlq, [Sent(b"\xff"), Sent(b"a", headers=forged), Sent(None)])
    done = emotag("dlq", "list", "--show-texts", **topics.environment(bootstrap_servers))
    assert (0, 3) == (done.returncode, done.stdout.count("not a dead letter of emotag"))
    assert "\x1b" not in done.stdout
    assert "3 left: not dead letters of emotag" in replay(bootstrap_servers, topics, "--yes")
    assert not put_back(bootstrap_servers, topics)


@pytest.mark.timeout(240)
def test_what_is_put_back_after_a_fix_is_tagged_as_if_nothing_had_been(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """The result has the producer's key, headers and timestamp. A record that is refused again counts its attempts."""
    own = [("tenant", b"\x00\xff"), ("none", None)]
    good = [Sent(b'{"text": "What a wonderful day %d!"}' % number, b"k%d" % number, own) for number in range(5)]
    hopeless = Sent(b'{"text": "unfinished', b"hopeless", own)
    first = send(bootstrap_servers, topics.input, [*good, hopeless])
    environment = topics.environment(bootstrap_servers)
    reader = Reader(bootstrap_servers, topics)
    worker = start_worker({**environment, "EMOTAG_INPUT__TEXT_PATH": "body"})
    assert 6 == len(reader.until(6, timeout_s=30).dead)
    worker.stop()
    worker = start_worker(environment)

    dry = replay(bootstrap_servers, topics, "--dry-run")
    assert f"6 to put back on {topics.input}" == dry.splitlines()[0]
    assert ["NoText", "5"] == dry.splitlines()[1].split()
    assert 6 == sum(put_back(bootstrap_servers, topics).values())
    said = replay(bootstrap_servers, topics, "--yes")
    assert f"6 put back on {topics.input}" == said.splitlines()[0]
    read = reader.until(12, timeout_s=30)
    reader.close()

    assert 12 == sum(read.times().values())
    results = {messages[0].key(): messages[0] for messages in read.results.values()}
    assert {sent.key for sent in good} == set(results)
    for sent in good:
        message = results[sent.key]
        assert sent.timestamp_ms == message.timestamp()[1]
        assert own == list(headers_of(message)[:2])
        assert "ce_specversion" == headers_of(message)[2][0]
    (again,) = [messages[0] for place, messages in read.dead.items() if place not in first]
    assert (hopeless.key, hopeless.value, hopeless.timestamp_ms) == (again.key(), again.value(), again.timestamp()[1])
    assert own == list(headers_of(again)[:2])
    assert 2 + 11 == len(headers_of(again))
    assert "2" == header_map(again)["emotag.errors.attempts"]


def test_a_second_replay_puts_back_only_what_is_new(bootstrap_servers: str, topics: Topics) -> None:
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON] * 10))
    assert "10 put back" in replay(bootstrap_servers, topics, "--yes")
    assert "0 put back" in replay(bootstrap_servers, topics, "--yes")
    assert {1} == set(put_back(bootstrap_servers, topics).values())
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON] * 3))
    assert ["done"] * 10 + ["open"] * 3 == list_states(bootstrap_servers, topics)
    assert "3 put back" in replay(bootstrap_servers, topics, "--yes")
    assert ["done"] * 13 == list_states(bootstrap_servers, topics)
    assert [2] * 3 + [1] * 7 == sorted(put_back(bootstrap_servers, topics).values(), reverse=True)


def test_what_kafka_may_have_forgotten_is_not_put_back_unless_it_is_said(
    bootstrap_servers: str, topics: Topics
) -> None:
    """Brokers delete a group's offsets after a week: then it is unknown if older letters were put back."""
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON], age=timedelta(days=8)))
    for arguments in ([], ["--reason", "NotJson"], ["--reason", "NoText"]):
        assert "--from beginning" in replay(bootstrap_servers, topics, "--yes", *arguments, code=2)
    assert not put_back(bootstrap_servers, topics)
    assert "1 put back" in replay(bootstrap_servers, topics, "--yes", "--from", "beginning")
    assert "0 put back" in replay(bootstrap_servers, topics, "--yes")


def test_on_a_terminal_the_list_ends_with_a_sum_and_a_replay_asks(bootstrap_servers: str, topics: Topics) -> None:
    """If the answer is no, nothing is put back."""
    send(bootstrap_servers, topics.dlq, letters(topics, [NOT_JSON, NOT_JSON, NO_TEXT]))

    def typed(command: str, answer: str = "") -> str:
        ours, theirs = pty.openpty()
        environment = {**os.environ, **topics.environment(bootstrap_servers)}
        arguments = [sys.executable, "-m", "emotag_worker", "dlq", command]
        with subprocess.Popen(arguments, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.write(ours, answer.encode())
            assert 0 == process.wait(60)
        said = os.read(ours, 10_000).decode()
        os.close(ours)
        os.close(theirs)
        return said

    assert [f"3 dead letters in {topics.dlq}", "  NotJson                  2", "  NoText                   1"] == typed(
        "list"
    ).splitlines()[4:]
    assert "nothing was put back" in typed("replay", "n\n")
    assert not put_back(bootstrap_servers, topics)
    assert "3 put back" in typed("replay", "y\n")
    assert 3 == sum(put_back(bootstrap_servers, topics).values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("replay --yes --from 99:0", "has no partition 99"),
        ("list --set dlq.topic=nowhere", "no such topic: nowhere"),
        ("replay --yes --set dlq.topic=nowhere", "no such topic: nowhere"),
        ("replay --yes --set input.topic=nowhere", "no such topic: nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(bootstrap_servers: str, topics: Topics, arguments: str, message: str) -> None:
    done = emotag("dlq", *arguments.split(), **topics.environment(bootstrap_servers))
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert message in done.stderr


def test_the_lag_is_what_the_group_has_still_to_do(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Before the first commit the lag is not 0. Afterwards it is 0, then the number of new records."""

    def lag() -> tuple[list[dict[str, int | None]], dict[str, object]]:
        done = emotag("lag", "--json", **topics.environment(bootstrap_servers))
        assert (0, "") == (done.returncode, done.stderr)
        *partitions, total = map(json.loads, done.stdout.splitlines())
        return partitions, total

    placed = send(bootstrap_servers, topics.input, [text(f"so happy {number}") for number in range(20)])
    partitions, total = lag()
    assert [(number, None) for number in range(4)] == [(each["partition"], each["committed"]) for each in partitions]
    assert [each["end"] for each in partitions] == [each["lag"] for each in partitions]
    assert {"topic": topics.input, "group": topics.group, "lag": len(placed), "uncommitted_partitions": 4} == total
    plain = emotag("lag", **topics.environment(bootstrap_servers)).stdout
    assert "the group has committed nothing in this partition yet" in plain

    worker = start_worker(topics.environment(bootstrap_servers))
    Reader(bootstrap_servers, topics).until(len(placed), timeout_s=30)
    worker.stop()
    partitions, total = lag()
    assert 0 == total["lag"]
    done = {partition for partition, _ in placed}
    assert {0} == {each["lag"] for each in partitions if each["partition"] in done}
    send(bootstrap_servers, topics.input, [Sent(b"{}", key=b"one")] * 7)
    partitions, total = lag()
    assert 7 == sum(each["end"] or 0 for each in partitions) - len(placed)
    assert 7 == total["lag"] == max(each["lag"] or 0 for each in partitions)
