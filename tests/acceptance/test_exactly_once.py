"""The promise of the project: each input once, through crashes. The real process, killed by the real signal."""

import itertools
import os
import signal

import pytest

from emotag_worker.local.demo_records import read_sample_texts
from tests.conftest import Topics
from tests.mixture import BAD, OTHER_BAD, mixture
from tests.stream import Reader, Sent, headers_of, read_until, send, text

from .conftest import StartWorker


@pytest.mark.timeout(420)
def test_every_record_is_answered_once_though_the_worker_is_killed_five_times(
    bootstrap_servers: str,
    redis_url: str,
    topics: Topics,
    start_worker: StartWorker,
) -> None:
    """5,000 mixed records, five times kill -9: exactly one result or one dead letter each, for read_committed."""
    placed = send(bootstrap_servers, topics.input, mixture(5000, seed=1))
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_CACHE__URL": redis_url,
        # With a static identity, the restarted worker gets its partitions back and ends its open transaction at once.
        "EMOTAG_KAFKA__PROPERTIES": '{"group.instance.id": "one"}',
        "EMOTAG_BATCH__MAX_RECORDS": "64",
    }
    worker = start_worker(environment)
    reader = Reader(bootstrap_servers, topics)
    for kill in range(1, 6):
        while reader.read.answered < 5000 * kill // 7:
            reader.take(1.0)
        worker.kill()
        worker.start()
    read = reader.until(5000, timeout_s=180)
    reader.close()

    assert 5000 == len(placed)
    assert dict.fromkeys(placed, 1) == read.times()
    for place, messages in read.dead.items():
        sent, dead = placed[place], messages[0]
        assert sent.value == dead.value()
        assert sent.key == dead.key()
    refused = {place for place, sent in placed.items() if sent in (*BAD.values(), *OTHER_BAD)}
    assert refused == set(read.dead)
    parsed = read.parsed()
    long = next(place for place, sent in placed.items() if sent.value and len(sent.value) > 800_000 and place in parsed)
    assert parsed[long].truncated
    worker.stop()


@pytest.mark.timeout(240)
def test_a_second_run_of_the_same_texts_computes_nothing_and_says_the_same(
    bootstrap_servers: str,
    redis_url: str,
    topics: Topics,
    start_worker: StartWorker,
) -> None:
    """500 texts twice, the worker restarted in between: the second time every result comes from the cache."""
    texts = [
        text(f"{words} {number}")
        for number, words in zip(range(500), itertools.cycle(read_sample_texts()), strict=False)
    ]
    environment = {
        **topics.environment(bootstrap_servers),
        "EMOTAG_CACHE__URL": redis_url,
        "EMOTAG_CACHE__HASH_SECRET": topics.group,  # ignore the entries of other tests
        "EMOTAG_CACHE__TIMEOUT_MS": "1000",  # other tests share the cores
    }
    first_places = send(bootstrap_servers, topics.input, texts)
    reader = Reader(bootstrap_servers, topics)
    worker = start_worker(environment)
    reader.until(500, timeout_s=120)
    worker.stop()
    second_places = send(bootstrap_servers, topics.input, texts)
    worker.start()
    parsed = reader.until(1000, timeout_s=120).parsed()
    reader.close()

    assert [parsed[place].cached for place in first_places] == [False] * 500
    assert [parsed[place].cached for place in second_places] == [True] * 500
    said = {first_places[place].value: parsed[place].emotions for place in first_places}
    assert {second_places[place].value: parsed[place].emotions for place in second_places} == said
    status, metrics = worker.get("/metrics")
    assert 200 == status
    assert 'emotag_results_total{source="cache"} 500.0' in metrics
    assert 'emotag_results_total{source="computed"} 0.0' in metrics


