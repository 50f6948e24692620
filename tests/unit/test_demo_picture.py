"""docs/demo.svg: a recorded run of `make demo`. `make demo-svg` records it again."""

import re
from html import unescape
from pathlib import Path

from tests.acceptance.demo_picture import RECORDS, draw, select_lines

PICTURE = Path(__file__).parents[2] / "docs" / "demo.svg"


def test_the_picture_shows_a_run_without_losses_and_loads_nothing() -> None:
    drawn = PICTURE.read_text(encoding="utf-8")
    words = unescape(drawn).replace("\xa0", " ")
    assert re.search(r"\d+ records in: \d+ results, [1-9]\d* dead letters, 0 lost, 0 duplicated\.", words)
    assert "Every text has exactly one result" in words
    assert "↻" in words
    assert "✗" in words
    assert len(drawn.encode()) < 100_000
    assert not re.search(r"url\((?!#)|href|<script|<image", drawn)


def test_the_records_are_cut_to_the_part_with_most_repeats_and_dead_letters() -> None:
    records = [f"  text {number}" for number in range(50)]
    records[30], records[35] = "↻ again", "✗ {"
    lines = select_lines(["starting", "", *records, "", "50 records in"])
    assert ["starting", "", "  ⋮"] == lines[:3]
    assert ["  ⋮", "", "50 records in"] == lines[-3:]
    assert len(lines[3:-3]) == RECORDS
    assert {"↻ again", "✗ {"} <= set(lines[3:-3])


def test_colours_of_the_terminal_are_drawn() -> None:
    drawn = draw(["plain \x1b[31mred\x1b[0m"])
    assert "#ff7b72" in drawn
    assert "\x1b" not in drawn
