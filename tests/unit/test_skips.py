"""In CI, a skip that nobody listed is a failure."""

import pytest

from tests import skips


def report_of(outcome: str, reason: str = "") -> pytest.TestReport:
    longrepr = ("test_a.py", 1, f"Skipped: {reason}") if outcome == "skipped" else None
    return pytest.TestReport("test_a.py::test", ("", 0, ""), {}, outcome, longrepr, "setup")  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", ["promtool is not installed (Debian: prometheus)", "needs prometheus on PATH", ""])
def test_a_skip_that_is_not_listed_fails_and_names_its_reason(reason: str) -> None:
    report = report_of("skipped", reason)
    skips.fail_unlisted(report)
    assert report.failed
    assert f"was skipped: {reason}" in str(report.longrepr)


def test_a_listed_skip_stays_a_skip_and_a_result_stays_a_result() -> None:
    for allowed in skips.ALLOWED:
        report = report_of("skipped", f"{allowed} anything")
        skips.fail_unlisted(report)
        assert report.skipped
    for outcome in ("passed", "failed"):
        report = report_of(outcome)
        skips.fail_unlisted(report)
        assert outcome == report.outcome


def test_ci_sets_the_variable_and_installs_what_the_tests_of_alerts_need(pytestconfig: pytest.Config) -> None:
    script = (pytestconfig.rootpath / ".ci" / "run").read_text(encoding="utf-8")
    assert "export CI=1" in script
    assert "install -y --no-install-recommends prometheus" in script
