"""The goal against other libraries depends on the processor, and has the interval of its ratio."""

import pytest

from benchmarks.engine import goals
from benchmarks.engine.competitor_process import CompetitorProcess
from benchmarks.engine.competitors import emotag
from benchmarks.engine.contest import Contest
from benchmarks.engine.quality import Quality
from benchmarks.engine.shares import BY_KIND, OWN, ROOFLINE
from benchmarks.measurements import Measurements

RATES = {
    emotag.NAME: 300.0,
    "emotag, torch fp32": 100.0,
    emotag.FROM_TEXTS: 280.0,
    "Lib, int8": 200.0,
    "Rough, int4": 250.0,
    "Pipe": 140.0,
}


@pytest.fixture
def contest(monkeypatch: pytest.MonkeyPatch) -> Contest:
    monkeypatch.setattr(CompetitorProcess, "__init__", lambda self: None)
    made = Contest("engine")
    for name, rate in RATES.items():
        competitor = CompetitorProcess()  # type: ignore[call-arg]
        competitor.name, competitor.note = name, "a note"
        competitor.takes = "texts" if name in (emotag.FROM_TEXTS, "Pipe") else "tokens"
        made.competitors.append(competitor)
        made.qualities[name] = Quality(0.05, 0.5, 0.05 if name.startswith("Rough") else 0.0)
        for number, speed in enumerate((1.0, 0.5, 1.0)):
            made.rates.add(name, number, speed * rate)
    return made


@pytest.mark.parametrize(
    ("instructions", "expected", "goal"),
    [
        (["avx512_vnni", "avx2"], {goals.WITH_VNNI: 1.5}, 1.6),
        (["avx512_vnni", "avx_vnni", "avx2"], {goals.WITH_VNNI: 1.5}, 2.0),
        (["avx2"], {goals.WITH_VNNI: None, goals.AVX2_ONLY: 1.5}, 1.6),
    ],
)
def test_the_goal_against_libraries_depends_on_the_processor(
    contest: Contest, instructions: list[str], expected: dict[str, float | None], goal: float
) -> None:
    computed = goals.compute_goals(contest, None, instructions)
    assert expected == {each.name: each.measured for each in computed if each.name.startswith(goals.LIBRARIES)}
    assert goal == computed[0].goal


def test_the_best_library_is_comparable_and_its_ratio_has_an_interval(contest: Contest) -> None:
    goal = goals.library_goal(contest, goals.AVX2_ONLY)
    assert (1.5, 1.5, 1.5) == (goal.measured, goal.low, goal.high)
    assert goal.why.startswith("the best is Lib, int8;")
    assert "not comparable: Rough, int4" in goal.why


def test_rows_compare_emotag_with_the_best_library_and_the_others_with_emotag(contest: Contest) -> None:
    rows = {row.name: row for row in contest.make_rows()}
    assert {
        emotag.NAME: "Lib, int8",
        "emotag, torch fp32": "Lib, int8",
        emotag.FROM_TEXTS: "",
        "Lib, int8": emotag.NAME,
        "Rough, int4": emotag.NAME,
        "Pipe": emotag.FROM_TEXTS,
    } == {name: row.against for name, row in rows.items()}
    assert emotag.NAME == next(iter(rows)), "the fastest row is the first"


def test_the_share_of_the_roofline_is_by_processor_time() -> None:
    times = Measurements("engine", "µs/text")
    for name, value in {OWN: 100.0, ROOFLINE: 70.0, BY_KIND: 80.0}.items():
        times.add(name, 0, value)
    goal = goals.share_goal(times)
    assert (0.7, "least met") == (goal.measured, goal.verdict)
    assert "0.80" in goal.why
    assert goals.share_goal(None).measured is None
