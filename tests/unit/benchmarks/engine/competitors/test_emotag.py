"""emotag's rows are its own, and its other engines are found on each machine."""

import pytest

from benchmarks.engine.competitors import emotag
from emotag_model.engines.choice import Choice


@pytest.mark.parametrize(
    ("name", "own"),
    [("emotag", True), ("emotag, openvino int8", True), ("OpenVINO, int8", False), ("emotagger", False)],
)
def test_rows_of_emotag_are_recognized(name: str, *, own: bool) -> None:
    assert own == emotag.is_own(name)


def test_every_other_engine_has_a_row_and_the_chosen_one_has_no_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emotag, "choose", lambda *_, **__: Choice("openvino", "int8", {}, "named"))
    monkeypatch.setattr(emotag, "find_engines", lambda *_: ["openvino", "torch"])
    assert ["emotag:build_engine:torch:fp32"] == emotag.list_other_engines()
