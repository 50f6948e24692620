"""What is wrong in labelled texts, by rows and labels."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from emotag_training.data.audit import Conflict, LabelCount, Suspect, audit, find_suspects
from emotag_training.data.table import Labelled

ROWS = [
    ("Good day", ("joy",)),
    ("good  DAY", ("joy",)),
    ("Good day", ("joy", "calm")),
    ("", ()),
    ("bad", ("anger",)),
    ("bad", ("anger",)),
    *((f"text {number}", ("joy",)) for number in range(20)),
]


def build(rows: list[tuple[str, tuple[str, ...]]]) -> Labelled:
    texts, given = zip(*rows, strict=True)
    places = tuple(f"line {row + 2}" for row in range(len(rows)))
    return Labelled("a.csv", texts, given, places, None, "0" * 64)


def test_labels_duplicates_and_lengths_are_counted() -> None:
    found = audit(build(ROWS), is_too_long=[row == 7 for row in range(len(ROWS))])
    assert (26, 1) == (found.texts, found.without_label)
    expected = (("joy", 23, False), ("anger", 2, True), ("calm", 1, True))
    assert tuple(LabelCount(*count) for count in expected) == found.labels
    assert (("line 5",), ("line 9",)) == (found.empty, found.too_long)
    assert (("line 2", "line 4"), ("line 6", "line 7")) == found.exact_duplicates
    assert (("line 2", "line 3", "line 4"),) == found.near_duplicates
    conflict = Conflict(("line 2", "line 3", "line 4"), (("joy",), ("joy",), ("joy", "calm")))
    assert (conflict,) == found.conflicts


def test_the_texts_of_a_large_group_of_duplicates_are_read_once_each() -> None:
    """Comparing each row with each other one took minutes."""

    class CountedTexts(tuple[str, ...]):
        reads = 0

        def __getitem__(self, row: Any) -> Any:
            CountedTexts.reads += 1
            return super().__getitem__(row)

    table = build([(f"good{' ' * (1 + row // 2)}day", ("joy",)) for row in range(200)])
    found = audit(replace(table, texts=CountedTexts(table.texts)), is_too_long=[False] * 200)
    assert (100, 1) == (len(found.exact_duplicates), len(found.near_duplicates))
    assert CountedTexts.reads <= 3 * 200


def test_the_most_improbable_decisions_are_suspected_first() -> None:
    table = build([("a", ("joy",)), ("b", ()), ("c", ("joy", "anger"))])
    probabilities_MK = np.array([[0.05, 0.5], [0.98, 0.93]], np.float32)
    found = find_suspects(table, [0, 1], probabilities_MK, ("joy", "anger"))
    assert (
        Suspect("line 3", (), "joy", 0.98),
        Suspect("line 2", ("joy",), "joy", 0.05),
        Suspect("line 3", (), "anger", 0.93),
    ) == found
    assert [True, False, True] == [suspect.is_missing for suspect in found]
    assert () == find_suspects(table, [2], np.array([[0.2, 0.89]], np.float32), ("joy", "anger"))


def test_findings_contain_no_text() -> None:
    shown = json.dumps(asdict(audit(build(ROWS), is_too_long=[True] * len(ROWS))))
    assert not [text for text, _ in ROWS if text and text in shown]
