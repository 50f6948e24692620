"""Files as cells: every format has a header, places and columns."""

from pathlib import Path

import pytest

from emotag_training.data.cells import read_delimited, read_json_lines
from emotag_training.errors import DataError

PATH = Path("a.jsonl")


def test_lines_of_json_have_the_keys_of_all_lines_as_header() -> None:
    table = read_json_lines(PATH, '{"text": "a\u2028b", "labels": ["x"]}\n\n{"labels": [], "text": "c", "id": 7}\n')
    assert ("text", "labels", "id") == table.header
    assert ["line 1", "line 3"] == table.places
    assert ["a\u2028b", "c"] == table.column("text")
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: the object has no key 'id'"):
        table.column("id")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "Hello"}\n{"text": "Hello', r"line 2: not JSON: Unterminated string starting at at character 10"),
        ('["Hello", "joy"]\n', "line 1: not a JSON object"),
        ('{"text": "Hello"}\n' + "[" * 200_000, "line 2: not JSON that emotag reads: it has too many brackets"),
        (
            '{"text": "Hello"}\n{"labels": ' + "1" * 5_000 + "}",
            "line 2: not JSON that emotag reads: .* too many digits",
        ),
    ],
)
def test_a_line_that_is_no_object_is_named_without_its_text(content: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_json_lines(PATH, content)
    assert "Hello" not in str(caught.value)


def test_a_row_with_fewer_cells_than_the_header_is_refused_whatever_is_missing() -> None:
    with pytest.raises(DataError, match=r"a\.csv, line 3: it has fewer columns than the header"):
        read_delimited(Path("a.csv"), "text,labels,note\na,x,n\nb,y\n", ",")
