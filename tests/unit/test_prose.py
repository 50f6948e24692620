"""`make prose` finds each marker of dialect, skips code, and fails above a group's limit."""

import pytest

from tests.prose import FEWEST_YOU, MARKERS, MOST_MARKERS, SHOWN, Line, list_marked, main, read_prose, report

PLANTED = {
    "headless clause": "Which records it read was printed.",
    "who + verb": "A person who needs it can set it.",
    "of its own": "It runs in a process of its own.",
    "says, told": "The command says why.",
    "lies, stands": "The file lies in this folder.",
    "archaic": "The entry is computed anew.",
    "is none": "There is none in the cache.",
    "goes on": "The worker goes on without the cache.",
    "so many": "It was asked so often.",
    "where for if": "It is skipped where there are no texts.",
    "for for because": "It waits, for they arrive later.",
    "be it": "A record, be it good or bad, is counted.",
    "those of it": "A list, the first of which is empty.",
}
CLEAN = (
    "You set the variable, and the worker reads it at its start. If Redis is unreachable, it continues without a cache."
)


def read(path: str, text: str) -> list[Line]:
    return list(read_prose(path, text))


def docs(markers: int, clean: int) -> list[Line]:
    """Return documentation with a number of planted markers among clean sentences."""
    return read("a.md", "\n".join(["The command says why."] * markers + [CLEAN] * clean))


@pytest.mark.parametrize("marker", MARKERS)
def test_a_planted_sentence_is_found_and_named(marker: str) -> None:
    (line,) = read("docs/a.md", PLANTED[marker])
    assert [marker] == line.markers
    assert [f"  docs/a.md:1: {marker}: {PLANTED[marker]}"] == list_marked([line])


def test_clean_text_has_no_marker() -> None:
    assert [[]] == [line.markers for line in read("a.md", CLEAN)]


def test_a_wrapped_line_may_begin_with_a_relative_clause() -> None:
    assert [[], []] == [line.markers for line in read("a.md", "The worker reads a topic\nwhich has ten partitions.")]


def test_code_and_addresses_are_skipped_in_markdown() -> None:
    text = (
        "One.\n```\nThe command says why.\n```\nRun `who reads it` and [read](anew.md) https://a.b/anew\nIt says no.\n"
    )
    assert [("a.md:6", ["says, told"])] == [(line.place, line.markers) for line in read("a.md", text) if line.markers]


def test_python_is_read_by_docstring_comment_and_message() -> None:
    code = (
        '"""It says one.\n\nIt says two."""\nA = "it says it all"  # It says three.\nB = "says"\n"""It says four."""\n'
    )
    found = {(line.group, line.place) for line in read("a.py", code) if line.markers}
    docstrings = {("docstrings", "a.py:1"), ("docstrings", "a.py:3"), ("docstrings", "a.py:6")}
    assert docstrings | {("strings", "a.py:4"), ("comments", "a.py:4")} == found


@pytest.mark.parametrize("path", ["a.yaml", "pyproject.toml", "Makefile", "deploy/Dockerfile"])
def test_comments_and_shown_texts_of_configuration_are_read(path: str) -> None:
    lines = read(
        path,
        "summary: The alert says that it fires\nname: this says nothing of interest\n# The comment says the same\n",
    )
    assert [("config", f"{path}:1"), ("config", f"{path}:3")] == [(line.group, line.place) for line in lines]
    assert all(line.markers for line in lines)


def test_strings_of_tests_are_data() -> None:
    assert [] == read("tests/a.py", 'A = "it says it all"')


def test_a_group_above_its_limit_fails_and_lists_its_worst_lines() -> None:
    shown, passed = report(docs(markers=SHOWN + 5, clean=100))
    assert not passed
    assert SHOWN == sum("says, told: The command says why." in line for line in shown)
    assert {f"{group}:" for group in MOST_MARKERS} <= {line.partition(" ")[0] for line in shown}


def test_a_rate_within_the_limit_passes() -> None:
    shown, passed = report(docs(markers=1, clean=100))
    assert passed
    assert not any("says why" in line for line in shown)


def test_docs_that_do_not_address_the_reader_fail() -> None:
    shown, passed = report(read("a.md", "The worker reads records.\n" * 100))
    assert not passed
    assert f"  a.md:1: {round(400 * FEWEST_YOU / 1000)} too few" in shown


def test_the_markers_of_one_file_are_listed_without_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["CONTRIBUTING.md", "Makefile"])
    assert all(line.startswith(("  CONTRIBUTING.md:", "  Makefile:")) for line in capsys.readouterr().out.splitlines())
