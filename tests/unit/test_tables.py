"""Tables of figures: a cell shows what it was given, whatever signs that has."""

import re
from typing import Any

import pytest

from training.ablation import table
from training.tables import escaped, kinds, markdown


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
        ("label_smoothing=0.1 is 50 %, it's so.", "label_smoothing=0.1 is 50 %, it's so."),
    ],
)
def test_a_cell_is_neither_markdown_nor_html_and_stays_on_its_line(text: str, expected: str) -> None:
    assert expected == escaped(text)


def test_every_line_of_a_table_has_the_headers_cells() -> None:
    """Bars that stand in a cell part nothing."""
    written = markdown(("a|b", "how many"), [("x|y\nz", 3), ("plain", 0.5)])
    assert {2} == {len(re.findall(r"(?<!\\)\|", line)) - 1 for line in written.splitlines()}
    assert "| plain | 0.5 |" == written.splitlines()[-1]


def test_a_variation_of_an_ablation_is_escaped_the_same_way() -> None:
    figures = {"macro_f1_cross_fitted": None, "mean_average_precision": None, "roc_auc": None}
    row = {"name": "trunk=a|<b>", "figures": {**figures, "mcc_flattened_at_0.51": None}, "differences": {}}
    recipe = {"preset": "default", "trunk": "minilm"}
    made = table(
        {
            "recipe": recipe,
            "seeds": [1],
            "texts": 3,
            "dev_sha256": "0" * 64,
            "level": 0.95,
            "resamples": 9,
            "variations": [row],
        }
    )
    assert r"| trunk=a\|&lt;b&gt; | undefined |" in made


def test_what_is_undefined_is_a_dash_and_what_no_label_can_be_is_no_column() -> None:
    figures: dict[str, Any] = {
        "slices": {"all": {"texts": 1234, "micro_f1": None, "negative_false_positive_rate": 0.5}},
        "people_negative_false_positive_rate": {"all": 0.25},
    }
    header = ("texts", "how many", "micro F1")
    assert ((*header, "negative by mistake"), [("all", "1,234", "–", "0.5000")]) == kinds(figures)
    figures["people_negative_false_positive_rate"] = {"all": None}
    assert (header, [("all", "1,234", "–")]) == kinds(figures)
