"""The same messages give the same results, whichever workers tag them."""

import uuid
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient

from emotag_worker.local import LocalWorker
from tests.acceptance.conftest import StartWorker, create_worker, start_worker  # noqa: F401  (fixtures)
from tests.conftest import Topics, create_topics
from tests.mixture import mixture
from tests.stream import Place, Reader, Sent, send

Said = dict[bytes, tuple[tuple[str, ...], dict[str, float]] | str]
"""Map the value of a record to its labels and scores, or to the fact that it was refused."""

WAYS: dict[str, tuple[int, dict[str, str]]] = {
    "one worker, small batches": (1, {"EMOTAG_BATCH__MAX_RECORDS": "7"}),
    "two workers, a cache": (2, {"EMOTAG_BATCH__MAX_RECORDS": "64"}),
    "four workers, large batches, their own memory": (4, {}),
}


@pytest.mark.timeout(300)
def test_one_two_or_four_workers_with_and_without_a_cache_say_the_same(
    bootstrap_servers: str,
    redis_url: str,
    admin: AdminClient,
    start_worker: Callable[[dict[str, str]], LocalWorker],  # noqa: F811
) -> None:
    """Emotions and scores are equal to the last digit, whatever the batches; one run restarts half-way."""
    records = [sent for sent in mixture(400, seed=11) if sent.value and len(sent.value) < 100_000]
    said = {}
    for way, (count, settings) in WAYS.items():
        topics = create_topics(admin)
        cached = {"EMOTAG_CACHE__MEMORY_ENTRIES": "100" if "memory" in way else "0"}
        if "a cache" in way:
            cached |= {"EMOTAG_CACHE__URL": redis_url, "EMOTAG_CACHE__HASH_SECRET": uuid.uuid4().hex}
        environment = {**topics.environment(bootstrap_servers), **settings, **cached, "EMOTAG_OUTPUT__ALL_SCORES": "1"}
        said[way] = _run(bootstrap_servers, topics, records, [environment] * count, start_worker)
    first, *others = said.values()
    for other in others:
        assert first == other


def _run(
    bootstrap_servers: str, topics: Topics, records: list[Sent], environments: list[dict[str, str]], start: StartWorker
) -> Said:
    placed = send(bootstrap_servers, topics.input, records)
    workers = [start(environment) for environment in environments]
    reader = Reader(bootstrap_servers, topics)
    if len(workers) == 1:
        while reader.read.answered < len(placed) // 2:
            reader.take(1.0)
        workers[0].stop()
        workers[0].start()
    read = reader.until(len(placed), timeout_s=90)
    reader.close()
    for worker in workers:
        worker.stop()
    assert dict.fromkeys(placed, 1) == read.times()
    parsed = read.parsed()

    def answer(place: Place) -> tuple[tuple[str, ...], dict[str, float]] | str:
        if place not in parsed:
            return "refused"
        found = parsed[place]
        assert found.scores is not None
        return tuple(sorted(emotion.label for emotion in found.emotions)), dict(found.scores)

    return {sent.value or b"": answer(place) for place, sent in placed.items()}
