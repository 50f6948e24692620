"""`make prose`: measure how plain the project's English is, and fail above a limit per group.

It counts markers of dialect, wording that readers stumble over, in Markdown, docstrings, comments, messages and
configuration files. docs/contributing/style.md has the rules. A low rate does not prove good writing.

    python -m tests.prose                 # the whole tree against the limits
    python -m tests.prose docs/run.md     # every marker in some files, without limits
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

MARKERS = {
    "headless clause": r"(?:(?<=[.;:!?]\s)|^(?-i:(?=[A-Z])))(?:Who(?:ever)?|What|Whether|Which|How|Where)\s+"
    r"(?!is the\b|is a\b|are the\b|do you|does |should|to |can |if |happens|next|you )[a-z]+[^?\n]*(?<!\?)$",
    "who + verb": r"\b(?:whoever|who)\s+(?:has|may|wants?|comes?|takes?|reads?|writes?|looks?|needs?|deletes?"
    r"|changes?|publishes?|loses?|asks?|uses?|interrupts?|sets?|lost|wrote|knows?)\b",
    "of its own": r"\bof (?:its|their|his|our|your|her) own\b|\bof (?:yours|ours|mine|theirs)\b",
    "says, told": r"\b(?:says|said|told|tells|spoken? of|speaks? of)\b",
    "lies, stands": r"\b(?:lies|lay|stands|stood)\b",
    "archaic": r"\b(?:anew|for ever|mend(?:s|ed|ing)?|amiss|nought|likewise|beside|but for|all the same|heeded?"
    r"|reckon(?:s|ed)?|hence|somebody else|be told|let in|lets? in|by and by|of late|to be had|take care that|rubbish"
    r"|gone on with)\b",
    "is none": r"\b(?:is|are|was) none\b|\bthere is no telling\b",
    "goes on": r"\b(?:go|goes|going|went|gone) on\b(?! to\b)",
    "so many": r"\bso (?:many|often|long)\b(?! as)",
    "where for if": r"(?:[,;] |\b)where (?:there|it|one|none|they|nothing|texts|brokers|nodes|some|all"
    r"|the [a-z]+ (?:is|are|has|have|cannot|does))\b",
    "for for because": r", for (?:it|both|nobody|all|they|that|there)\b",
    "be it": r"\bbe (?:it|they)\b",
    "those of it": r"\b(?:those|that) of (?:it|them|whom)\b|\bof which\b|\bof whom\b",
}
"""{what is wrong: a pattern that finds it}"""

MOST_MARKERS = {"docs": 2.0, "strings": 2.0, "config": 2.0, "docstrings": 3.0, "comments": 3.0}
"""{group: the most markers per 1,000 words}. Aim at 1.5."""
FEWEST_YOU = 8.0
"""Per 1,000 words of `docs`. A page that addresses nobody is hard to follow."""
SHOWN = 20
"""Lines listed of a group that is above its limit."""

CONFIG = (".yaml", ".yml", ".toml", "Makefile", "Dockerfile")
READ = (".md", ".py", *CONFIG)
SKIPPED = ("requirements/", "benchmarks/results/")
"""Pinned versions are not prose, and results are generated."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of prose without its code: `place` is file:line."""

    group: str
    place: str
    text: str

    @property
    def markers(self) -> list[str]:
        """The name of each marker, as often as the line has it."""
        return [name for name, pattern in MARKERS.items() for _ in re.finditer(pattern, self.text, re.IGNORECASE)]


def read_prose(path: str, text: str) -> Iterator[Line]:
    """Yield the prose of a file whose name ends with one of `READ`. The strings of tests are data."""
    lines: Iterator[tuple[str, int, str]]
    if path.endswith(".md"):
        lines = (("docs", number, line) for number, line in _read_markdown(text))
    elif path.endswith(".py"):
        lines = _read_python(text)
    else:
        lines = (("config", number, line) for number, line in _read_config(text))
    for group, number, line in lines:
        if (plain := _without_code(line)) and not (group == "strings" and path.startswith("tests/")):
            yield Line(group, f"{path}:{number}", plain)


