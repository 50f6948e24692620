"""The table of engines: installation, devices and supported models."""

from collections.abc import Callable

import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines import protocol
from emotag_model.engines.precision import ENGINES, EngineName
from emotag_model.engines.protocol import find_engines, is_possible, open_engine, require_engine, require_support
from emotag_model.errors import DeviceUnknown
from tests.numerics.conftest import tiny_config

PLAIN, WITH_ATTENTION = tiny_config(), tiny_config(attention_heads=4)


def test_the_preferred_engine_is_first_and_the_reference_is_the_last_resort() -> None:
    assert ["native", "openvino", "torch"] == find_engines("cpu", tiny_config(dim=64))
    assert ["openvino", "torch"] == find_engines("cpu", PLAIN)  # its heads are smaller than the lanes of `native`
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


def test_without_a_compiler_the_native_engine_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "is_compiled", lambda: False)
    assert ["openvino", "torch"] == find_engines("cpu", tiny_config(dim=64))
    with pytest.raises(DeviceUnknown, match=r"native was not compiled .*gcc.* or set the engine to auto"):
        require_engine("native", "cpu")


def test_the_native_engine_names_the_sizes_that_do_not_fill_its_lanes() -> None:
    with pytest.raises(DeviceUnknown, match=r"dim / n_heads 8 is not a multiple of 16; set the engine to auto"):
        require_support("native", PLAIN)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "native"])
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
    assert ["torch"] == [engine for engine in ENGINES if is_possible(engine, "fp16")]
    assert is_possible("native", "int8")
    assert not is_possible("torch", "int8")  # it only simulates int8
