"""The table of engines: installation, devices and supported models."""

from collections.abc import Callable, Sequence

import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines import protocol
from emotag_model.engines.precision import ENGINES, EngineName
from emotag_model.engines.protocol import find_engines, is_possible, open_engine, require_engine, require_support
from emotag_model.errors import DeviceUnknown
from tests.numerics.conftest import tiny_config

PLAIN, WITH_ATTENTION = tiny_config(), tiny_config(attention_heads=4)


def test_the_preferred_engine_is_first_and_the_reference_is_the_last_resort() -> None:
    assert ["openvino", "torch"] == find_engines("cpu", PLAIN)
    assert ["torch"] == find_engines("cuda", PLAIN)
    assert ["reference"] == find_engines("cpu", WITH_ATTENTION)
    assert ["reference"] == find_engines("cuda:0", WITH_ATTENTION)


def test_an_engine_whose_package_is_missing_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "is_installed", lambda package: package == "openvino")
    assert ["openvino"] == find_engines("cpu", PLAIN)
    assert [] == find_engines("cuda", PLAIN)
    assert [] == find_engines("cpu", WITH_ATTENTION)  # never the reference without torch, never openvino for it
    with pytest.raises(DeviceUnknown, match=r"reference needs torch, which is not installed; .*'\.\[cuda\]'"):
        require_engine("reference", "cpu")


@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_reference_supports_attention(engine: EngineName) -> None:
    require_support(engine, PLAIN)
    if engine == "reference":
        require_support(engine, WITH_ATTENTION)
    else:
        with pytest.raises(DeviceUnknown, match="attention_heads 4"):
            require_support(engine, WITH_ATTENTION)


def test_an_engine_is_opened_only_for_a_model_and_a_precision_that_it_supports(
    tiny_artifact: Callable[[], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny_artifact()
    with pytest.raises(DeviceUnknown, match="'bf16' is not available with engine reference"):
        open_engine(made, engine="reference", device="cpu", precision="bf16")
    with pytest.raises(DeviceUnknown, match="'fp16' is not available"):
        open_engine(made, engine="openvino", device="cpu", precision="fp16")


def test_a_precision_is_possible_where_an_engine_computes_it() -> None:
    expected: Sequence[tuple[EngineName, bool]] = [("openvino", False), ("torch", True), ("reference", False)]
    assert expected == [(engine, is_possible(engine, "fp16")) for engine in ENGINES]
    assert not is_possible("torch", "int8")  # it only simulates int8
