"""A record of a model can lack any part."""

from typing import Any

import pytest

from emotag_training.record import read_section


def test_a_section_is_found_by_its_names() -> None:
    record = {"data": {"train_sha256": "0"}, "recipe": {"data": {"limit": 7}}}
    assert {"train_sha256": "0"} == read_section(record, "data")
    assert {"limit": 7} == read_section(record, "recipe", "data")


@pytest.mark.parametrize("record", [{}, {"recipe": None}, {"recipe": []}, {"recipe": {"data": []}}, {"recipe": "data"}])
def test_a_section_that_is_no_table_is_empty(record: dict[str, Any]) -> None:
    assert {} == read_section(record, "recipe", "data")
