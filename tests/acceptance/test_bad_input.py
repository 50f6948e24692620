"""What no producer should send, through a real broker to a real worker."""

import random

import pytest

from tests.conftest import Topics
from tests.mixture import BAD, OTHER_BAD
from tests.stream import Reader, Sent, send

from .conftest import StartWorker

GOOD = b'{"text": "What a wonderful day!"}'
WORDS = [
    "\u202eabc\u202c",
    "👩\u200d👩\u200d👧",
    "e" + "\u0301" * 900,
    "\x00",
    "\ufeff",
    "漢字",
    "\U0010ffff",
    "word" * 2_000,
    "\\ud800",
    '"',
]


def records(count: int, seed: int) -> list[Sent]:
    """Bytes, nearly JSON, odd texts, odd keys, odd headers: always the same."""
    draw = random.Random(seed)
    bad = [*BAD.values(), *OTHER_BAD]
    made = []
    for number in range(count):
        value: bytes | None = GOOD
        match draw.randrange(5):
            case 0:
                value = draw.randbytes(draw.randrange(200))
            case 1:
                value = b'{"text": "%b"}' % "".join(draw.choices(WORDS, k=3)).encode()
            case 2:
                at = draw.randrange(len(GOOD))
                value = GOOD[:at] + draw.randbytes(1) + GOOD[at + draw.randrange(3) :]
            case 3:
                value = bad[number % len(bad)].value
        key = draw.choice([None, b"", b"k", b"\xff\x00", b"k" * 3_000])
        names = ["", "a", "ce_id", "traceparent", "ü", "x" * 500]
        sizes = [0, 1, 30, 60_000]
        headers: list[tuple[str, bytes | None]] = [
            (draw.choice(names), draw.choice([None, draw.randbytes(draw.choice(sizes))]))
            for _ in range(draw.randrange(4))
        ]
        made.append(Sent(value, key=key, headers=headers, timestamp_ms=draw.choice([1, 1_000, 1_700_000_000_000])))
    return made


@pytest.mark.timeout(180)
def test_whatever_is_sent_each_record_gets_one_answer(
    bootstrap_servers: str, topics: Topics, start_worker: StartWorker
) -> None:
    """And a dead letter is what was sent, byte for byte; what is good beside it is tagged."""
    placed = send(bootstrap_servers, topics.input, records(400, seed=7))
    start_worker({**topics.environment(bootstrap_servers), "EMOTAG_DLQ__MAX_RATIO": "1"})
    reader = Reader(bootstrap_servers, topics)
    read = reader.until(400, timeout_s=90)
    reader.close()
    assert dict.fromkeys(placed, 1) == read.times()
    for place, (dead,) in read.dead.items():
        assert (placed[place].value, placed[place].key) == (dead.value(), dead.key())
    assert {place for place, sent in placed.items() if sent.value == GOOD} <= set(read.results)
