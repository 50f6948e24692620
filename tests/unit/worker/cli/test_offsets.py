"""`emotag offsets`: its arguments. What it does is tested on a real broker, in `tests/acceptance/offsets`."""

import pytest
import typer

from emotag_worker.cli.offsets import _read_target, read_time


@pytest.mark.parametrize(
    ("to_time", "to_earliest", "to_latest"),
    [(None, False, False), (None, True, True), ("2026-11-30T06:00:00Z", True, False)],
)
def test_a_reset_has_exactly_one_target(to_time: str | None, to_earliest: bool, to_latest: bool) -> None:
    with pytest.raises(typer.BadParameter, match="give one of"):
        _read_target(to_time, to_earliest=to_earliest, to_latest=to_latest)


def test_each_target_is_accepted() -> None:
    assert "earliest" == _read_target(None, to_earliest=True, to_latest=False)
    assert "latest" == _read_target(None, to_earliest=False, to_latest=True)
    assert read_time("--to-time", "2026-11-30T06:00:00Z") == _read_target(
        "2026-11-30T07:00:00+01:00", to_earliest=False, to_latest=False
    )


def test_a_time_without_a_zone_is_refused_with_an_example() -> None:
    with pytest.raises(typer.BadParameter, match="2026-11-30T06:00:00Z"):
        read_time("--to-time", "2026-11-30T06:00:00")
