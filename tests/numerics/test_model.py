"""Padding, neighbours and order never change what the model says of a text."""

from collections.abc import Sequence

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.distilbert_cnn import DistilBertCNN
from model.tagger import DeviceFailed, EmotionTagger
from model.tokens import TokenIds
from worker.demo import sample_texts

from .conftest import tiny_config

TEXTS = sample_texts()[:24]


@pytest.fixture(scope="module")
def tiny() -> DistilBertCNN:
    torch.manual_seed(0)
    return DistilBertCNN(tiny_config()).eval()


@hypothesis.settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6), extra=st.integers(0, 9), fill=st.integers(0, 63))
def test_padding_never_changes_a_result(tiny: DistilBertCNN, lengths: list[int], extra: int, fill: int) -> None:
    """However much of it there is, and whatever ids stand in it."""
    torch.manual_seed(sum(lengths))
    width = min(max(lengths) + extra, 40)
    ids_BL = torch.full((len(lengths), width), fill)
    mask_BL = torch.zeros(len(lengths), width, dtype=torch.bool)
    with torch.inference_mode():
        alone = []
        for row, length in enumerate(lengths):
            ids = torch.randint(5, 64, (length,))
            ids_BL[row, :length] = ids
            mask_BL[row, :length] = True
            alone.append(tiny(ids[None], torch.ones(1, length, dtype=torch.bool))[0])
        together = tiny(ids_BL, mask_BL)
    assert (torch.stack(alone) - together).abs().max() < 1e-5


def test_only_masking_the_pool_would_not_be_enough(tiny: DistilBertCNN) -> None:
    """The convolution's kernel reaches two tokens to either side: what lies there must be zero before it."""
    ids_BL = torch.tensor([[2, 5, 3, 9, 9]])
    real = torch.tensor([[True, True, True, False, False]])
    with torch.inference_mode():
        hidden_BLC = tiny.trunk(ids_BL, real)
        leaking = torch.relu(tiny.conv(hidden_BLC.transpose(1, 2)))[:, :, :3].amax(dim=2)
        sound = torch.relu(tiny.conv((hidden_BLC * real.unsqueeze(-1)).transpose(1, 2)))[:, :, :3].amax(dim=2)
    assert (leaking - sound).abs().max() > 1e-3


def test_the_head_is_the_originals() -> None:
    """Conv1d 128 x 5, dropout 0.42, one output per label."""
    model = DistilBertCNN(tiny_config(channels=128, head_dropout=0.42))
    assert (tuple(model.conv.weight.shape), model.dropout.p) == ((128, 32, 5), 0.42)
    assert 3 == model.classifier.out_features


def test_a_text_is_tagged_alike_alone_and_among_others(tagger: EmotionTagger) -> None:
    """To 1e-3, as the contract says; in any order."""
    together = tagger.tag(TEXTS)
    backwards = tagger.tag(TEXTS[::-1])[::-1]
    for text, first, second in zip(TEXTS, together, backwards, strict=True):
        alone = tagger.tag([text])[0]
        for label, score in alone.scores.items():
            assert abs(score - first.scores[label]) < 1e-3
            assert abs(score - second.scores[label]) < 1e-3


def test_excitement_is_recognised(tagger: EmotionTagger) -> None:
    tagging = tagger.tag(["I'm so excited about this new opportunity!"])[0]
    assert "excitement" == tagging.top(5)[0].label
    assert "excitement" == tagging.emotions[0].label
    assert 5 == len(tagging.top(5))
    assert 28 == len(tagging.scores)


def test_no_texts_give_no_results_and_one_string_is_a_mistake(tagger: EmotionTagger) -> None:
    assert [] == tagger.tag([])
    with pytest.raises(TypeError, match="sequence"):
        tagger.tag("a text")


def test_a_text_beyond_the_window_is_judged_by_its_beginning(tagger: EmotionTagger) -> None:
    """900 KB of it cost no more than a page."""
    beginning = "thank you so much " * 40
    short, long, single = tagger.tag(["thank you so much", beginning + "hate " * 180_000, "a" * 900_000])
    assert not short.truncated
    assert long.truncated
    assert single.truncated
    assert "gratitude" == long.top(1)[0].label


def test_any_characters_at_all_get_a_result(tagger: EmotionTagger) -> None:
    odd = ["\x00", "\u202e\u200b", "🙂" * 200, "日本語", "a\x00b", "\ud800", "\n\t", "", "e\u0301" * 50]
    assert len(odd) == len(tagger.tag(odd))


class Poisoned(EmotionTagger):
    """Fails whenever a text with the token of "z" is in the batch: what a driver's fault looks like from here."""

    broken = False

    def probabilities(self, texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        zebra = self.tokenise(["zebra"])[0].ids[1]
        if self.broken or any(zebra in text.ids for text in texts):
            raise RuntimeError("device-side assert triggered")
        return super().probabilities(texts)


def test_a_text_that_fails_the_device_harms_no_other() -> None:
    """The batch is halved down to it."""
    tagger = Poisoned.load(on="cpu", precision="fp32")
    texts = [*TEXTS[:9], "a zebra", *TEXTS[9:20], "zebra again"]
    found, errors = tagger.probabilities_or_errors(tagger.tokenise(texts))
    assert {9, 21} == set(errors)
    expected = EmotionTagger.load(on="cpu", precision="fp32").tag(texts)
    for row, tagging in enumerate(expected):
        if row not in errors:
            assert abs(max(tagging.scores.values()) - float(found[row].max())) < 1e-3


def test_finding_the_guilty_text_costs_a_forward_for_each_halving_and_its_other_half() -> None:
    """Among 64 texts: the whole, then twice as many as halvings, and the canary; not 64."""
    tagger = Poisoned.load(on="cpu", precision="fp32")
    calls: list[int] = []
    whole = tagger.probabilities

    def counted(texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        calls.append(len(texts))
        return whole(texts)

    tagger.probabilities = counted  # type: ignore[method-assign]
    texts = ["a good day"] * 37 + ["a zebra"] + ["a good day"] * 26
    _, errors = tagger.probabilities_or_errors(tagger.tokenise(texts))
    assert {37} == set(errors)
    assert 1 + 2 * 6 + 1 == len(calls)


def test_a_device_that_fails_on_everything_is_the_devices_fault() -> None:
    """No text may be blamed, and dead-lettered, for it."""
    tagger = Poisoned.load(on="cpu", precision="fp32")
    tagger.broken = True
    with pytest.raises(DeviceFailed, match="device-side assert"):
        tagger.probabilities_or_errors(tagger.tokenise(TEXTS))
