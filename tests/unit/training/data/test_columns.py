"""The columns that a user names, or their default names."""

import pytest

from emotag_training.data.columns import Columns
from emotag_training.errors import DataError


@pytest.mark.parametrize(
    ("columns", "header", "labels", "missing"),
    [
        (Columns(), ("text", "label"), ("label",), []),
        (Columns(), ("labels", "label", "text"), ("labels",), []),
        (Columns(), ("text", "mood"), (), ["labels", "label"]),
        (Columns.parse("body", "mood"), ("id", "body", "mood"), ("mood",), []),
        (Columns.parse("body", " joy , anger,"), ("body", "anger", "joy"), ("joy", "anger"), []),
        (Columns.parse("body", "joy,anger"), ("text", "joy", "labels"), (), ["body", "anger"]),
    ],
)
def test_columns_are_found_by_name_and_the_missing_ones_are_listed(
    columns: Columns, header: tuple[str, ...], labels: tuple[str, ...], missing: list[str]
) -> None:
    assert labels == columns.find_labels(header)
    assert missing == columns.list_missing(header)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("joy,anger, joy", "--label-columns joy,anger, joy: joy is named twice"),
        ("joy,body", "body is the column of the texts"),
    ],
)
def test_a_column_that_is_named_twice_is_refused(labels: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Columns.parse("body", labels)


def test_a_message_names_what_a_table_needs() -> None:
    assert "text and labels (or label)" == Columns().describe()
    assert "body and joy, anger" == Columns.parse("body", "joy,anger").describe()
