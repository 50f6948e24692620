"""Every decision page has a status and a date, is in the index, and names the page that supersedes it."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_pages_are_numbered_without_gaps() -> None:
    assert PAGES
    assert [f"{number:04}" for number in range(1, len(PAGES) + 1)] == [page.name[:4] for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name[:4])
def test_a_page_has_a_status_and_a_date_and_is_in_the_index(page: Path) -> None:
    """The title, the first word of the status, and the date are the same in both."""
    head = re.match(r"# (\d{4}): (.+)\n\n- Status: (\w+).*?\n- Date: (\d{4}-\d\d-\d\d)\b", read(page), re.DOTALL)
    assert head is not None, "begin with: # NNNN: title, - Status: accepted or superseded, - Date: YYYY-MM-DD"
    number, title, status, date = head.groups()
    assert number == page.name[:4]
    assert status in ("accepted", "superseded")
    row = re.search(
        rf"^\| \[{number}\]\({re.escape(page.name)}\) \| (.+?) \| (\w+).*? \| (\S+) \|", INDEX, re.MULTILINE
    )
    assert row is not None, "add the page to docs/decisions/README.md"
    assert (title, status, date) == row.groups()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name[:4])
def test_a_page_that_supersedes_another_is_named_in_it(page: Path) -> None:
    """Readers of the old page learn that a newer one exists."""
    status = re.search(r"- Status: .*?\n- Date", read(page), re.DOTALL)
    assert status is not None
    changed = re.search(r"(?:Supersedes|Amends)(.*)", status[0], re.DOTALL)
    for older in re.findall(r"\]\(([^)]+)\)", changed[1]) if changed else ():
        assert page.name in read(FOLDER / older)
