"""Import times are parsed from Python's output."""

import re

from benchmarks.worker import startup


def test_import_times_are_parsed_as_python_writes_them() -> None:
    line = "import time:    281659 |     503987 |         torch._decomp.decompositions"
    assert [("281659", "torch._decomp.decompositions")] == re.findall(startup.IMPORTED, line)
