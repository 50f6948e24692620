"""A limit reaches the libraries and emotag, and ends with its block."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine.competitors import MODULES
from benchmarks.engine.limits import AVX2, NONE
from emotag_model.engines import device

ROOT = Path(__file__).parents[4]


def test_a_limit_sets_its_variables_and_hides_instructions_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    monkeypatch.delenv("CT2_FORCE_CPU_ISA", raising=False)
    known, name = device.MATRIX_INSTRUCTIONS, device.describe_processor()
    with AVX2.apply():
        assert ("AVX2", "AVX2") == (os.environ["ONEDNN_MAX_CPU_ISA"], os.environ["CT2_FORCE_CPU_ISA"])
        assert {"avx2"} >= set(device.list_instructions())
    assert known == device.MATRIX_INSTRUCTIONS
    assert name == device.describe_processor()
    assert "AVX512_CORE" == os.environ["ONEDNN_MAX_CPU_ISA"]
    assert "CT2_FORCE_CPU_ISA" not in os.environ


def test_no_limit_changes_nothing() -> None:
    before = dict(os.environ)
    with NONE.apply():
        assert before == dict(os.environ)


def test_torch_reads_the_limit_after_its_import() -> None:
    """A competitor's process sets the limit after a fork, when torch is imported already."""
    code = (
        "import torch; from benchmarks.engine.limits import AVX2\n"
        "with AVX2.apply(): print(torch.backends.cpu.get_cpu_capability())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("AVX2", "DEFAULT")


def test_only_competitors_are_named_as_unlimited() -> None:
    assert set(AVX2.unlimited) <= set(MODULES)
