"""The runner of pages finds what is wrong on a page."""

from pathlib import Path

import pytest

from .page import agrees, run_page


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```console\n$ echo one\ntwo\n```", "instead of"),
        ("```console\n$ exit 3\n```", "failed with 3"),
        ("```python\nraise SystemExit(4)\n```", "failed with 4"),
        ("```\n$ echo one\n```", "has an info string"),
        ("```text\n$ echo one\n```", "are not run"),
        ("```console no-run\n$ git clone nothing\n```", "lists the commands"),
        ("```console background\n$ echo one\ntwo\n```", "instead of"),
        (
            "```python w.py\nprint('up')\nwhile True: pass\n```\n```console background\n$ python w.py\nup\n```",
            "Traceback",
        ),
    ],
)
def test_a_page_that_is_wrong_fails(block: str, message: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"A page.\n\n{block}\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=message):
        run_page(page, {}, folder=tmp_path)


def test_a_page_carries_files_and_variables_on(tmp_path: Path) -> None:
    """Also from a command in the background, and into the folder that a command changed to."""
    page = tmp_path / "page.md"
    page.write_text(
        "```console background\n$ echo export PORT=$FIRST.5 && sleep 60\nexport PORT=…\n```\n"
        "```python show.py\nimport os\nprint(os.environ['PORT'], os.environ['NAME'])\n```\n"
        "```console\n$ export NAME=value\n$ mkdir a && cd a\n$ python ../show.py\n1.5 value\n```\n",
        encoding="utf-8",
    )
    run_page(page, {"FIRST": "1"}, folder=tmp_path)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("joy 90.9 %", "joy   92.1 %", True),
        ("joy 90.9 %", "joy 95.0 %", False),
        ("[0.9766]", "[0.9812]", True),
        ("[0.9766]", "[0.8]", False),
        ("3 records", "4 records", False),
        ("9.966 s, 20.1 messages/s", "1.2 s, 1,950.0 messages/s", True),
        ("at 2026-11-24T14:37:42.721Z", "at 2027-01-01T00:00:00.000Z", True),
        ("a …c\n⋮\nz", "a bc\nd\n\ne\nz", True),
        ("a\n⋮\nz", "a\nz", True),
        ("a\n⋮", "a\nb\nc", True),
        ("⋮\nz", "a\nz", True),
        ("⋮\nz", "a\nz\nb", False),
        ("a …", "b", False),
    ],
)
def test_outputs_are_compared_with_tolerance(expected: str, actual: str, *, same: bool) -> None:
    assert same == agrees(expected, actual)
