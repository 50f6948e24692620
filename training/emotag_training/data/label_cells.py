"""The labels of each text, from the cells of one column, or of one column for each label.

One column has, for each text, one of these; all cells that are text have the same form:

    joy;anger            names with commas, semicolons or bars between them: the column uses one of the three
    ["joy", "anger"]     a JSON list of names
    [0, 2], or 2         ids, in formats that have numbers

Names may have spaces around them, and empty names are ignored: `joy ; sad;` is joy and sad. With one column for each
label, its cells are 0 or 1 (or true or false, in formats that have them), and its name is the name of the label.

Messages show no cell of more than one word: if the wrong column is named, a cell can be somebody's text.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from emotag_training.errors import DataError

from .cells import Cells

SEPARATORS = (",", ";", "|")
LONGEST_NAME = 80
FEWEST_ROWS = 20
OWN_SHARE = 0.9
"""A column in which at least this share of the texts has a label that no other text has is not one of labels."""
TAKES = "use a list of names or ids, one id, or names with one separator between them"
JSON_LIST = 'a JSON list such as ["joy", "anger"]'

Names = tuple[str, ...]


def is_indicator(cells: Sequence[Any]) -> bool:
    """Return True if a column has nothing but 0 and 1."""
    return bool(cells) and all(_read_indicator(cell) is not None for cell in cells)


def read_indicators(table: Cells, columns: Names) -> list[Names]:
    """Return the labels of each text from one column of 0 and 1 for each label.

    Raises:
        DataError: a cell is neither 0 nor 1 (names its row and column).
    """
    given: list[list[str]] = [[] for _ in table.places]
    for name in columns:
        for row, cell in enumerate(table.column(name)):
            has = _read_indicator(cell)
            if has is None:
                raise DataError(
                    f"{table.source}, {table.places[row]}: column {name} is {shorten(cell)}; write 1 if the text has"
                    " the label, and 0 if not"
                )
            if has:
                given[row].append(name)
    return [tuple(names) for names in given]


def read_lists(table: Cells, column: str, declared: Names | None) -> list[Names]:
    """Return the labels of each text from one column.

    Args:
        declared: the names of the labels in id order, if something names them.

    Raises:
        DataError: a cell has no labels in it, or the cells have different forms (names the rows).
    """
    cells = table.column(column)
    forms = _find_forms(cells)
    if len(forms) > 1:
        (one, first), (other, second) = sorted(forms.items(), key=lambda form: form[1])[:2]
        raise DataError(
            f"{table.source}: column {column} has {one} in {table.places[first]} and {other} in {table.places[second]};"
            f" separate all names by the same sign, or write each cell as {JSON_LIST}"
        )
    form = next(iter(forms), "")
    given = []
    for row, cell in enumerate(cells):
        try:
            names = _read_names(cell, form, declared)
            if any(len(name) > LONGEST_NAME for name in names):
                raise ValueError(f"a label has over {LONGEST_NAME} characters; is {column} the column of the labels?")
        except ValueError as error:
            raise DataError(f"{table.source}, {table.places[row]}: {error}") from error
        given.append(names)
    if declared is None:
        _refuse_own_labels(table, column, given)
    return given


def find_name(label: int, names: Names | None) -> str:
    """Return the name of an id.

    Raises:
        ValueError: there is no such id.
    """
    if names is None:
        raise ValueError(f"label {label} is an id without a name; add labels.txt, or use a ClassLabel")
    if not 0 <= label < len(names):
        raise ValueError(f"label {label} is not an id from 0 to {len(names) - 1}")
    return names[label]


def shorten(cell: object) -> str:
    """Return a cell for a message; of a text with several words, only its length."""
    if isinstance(cell, str) and (len(cell) > 20 or len(cell.split()) > 1):
        return f"a text of {len(cell)} characters"
    return f"{cell!r:.20}"


def _refuse_own_labels(table: Cells, column: str, given: Sequence[Names]) -> None:
    """Raise `DataError` if nearly every text has a label of its own: the column has texts or ids, not labels."""
    counts = Counter(name for names in given for name in set(names))
    own = sum(any(counts[name] == 1 for name in names) for names in given)
    if len(given) >= FEWEST_ROWS and own >= OWN_SHARE * len(given):
        raise DataError(
            f"{table.source}: in column {column}, {own} of {len(given)} texts have a label that no other text has: is"
            f" {column} the column of the labels? Name it: --label-columns NAME"
        )


def _read_indicator(cell: object) -> bool | None:
    if isinstance(cell, str):
        return {"0": False, "1": True}.get(cell.strip())
    return bool(cell) if isinstance(cell, int) and cell in (0, 1) else None


def _find_forms(cells: Sequence[Any]) -> dict[str, int]:
    """Return the signs of the forms that occur, each with the first row that has it."""
    forms: dict[str, int] = {}
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            signs = "[" if cell.lstrip().startswith("[") else [sign for sign in SEPARATORS if sign in cell]
            for sign in signs:
                forms.setdefault(sign, row)
    return forms


def _read_names(cell: Any, form: str, declared: Names | None) -> Names:
    if isinstance(cell, str) and form == "[" and cell.strip():
        cell = _parse_json_list(cell)
    elif isinstance(cell, str):
        return tuple(name for part in (cell.split(form) if form else [cell]) if (name := part.strip()))
    found = []
    for label in cell if isinstance(cell, list) else [cell]:
        if isinstance(label, str):
            found.append(label)
        elif isinstance(label, int) and not isinstance(label, bool):
            found.append(find_name(label, declared))
        else:
            raise ValueError(f"labels is {shorten(cell)}; {TAKES}")
    return tuple(found)


def _parse_json_list(cell: str) -> list[Any]:
    try:
        found = json.loads(cell)
    except (RecursionError, ValueError):  # not JSON, or nested too deeply, or a number with too many digits
        found = None
    if not isinstance(found, list):
        raise ValueError(f"the labels are not {JSON_LIST}; with pandas, write them by rows.labels.map(json.dumps)")
    return found
