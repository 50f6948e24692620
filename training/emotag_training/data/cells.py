"""The cells of a file, before their meaning is known: CSV, TSV, JSON Lines and Parquet.

CSV, and TSV with a header, are quoted by RFC 4180: a cell that begins with a double quote ends with one, and double
quotes within it are doubled. No cell of a TSV file may contain both a tab and a line break, because a quote that is not
closed makes such cells. In a CSV file, texts can contain commas and line breaks, so a quote that a later row happens to
close is not noticed.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotag_training.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

QUOTING = "end a cell that begins with a double quote with one, and double the quotes within it"
TOO_LARGE = "not JSON that emotag reads: it has too many brackets within brackets, or a number with too many digits"
NAMED = {",": "a comma", "\t": "a tab"}


@dataclass(frozen=True)
class Cells:
    """The cells of one file.

    Attributes:
        source: the file or data set, for errors.
        header: the names of its columns.
        places: the place of each row in the file, such as `line 2`.
        column: returns all cells of a column; raises `DataError` if a row lacks it.
        delimiter: of a file whose first line names the columns; empty for other formats.
    """

    source: str
    header: tuple[str, ...]
    places: Sequence[str]
    column: Callable[[str], list[Any]]
    delimiter: str = ""


def read_delimited(path: Path, content: str, delimiter: str) -> Cells:
    """Read a file whose first line names the columns.

    Raises:
        DataError: a row has more or fewer columns than the header, or is not quoted correctly (names its line).
    """
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    places, rows, number = [], [], 1
    try:
        header = tuple(next(reader, []))
        number = reader.line_num + 1
        for cells in reader:
            if cells:  # empty lines are not rows
                if reason := _explain_bad_row(cells, len(header), delimiter):
                    raise DataError(f"{path}, line {number}: {reason}")
                places.append(f"line {number}")
                rows.append(cells)
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {number}: not CSV: {error}; {QUOTING}") from error

    def column(name: str) -> list[str]:
        place = header.index(name)
        return [cells[place] for cells in rows]

    return Cells(str(path), header, places, column, delimiter)


def read_json_lines(path: Path, content: str) -> Cells:
    """Read a file with one JSON object per line.

    Raises:
        DataError: a line is not an object (names the line).
    """
    places, rows = [], []
    for number, line in enumerate(content.split("\n"), start=1):  # splitlines would also split at U+2028
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON: {error.msg} at character {error.pos + 1}") from error
        except (RecursionError, ValueError) as error:  # valid JSON that Python's parser refuses
            raise DataError(f"{path}, line {number}: {TOO_LARGE}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: not a JSON object; write one object with its braces per line")
        places.append(f"line {number}")
        rows.append(row)

    def column(name: str) -> list[Any]:
        for place, row in zip(places, rows, strict=True):
            if name not in row:
                raise DataError(f"{path}, {place}: the object has no key {name!r}; each line needs it")
        return [row[name] for row in rows]

    return Cells(str(path), tuple(dict.fromkeys(key for row in rows for key in row)), places, column)


def read_parquet(path: Path, raw: bytes) -> "pa.Table":
    """Read a Parquet file as an Arrow table.

    Raises:
        DataError: the file is not Parquet.
    """
    import pyarrow as pa  # takes a second
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(raw))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not Parquet: {error}") from error


def list_arrow_cells(table: "pa.Table", source: str) -> Cells:
    """Return the cells of an Arrow table, the form of Parquet files and `datasets` data sets."""
    places = [f"row {number}" for number in range(1, table.num_rows + 1)]
    return Cells(source, tuple(table.column_names), places, lambda name: list(table.column(name).to_pylist()))


def _explain_bad_row(cells: Sequence[str], columns: int, delimiter: str) -> str | None:
    """Return why the cells are not a row of a table with that many columns; None if they are."""
    if len(cells) > columns:
        return f"it has more columns than the header; put a text that contains {NAMED[delimiter]} into double quotes"
    if len(cells) < columns:
        return "it has fewer columns than the header"
    # A quote that is not closed has swallowed further rows.
    if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
        return f"a cell contains a tab and a line break: is a double quote not closed? {QUOTING}, or use CSV"
    return None
