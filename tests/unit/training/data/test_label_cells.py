"""Labels in one column have one form, and labels in columns of their own are 0 or 1."""

from typing import Any

import pytest

from emotag_training.data.cells import Cells
from emotag_training.data.label_cells import is_indicator, read_indicators, read_lists, shorten
from emotag_training.errors import DataError


def table(**columns: list[Any]) -> Cells:
    places = [f"line {row + 2}" for row in range(len(next(iter(columns.values()))))]
    return Cells("a.csv", tuple(columns), places, columns.__getitem__, ",")


@pytest.mark.parametrize(
    ("cells", "given"),
    [
        (["joy;anger", "joy", "", " ; joy ;"], [("joy", "anger"), ("joy",), (), ("joy",)]),
        (["joy, anger", "not sad"], [("joy", "anger"), ("not sad",)]),
        (["joy|anger"], [("joy", "anger")]),
        (['["joy", "a, b"]', "[]", ""], [("joy", "a, b"), (), ()]),
        ([["joy", "a;b"], "joy", []], [("joy", "a;b"), ("joy",), ()]),
        ([[0, 1], 1], [("sad", "joy"), ("joy",)]),
    ],
)
def test_one_column_has_names_lists_or_ids(cells: list[Any], given: list[tuple[str, ...]]) -> None:
    assert given == read_lists(table(labels=cells), "labels", ("sad", "joy"))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["joy", "joy;sad", "joy,sad"],
            "column labels has ; in line 3 and , in line 4; separate all names",
        ),
        (['["joy"]', "joy;sad"], r"has \[ in line 2 and ; in line 3"),
        (['["joy"]', "joy"], r'line 3: the labels are not a JSON list such as \["joy", "anger"\]'),
        (["['joy']"], r"line 2: the labels are not a JSON list .* with pandas, write them by .*json\.dumps"),
        (["[0]", "[" * 200_000], "line 3: the labels are not a JSON list"),
        (["[0]", f"[{'1' * 5_000}]"], "line 3: the labels are not a JSON list"),
        ([f"Hello {'x' * 80}"], "line 2: a label has over 80 characters; is labels the column of the labels"),
        ([{"Hello": 1}], "line 2: labels is "),
    ],
)
def test_a_column_of_several_forms_is_refused_by_place_and_without_texts(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_lists(table(labels=cells), "labels", ("sad", "joy"))
    assert "Hello x" not in str(caught.value)


def test_a_column_in_which_nearly_every_text_has_its_own_label_is_refused() -> None:
    """Otherwise each text of a wrong column would be a label, and each message would show some."""
    texts = [f"Hello {row}" for row in range(18)]
    with pytest.raises(
        DataError, match=r"in column title, 18 of 20 texts have a label .* is title the column"
    ) as caught:
        read_lists(table(title=[*texts, "", ""]), "title", None)
    assert "Hello" not in str(caught.value)
    assert 20 == len(read_lists(table(title=[*texts[:17], "", "", ""]), "title", None))
    assert 18 == len(read_lists(table(title=texts), "title", None))
    assert 20 == len(read_lists(table(title=[*texts, "", ""]), "title", tuple(texts)))


def test_columns_of_0_and_1_name_the_labels() -> None:
    columns = table(joy=["1", "0", " 1"], anger=[True, 0, 1])
    assert [("joy", "anger"), (), ("joy", "anger")] == read_indicators(columns, ("joy", "anger"))
    assert [("anger", "joy"), (), ("anger", "joy")] == read_indicators(columns, ("anger", "joy"))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("2", "a.csv, line 3: column joy is '2'; write 1 if the text has the label, and 0 if not"),
        ("", "column joy is ''"),
        (1.0, "column joy is 1.0"),
        (None, "column joy is None"),
        ("Hello you", "column joy is a text of 9 characters"),
    ],
)
def test_a_cell_that_is_neither_0_nor_1_is_named_by_row_and_column(cell: object, message: str) -> None:
    assert not is_indicator(["1", cell])
    with pytest.raises(DataError, match=message):
        read_indicators(table(joy=["1", cell]), ("joy",))


def test_a_message_shows_at_most_one_word_of_a_cell() -> None:
    assert "'joyful'" == shorten("joyful")
    assert "a text of 3 characters" == shorten("a b")
    assert "a text of 21 characters" == shorten("x" * 21)
    assert len(shorten({"a": "x" * 50})) <= 20
