"""Every mutant of `make mutants` replaces a function that exists, and names a test that exists."""

import functools
import importlib
from typing import Any

import pytest

from tests.chaos.mutants import ROOT
from tests.chaos.mutations import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_replaces_a_function_that_exists(mutant: Mutant) -> None:
    *classes, name = mutant.function.split(".")
    owner: Any = functools.reduce(getattr, classes, importlib.import_module(mutant.module))
    original = getattr(owner, name)
    try:
        mutant.install()
        assert getattr(owner, name) is not original
    finally:
        setattr(owner, name, original)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_test_of_a_mutant_exists(mutant: Mutant) -> None:
    file, _, name = mutant.test.partition("::")
    assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")
