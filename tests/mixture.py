"""Records as a topic has them: good ones, repeated ones, and every kind of bad one."""

import itertools
import random

from tests.stream import Sent, text
from worker.demo import sample_texts

BAD = {
    "Tombstone": Sent(None),
    "NotUtf8": Sent(b'{"text": "\xff\xfe"}'),
    "NotJson": Sent(b'{"text": "unfinished'),
    "WrongType": Sent(b'{"text": 5}'),
    "NoText": Sent(b'{"words": "none"}'),
    "TooDeep": Sent(b'{"text": "deep", "metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}"),
    "ValueTooLarge": Sent(b'{"text": "' + b"a" * 1_100_000 + b'"}'),
    "MetadataTooLarge": Sent(b'{"text": "fine", "metadata": {"a": "' + b"a" * 70_000 + b'"}}'),
}
"""One of every kind of record that cannot be tagged, by the reason it is refused for."""

OTHER_BAD = [
    Sent(b""),
    Sent(b"   "),
    Sent(b"[]"),
    Sent(b'"text"'),
    Sent(b'{"text": ""}'),
    Sent(b'{"text": " \\n\\t "}'),
    Sent(b'{"text": null}'),
    Sent(b'{"text": "a", "id": 7}'),
    Sent(b'{"text": "a", "metadata": []}'),
    Sent(b'{"text": NaN}'),
    Sent(b'{"text": "\\ud800"}'),
]


def mixture(count: int, seed: int) -> list[Sent]:
    """*count* records: repeated and new texts, one in twenty of them bad in some way, one of 900 KB."""
    rng = random.Random(seed)
    samples = sample_texts()
    bad = itertools.cycle([*BAD.values(), *OTHER_BAD])
    records = [text("word " * 180_000)]
    for number in range(count - 1):
        if number % 20 == 7:
            records.append(next(bad))
        elif rng.random() < 0.5:
            records.append(text(rng.choice(samples), id=f"m{number}"))
        else:
            records.append(text(f"{rng.choice(samples)} {number}", key=f"k{number % 50}".encode()))
    rng.shuffle(records)
    return records
