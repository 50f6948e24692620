"""The record of a model, `training.json`, as it can also come from elsewhere: any part of it can be missing."""

from collections.abc import Mapping
from typing import Any


def read_section(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return a table of a record, for example of `recipe`, `data`; empty if the record has no such table."""
    found: object = record
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
