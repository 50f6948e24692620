"""Records like those of a real topic: good ones, repeats, and every kind of bad one."""

import itertools
import random

from emotag_worker.local.demo_records import read_sample_texts
from tests.stream import Sent, text

BAD = {
    "Tombstone": Sent(None),
    "NotUtf8": Sent(b'{"text": "\xff\xfe"}'),
    "NotJson": Sent(b'{"text": "unfinished'),
    "WrongType": Sent(b'{"text": 5}'),
    "NoText": Sent(b'{"words": "none"}'),
    "TooDeep": Sent(b'{"text": "deep", "metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}"),
    "ValueTooLarge": Sent(b'{"text": "' + b"a" * 1_100_000 + b'"}'),
    "MetadataTooLarge": Sent(b'{"text": "fine", "metadata": {"a": "' + b"a" * 70_000 + b'"}}'),
    "HeadersTooLarge": Sent(b'{"text": "fine"}', headers=[("token", b"a" * 70_000)]),
}
"""{reason: a record that is refused for it}, for every reason."""

OTHER_BAD = [
    Sent(b""),
    Sent(b"   "),
    Sent(b"[]"),
    Sent(b'"text"'),
    Sent(b'{"text": ""}'),
    Sent(b'{"text": " \\n\\t "}'),
    Sent(b'{"text": null}'),
    Sent(b'{"text": "a", "id": true}'),
    Sent(b'{"text": "a", "metadata": 1e999}'),
    Sent(b'{"text": NaN}'),
    Sent(b'{"text": "\\ud800"}'),
]


def mixture(count: int, seed: int) -> list[Sent]:
    """*count* records: repeated and new texts, one in twenty of them bad in some way, one of 900 KB."""
    rng = random.Random(seed)
    samples = read_sample_texts()
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