def _without_code(line: str) -> str:
    line = re.sub(r"\]\([^)]*\)|https?://\S+", "", line)
    return re.sub(r"`[^`]*`", "X", line).strip()


def _read_markdown(text: str) -> Iterator[tuple[int, str]]:
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, line


def _read_config(text: str) -> Iterator[tuple[int, str]]:
    """Yield comments, and texts that a dashboard or an alert shows."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.search(r"(?:#\s*|(?:summary|description|title):\s*)(.{20,})", line):
            yield number, found[1]


def _read_python(text: str) -> Iterator[tuple[str, int, str]]:
    tree = ast.parse(text)
    docstrings = {
        node.value for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if node in docstrings:
            for number, line in enumerate(node.value.splitlines(), node.lineno):
                yield "docstrings", number, line
        elif node.value.count(" ") >= 3:  # shorter ones are names, keys and formats
            yield "strings", node.lineno, " ".join(node.value.split())
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not re.match(r"#\s*(noqa|type:)", token.string):
            yield "comments", token.start[0], token.string.lstrip("# ")


def _words(lines: list[Line]) -> int:
    return sum(len(re.findall(r"[A-Za-z']+", line.text)) for line in lines)


def _you(lines: list[Line]) -> int:
    return sum(len(re.findall(r"\b(?:you|your|yours)\b", line.text, re.IGNORECASE)) for line in lines)


def report(lines: list[Line]) -> tuple[list[str], bool]:
    """Return each group's rate, the worst lines of those above their limit, and if all are within their limits."""
    shown, passed = [], True
    for group, most in MOST_MARKERS.items():
        prose = [line for line in lines if line.group == group]
        words = max(1, _words(prose))
        rate = sum(len(line.markers) for line in prose) * 1000 / words
        shown.append(f"{group}: {rate:.1f} markers per 1,000 words (at most {most}), {words} words")
        if rate > most:
            passed = False
            shown += list_marked(prose)[:SHOWN]
    docs = [line for line in lines if line.group == "docs"]
    rate = _you(docs) * 1000 / max(1, _words(docs))
    shown.append(f"docs: {rate:.1f} of `you` and `your` per 1,000 words (at least {FEWEST_YOU})")
    if rate < FEWEST_YOU:
        passed = False
        shown += _list_impersonal(docs)[:SHOWN]
    return shown, passed


def list_marked(lines: list[Line]) -> list[str]:
    """Return the lines that have markers as "file:line: markers: text", those with the most first."""
    marked = sorted((line for line in lines if line.markers), key=lambda line: -len(line.markers))
    return [f"  {line.place}: {', '.join(line.markers)}: {line.text[:120]}" for line in marked]


def _list_impersonal(docs: list[Line]) -> list[str]:
    """Return the pages that lack the most `you`."""
    pages = defaultdict(list)
    for line in docs:
        pages[line.place.partition(":")[0]].append(line)
    missing = {page: round(_words(prose) * FEWEST_YOU / 1000) - _you(prose) for page, prose in pages.items()}
    worst = sorted((page for page in pages if missing[page] > 0), key=lambda page: -missing[page])
    return [f"  {page}:1: {missing[page]} too few" for page in worst]


def main(paths: list[str]) -> int:
    """Check the whole tree, and return 1 if a group breaks its limit; or list every marker of some files."""
    files = paths or _list_files()
    lines = [line for path in files for line in read_prose(path, (ROOT / path).read_text(encoding="utf-8"))]
    shown, passed = (list_marked(lines), True) if paths else report(lines)
    if not passed:
        shown.append("rewrite some of these lines: docs/contributing/style.md says how")
    sys.stdout.write("".join(f"{line}\n" for line in shown))
    return 0 if passed else 1


def _list_files() -> list[str]:
    """Return the files that git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in listed if path.endswith(READ) and not path.startswith(SKIPPED) and (ROOT / path).is_file()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
