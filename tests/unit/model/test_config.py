"""The shape of a model: accepted values, and the parameters that follow from it."""

import pytest

from tests.numerics.conftest import tiny_config


def test_only_a_head_with_attention_has_parameters_of_attention() -> None:
    without, with_ = tiny_config().shapes(), tiny_config(attention_heads=4).shapes()
    added = set(with_) - set(without)
    assert 10 == len(added)
    assert all(name.startswith("head_attention.") for name in added)
    assert without == {name: shape for name, shape in with_.items() if name not in added}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"n_heads": 5}, "dim 32 is not a multiple of n_heads 5"),
        ({"attention_heads": 5}, "dim 32 is not a multiple of attention_heads 5"),
        ({"attention_heads": -1}, r"attention_heads -1 is not a whole number within \[0, "),
        ({"kernel_size": 4}, "kernel_size 4 is even"),
        ({"max_tokens": 41}, "max_tokens 41 is not within"),
        ({"max_tokens": 2}, r"max_tokens 2 is not within \[3, "),
        ({"n_layers": 257}, "n_layers 257 is not a whole number"),
        ({"dim": "wide"}, "dim 'wide' is not a whole number"),
        ({"dim": 10**12}, "dim 1000000000000 is not a whole number"),
        ({"channels": -1}, "channels -1 is not a whole number"),
        ({"layer_norm_eps": 0.0}, r"layer_norm_eps 0.0 is not a number within \[1e-12, 0.01\]"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps nan is not a number"),
        ({"layer_norm_eps": "1e-5"}, "layer_norm_eps '1e-5' is not a number"),
        ({"layer_norm_eps": 1}, "layer_norm_eps 1 is not a number"),
        ({"vocab_size": 6.5}, "vocab_size 6.5 is not a whole number"),
    ],
)
def test_an_impossible_shape_is_refused_with_the_setting(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        tiny_config(**changes)
