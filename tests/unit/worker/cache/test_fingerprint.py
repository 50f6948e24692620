"""Cache keys: equal for repeats, different for everything else."""

import pytest

from emotag_worker.cache.fingerprint import Fingerprint


def test_the_key_names_product_model_and_128_bits() -> None:
    product, model, digest = Fingerprint(model="m")("a text").split(":")
    assert (product, model, len(digest)) == ("emotag", "m", 32)


def test_texts_that_differ_only_in_whitespace_are_repeats() -> None:
    """Whitespace does not count. Letters, accents and case do: the tokenizer decides about them."""
    of = Fingerprint(model="m")
    assert of("a  b\n") == of(" a b")
    assert of("a b") != of("ab")
    assert of("A b") != of("a b")


def test_the_key_does_not_contain_the_text() -> None:
    assert "hunter" not in Fingerprint(model="m")("hunter")


@pytest.mark.parametrize(
    "other", [Fingerprint(model="n"), Fingerprint(model="m", secret="k"), Fingerprint(model="m", secret="l")]
)
def test_another_model_and_another_secret_have_other_keys(other: Fingerprint) -> None:
    assert Fingerprint(model="m")("a") != other("a")


def test_a_secret_of_any_length_counts_in_full() -> None:
    long = "k" * 100
    assert Fingerprint(model="m", secret=long + "1")("a") != Fingerprint(model="m", secret=long + "2")("a")


def test_a_lone_surrogate_does_not_stop_the_stream() -> None:
    assert Fingerprint(model="m")("\ud800")
