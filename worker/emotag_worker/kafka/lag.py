"""Show how far the group is behind: `emotag lag`."""

from collections.abc import Mapping
from typing import Any

from emotag_worker.wire.record import Partition

from .offsets import PartitionOffsets

MARKER_LAGS = (1, 2)
"""Lags that the markers at the end of transactions may explain: a marker takes an offset, but is no record."""


def render_objects(found: Mapping[Partition, PartitionOffsets], *, topic: str, group_id: str) -> list[dict[str, Any]]:
    """Return the objects of `emotag lag --json`: one for each partition, then one for all of them."""
    objects: list[dict[str, Any]] = [
        {"topic": topic, "partition": partition, "end": at.end, "committed": at.committed, "lag": at.lag}
        for (_, partition), at in found.items()
    ]
    uncommitted = sum(at.committed is None for at in found.values())
    total = sum(at.lag for at in found.values())
    return [*objects, {"topic": topic, "group": group_id, "lag": total, "uncommitted_partitions": uncommitted}]


def render_lines(found: Mapping[Partition, PartitionOffsets], *, topic: str, group_id: str) -> list[str]:
    """Return the lines of `emotag lag`."""
    lines = [f"{topic} for the group {group_id}", f"{'partition':>9}  {'end':>12}  {'committed':>12}  {'lag':>12}"]
    lines += [
        f"{partition:>9}  {at.end:>12}  {'–' if at.committed is None else at.committed:>12}  {at.lag:>12}"
        for (_, partition), at in found.items()
    ]
    lines.append(f"{'all':>9}  {'':>12}  {'':>12}  {sum(at.lag for at in found.values()):>12}")
    if any(at.committed is None for at in found.values()):
        lines.append("–: the group has committed nothing in this partition yet; the lag counts from its beginning")
    if any(at.committed is not None and at.lag in MARKER_LAGS for at in found.values()):
        lines.append("A partition that transactions wrote to can show a lag of 1 or 2 although no record waits")
    return lines