@pytest.mark.timeout(240)
def test_a_text_that_comes_again_is_not_computed_again_without_redis(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Each worker remembers the texts of its last batches."""
    texts = [text(f"I am happy {number}") for number in range(100)]
    reader = Reader(bootstrap_servers, topics)
    worker = start_worker(topics.environment(bootstrap_servers))
    first_places = send(bootstrap_servers, topics.input, texts)
    reader.until(100, timeout_s=120)
    second_places = send(bootstrap_servers, topics.input, texts)
    parsed = reader.until(200, timeout_s=120).parsed()
    reader.close()
    assert [False] * 100 == [parsed[place].cached for place in first_places]
    assert [True] * 100 == [parsed[place].cached for place in second_places]
    said = {first_places[place].value: parsed[place].emotions for place in first_places}
    assert {second_places[place].value: parsed[place].emotions for place in second_places} == said
    assert 'emotag_cache_lookups_total{outcome="memory"} 100.0' in worker.get("/metrics")[1]


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_next_worker_goes_on_where_it_ended(
    bootstrap_servers: str,
    topics: Topics,
    start_worker: StartWorker,
    stop_signal: signal.Signals,
) -> None:
    """SIGTERM and SIGINT: the batch in hand is committed, the group is left, the exit code is 0."""
    placed = send(bootstrap_servers, topics.input, [text(f"I am happy {number}") for number in range(1500)])
    worker = start_worker({**topics.environment(bootstrap_servers), "EMOTAG_BATCH__MAX_RECORDS": "32"})
    reader = Reader(bootstrap_servers, topics)
    while reader.read.answered < 100:
        reader.take(1.0)
    os.kill(worker.pid, stop_signal)
    code = worker.wait(30)
    while reader.take(0.7):
        pass
    done = reader.read.answered
    worker.start()
    read = reader.until(1500, timeout_s=60)
    reader.close()

    assert 0 == code
    assert 100 <= done < 1500
    assert dict.fromkeys(placed, 1) == read.times()


def test_a_result_carries_key_headers_timestamp_and_metadata_of_its_record(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """All promises about the output topic, on one record that has every part."""
    traceparent = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    sent = Sent(
        b'{"text": "What a wonderful day, thank you!", "id": "m-1", "metadata": {"b": [1.5, null], "a": "\xc3\xa9"}}',
        key=b"user-7",
        headers=[traceparent, ("tenant", b"\x00\xff"), ("none", None), ("ce_id", b"of the input"), ("tenant", b"2")],
    )
    send(bootstrap_servers, topics.input, [sent])
    precision = {"EMOTAG_MODEL__ENGINE": "native", "EMOTAG_MODEL__PRECISION": "int8"}
    start_worker({**topics.environment(bootstrap_servers), **precision, "EMOTAG_OUTPUT__ALL_SCORES": "true"})
    read = read_until(bootstrap_servers, topics, 1, timeout_s=30)

    ((place, messages),) = read.results.items()
    message, result = messages[0], read.parsed()[place]
    assert b"user-7" == message.key()
    assert sent.timestamp_ms == message.timestamp()[1]
    headers = headers_of(message)
    assert [traceparent, ("tenant", b"\x00\xff"), ("none", None), ("tenant", b"2")] == list(headers[:4])
    assert [("ce_specversion", b"1.0"), ("ce_id", b"m-1")] == list(headers[4:6])
    assert "m-1" == result.id
    assert {"b": [1.5, None], "a": "é"} == result.metadata
    assert "gratitude" in {emotion.label for emotion in result.emotions}
    assert "positive" == result.sentiment
    assert ("joy",) == result.ekman
    assert result.scores is not None
    assert 28 == len(result.scores)
    assert not result.cached
    assert ("emotag-mini", "int8") == (result.model.name, result.model.precision)


def test_a_dead_letter_carries_its_record_unchanged_and_says_why(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """Every kind of bad record: the original bytes and headers, then headers with the reason, which contain no text."""
    own = [("tenant", b"a"), ("tenant", b"b"), ("none", None)]
    sent = [Sent(bad.value, key=reason.encode(), headers=[*own, *bad.headers]) for reason, bad in BAD.items()]
    send(bootstrap_servers, topics.input, sent)
    start_worker(topics.environment(bootstrap_servers))
    read = read_until(bootstrap_servers, topics, len(BAD), timeout_s=30)

    found = {messages[0].key(): messages[0] for messages in read.dead.values()}
    assert {reason.encode() for reason in BAD} == set(found)
    for record in sent:
        dead = found[record.key]
        headers = headers_of(dead)
        assert record.value == dead.value()
        assert record.timestamp_ms == dead.timestamp()[1]
        kept = len(record.headers)
        assert record.headers == list(headers[:kept])
        reasons = dict(headers[kept:])
        assert record.key == reasons["__connect.errors.exception.class.name"]
        assert topics.group.encode() == reasons["emotag.errors.consumer.group"]
        assert b"unfinished" not in (reasons["__connect.errors.exception.message"] or b"")
