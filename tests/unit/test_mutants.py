"""What `make mutants` breaks on purpose is there to be broken."""

import pytest

from tests.chaos.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_finds_what_it_changes_once(mutant: Mutant) -> None:
    assert 1 == (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.right)
