"""Tables of figures: a cell shows its value unchanged, whatever characters it contains."""

import re
from typing import Any

import pytest

from emotag_training.report.tables import build_kinds_table, escape_markdown, render_markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("`rm` *now*", r"\`rm\` \*now\*"),
        ("two\nlines\tand  more ", "two lines and more"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("![x](https://example.org)", r"!\[x\](https://example.org)"),
        (r"a\|b", r"a\\\|b"),
        ("~no~ $x$ _really_", r"\~no\~ \$x\$ \_really\_"),
        ("__all__", r"\_\_all\_\_"),
        ("head_dropout=0.1 is 50 %, it's so.", "head_dropout=0.1 is 50 %, it's so."),
    ],
)
def test_a_cell_is_neither_markdown_nor_html_and_stays_on_its_line(text: str, expected: str) -> None:
    assert expected == escape_markdown(text)


def test_every_line_of_a_table_has_the_headers_cells() -> None:
    """Vertical bars in a cell do not split it."""
    written = render_markdown(("a|b", "how many"), [("x|y\nz", 3), ("plain", 0.5)])
    assert {2} == {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in written.splitlines()}
    assert "| plain | 0.5 |" == written.splitlines()[-1]


def test_what_is_undefined_is_a_dash_and_what_no_label_can_be_is_no_column() -> None:
    figures: dict[str, Any] = {
        "slices": {"all": {"texts": 1234, "micro_f1": None, "negative_false_positive_rate": 0.5}},
        "people_negative_false_positive_rate": {"all": 0.25},
    }
    header = ("texts", "how many", "micro F1")
    assert ((*header, "negative by mistake"), [("all", "1,234", "–", "0.5000")]) == build_kinds_table(figures)
    figures["people_negative_false_positive_rate"] = {"all": None}
    assert (header, [("all", "1,234", "–")]) == build_kinds_table(figures)
