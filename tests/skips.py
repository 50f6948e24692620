"""The tests that CI may skip, and why. Any other skip fails there: a test that never runs proves nothing."""

import os

import pytest

ALLOWED = {
    "there is no CUDA device here": "a GPU is not part of CI's machines",
    "this machine has a GPU": "the test is about machines without one",
    "this processor cannot do": "precisions differ between processors",
    "needs a JDK": "javac is only needed for one example",
    "needs otelcol on PATH": "no package of Debian contains it",
    "needs GoEmotions in": "the data is next to a development checkout only",
    "custom resources were not checked": "their definitions are next to a development checkout only",
}
"""Beginnings of reasons, and why CI cannot run these tests."""


def in_ci() -> bool:
    """Return True if `.ci/run` started the tests."""
    return os.environ.get("CI") == "1"


def fail_unlisted(report: pytest.TestReport) -> None:
    """Turn a skip whose reason is not in `ALLOWED` into a failure."""
    if not report.skipped or hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if not reason.startswith(tuple(ALLOWED)):
        report.outcome = "failed"
        remedy = "Install what it needs in .ci/run, or list its reason in tests/skips.py"
        report.longrepr = f"{report.nodeid} was skipped: {reason}. {remedy}"
