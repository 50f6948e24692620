"""The tagger: other texts and their order never change a result, and a text that fails the device harms no other."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import fasttext
import numpy as np
import numpy.typing as npt
import pandas
import pytest
import torch

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.reference_engine import ReferenceEngine
from emotag_model.errors import DeviceFailed
from emotag_model.reasons.spans import Maxima
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds
from emotag_worker.local.demo_records import read_sample_texts
from tests.numerics.conftest import tiny_config

TEXTS = read_sample_texts()[:24]
ROOT = Path(__file__).parents[3]


def test_a_text_is_tagged_alike_alone_and_among_others(tagger: EmotionTagger) -> None:
    """To the last bit, and in any order."""
    together = tagger.tag(TEXTS)
    assert together == tagger.tag(TEXTS[::-1])[::-1]
    assert together == [tagger.tag([text])[0] for text in TEXTS]


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


def test_texts_may_come_from_a_data_frame_an_array_or_a_generator(tagger: EmotionTagger) -> None:
    texts = ["thank you so much", "I am furious"]
    expected = tagger.tag(texts)
    frame = pandas.DataFrame({"text": ["left out", *texts]})
    for given in (frame["text"][1:], np.array(texts), np.array(texts, dtype=object), (text for text in texts)):
        assert expected == tagger.tag(given)
    assert [] == tagger.tag(frame["text"][:0])
    assert [] == tagger.tag(np.array([], dtype=str))


@pytest.mark.parametrize("missing", [None, float("nan"), 7, b"a secret"])
def test_what_is_no_string_is_named_by_its_position_and_type(tagger: EmotionTagger, missing: object) -> None:
    pattern = f"text 1 .* has the type {type(missing).__name__} and is not a string: drop missing texts first"
    for texts in (["a secret", missing], pandas.Series(["a secret", missing], dtype=object)):
        with pytest.raises(TypeError, match=pattern) as caught:
            tagger.tag(texts)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)


def test_an_unknown_reading_of_long_texts_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="long_texts='last' is unknown; use 'windows' or 'first'"):
        EmotionTagger.load(long_texts="last")  # type: ignore[arg-type]


def test_a_table_is_a_mistake(tagger: EmotionTagger) -> None:
    """Its columns' names would be tagged."""
    with pytest.raises(TypeError, match="one column"):
        tagger.tag(pandas.DataFrame({"text": ["a"]}))


def test_a_text_beyond_the_window_is_judged_by_its_beginning(tagger: EmotionTagger) -> None:
    """A text of 900 KB costs no more than a page."""
    beginning = "thank you so much " * 40
    short, long, single = tagger.tag(["thank you so much", beginning + "hate " * 180_000, "a" * 900_000])
    assert not short.truncated
    assert long.truncated
    assert single.truncated
    assert "gratitude" == long.top(1)[0].label


def test_any_characters_at_all_get_a_result(tagger: EmotionTagger) -> None:
    odd = ["\x00", "\u202e\u200b", "🙂" * 200, "日本語", "a\x00b", "\ud800", "\n\t", "", "e\u0301" * 50]
    assert len(odd) == len(tagger.tag(odd))


def test_a_text_that_fails_the_detector_is_tagged_without_a_language_and_harms_no_other(
    tiny_artifact: Callable[[], Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact.save(tiny_artifact(), tmp_path, card="")
    texts = ["what a lovely day it is today", "Te odio, eres lo peor"]
    expected = EmotionTagger.load(tmp_path, on="cpu", engine="torch", precision="fp32").tag(texts)
    assert ["en", "es"] == [tagging.language for tagging in expected]

    load = fasttext.load_model

    class Fragile:
        def __init__(self, path: str) -> None:
            self._model = load(path)

        def predict(self, text: str) -> object:
            if "lovely" in text:
                raise RuntimeError
            return self._model.predict(text)

    monkeypatch.setattr("emotag_model.scope.detector.fasttext.load_model", Fragile)
    found = EmotionTagger.load(tmp_path, on="cpu", engine="torch", precision="fp32").tag(texts)
    assert [replace(expected[0], language=None), expected[1]] == found


class Poisoned(EmotionTagger):
    """A fault like a driver's: it fails if the batch contains a text with the token of "z"."""

    broken = False

    def probabilities(self, texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        zebra = self.tokenize(["zebra"])[0].ids[1]
        if self.broken or any(zebra in text.ids for text in texts):
            raise RuntimeError("device-side assert triggered")
        return super().probabilities(texts)


def test_a_text_that_fails_the_device_harms_no_other() -> None:
    """The batch is halved down to it."""
    tagger = Poisoned.load(on="cpu", engine="openvino", precision="fp32")
    texts = [*TEXTS[:9], "a zebra", *TEXTS[9:20], "zebra again"]
    found, errors = tagger.probabilities_or_errors(tagger.tokenize(texts))
    assert {9, 21} == set(errors)
    expected = EmotionTagger.load(on="cpu", engine="openvino", precision="fp32").tag(texts)
    for row, tagging in enumerate(expected):
        if row not in errors:
            assert list(tagging.scores.values()) == found[row].tolist()


def test_finding_the_guilty_text_costs_a_forward_for_each_halving_and_its_other_half() -> None:
    """Among 64 texts: the whole batch, two passes per halving, and the test text; not 64 passes."""
    tagger = Poisoned.load(on="cpu", precision="fp32")
    calls: list[int] = []
    whole = tagger.probabilities

    def counted(texts: Sequence[TokenIds]) -> npt.NDArray[np.float32]:
        calls.append(len(texts))
        return whole(texts)

    tagger.probabilities = counted  # type: ignore[method-assign]
    texts = ["a good day"] * 37 + ["a zebra"] + ["a good day"] * 26
    _, errors = tagger.probabilities_or_errors(tagger.tokenize(texts))
    assert {37} == set(errors)
    assert 1 + 2 * 6 + 1 == len(calls)


def test_a_device_that_fails_on_everything_is_the_devices_fault() -> None:
    """No text is dead-lettered for it."""
    tagger = Poisoned.load(on="cpu", precision="fp32")
    tagger.broken = True
    with pytest.raises(DeviceFailed, match="device-side assert"):
        tagger.probabilities_or_errors(tagger.tokenize(TEXTS))


def test_a_cpu_needs_no_torch() -> None:
    """Tag a text, from an artifact's files to its emotions, without torch, transformers or a hub client."""
    program = (
        "import sys\n"
        "from emotag_model import EmotionTagger\n"
        "tagging = EmotionTagger.load(on='cpu', engine='openvino').tag(['thank you so much'])[0]\n"
        "assert 'gratitude' == tagging.emotions[0].label\n"
        "assert not {'huggingface_hub', 'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.fixture
def with_attention(tiny_artifact: Callable[[], Artifact], tmp_path: Path) -> Path:
    """A saved artifact with attention in its head."""
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config(attention_heads=4)).eval()
    made = replace(tiny_artifact(), config=model.config, weights=model.weights())
    artifact.save(made, tmp_path / "attention", card="", dtype="fp32")
    return tmp_path / "attention"


def test_a_model_with_attention_is_served_by_the_reference(with_attention: Path) -> None:
    """Loaded from its directory, tagged, and equal to the network itself."""
    tagger = EmotionTagger.load(with_attention, on="cpu")
    assert ("reference", "fp32", "cpu") == (tagger.engine, tagger.precision, tagger.device)
    tagging = tagger.tag(["abc def"])[0]
    trained = artifact.load(with_attention)
    assert 4 == trained.config.attention_heads
    ids = torch.tensor([tagger.tokenize(["abc def"])[0].ids])
    with torch.inference_mode():
        logits_BK = DistilBertCNN.of(trained.config, trained.weights)(ids, torch.ones_like(ids, dtype=torch.bool))
    assert np.allclose(torch.sigmoid(logits_BK)[0].numpy(), list(tagging.scores.values()), atol=1e-6)


def test_a_long_text_is_read_in_windows_unless_only_its_beginning_is_wanted() -> None:
    """Spans are those of the text as it was given."""
    neutral = "The meeting was moved from Monday to Tuesday afternoon, at the same place. " * 10
    text = f"  {neutral}\n\nThank you so much, I am really grateful!  "
    long, short = EmotionTagger.load(on="cpu").tag([text, "Thank you!"])
    assert short.parts is None
    assert not long.truncated
    assert "gratitude" in [emotion.label for emotion in long.emotions]
    assert long.parts is not None
    assert 3 == len(long.parts)
    first, *_, last = (text[part.start : part.end] for part in long.parts)
    assert first.startswith("The meeting")
    assert last.endswith("grateful!")
    assert ["neutral"] == [emotion.label for emotion in long.parts[0].emotions]
    assert "gratitude" in [emotion.label for emotion in long.parts[-1].emotions]
    assert "neutral" not in [emotion.label for emotion in long.emotions]
    (beginning,) = EmotionTagger.load(on="cpu", long_texts="first").tag([text])
    assert (True, None) == (beginning.truncated, beginning.parts)
    assert "gratitude" not in [emotion.label for emotion in beginning.emotions]


def test_the_probabilities_of_tokens_are_those_of_the_whole_text(tagger: EmotionTagger) -> None:
    texts = ["Thank you!", "The meeting was moved from Monday to Tuesday. " * 20 + "Thank you so much!", "I hate it."]
    tokens = tagger.tokenize(texts)
    assert [0, 4, 0] == [len(text.windows) for text in tokens]
    expected_BK = [list(tagging.scores.values()) for tagging in tagger.tag(texts)]
    np.testing.assert_array_equal(np.array(expected_BK, np.float32), tagger.probabilities(tokens))


@pytest.fixture(scope="module")
def explaining() -> EmotionTagger:
    return EmotionTagger.load(on="cpu", engine="openvino", precision="fp32", reasons=True)


def test_reasons_are_parts_of_the_text_and_change_no_score(explaining: EmotionTagger, tagger: EmotionTagger) -> None:
    texts = [
        "",
        "  Thank\n\nyou  so much 😀, my friend!",
        "I h4te  th1s",
        *TEXTS[:5],
        "A fine day. " * 80 + "Thank you!",
    ]
    for text, found, plain in zip(texts, explaining.tag(texts), tagger.tag(texts), strict=True):
        assert {} == plain.reasons
        assert plain == replace(found, reasons={})
        assert set(explaining.labels) == set(found.reasons)
        for reasons in found.reasons.values():
            assert sum(reason.share for reason in reasons) <= 1
            assert all(0 <= reason.start < reason.end <= len(text) and reason.share > 0 for reason in reasons)
            for one, other in itertools.combinations(reasons, 2):
                assert one.end <= other.start or other.end <= one.start
    gratitude = explaining.tag(texts)[1].reasons["gratitude"][0]
    assert "Thank\n\nyou  so much" in texts[1][gratitude.start : gratitude.end]
    ending = explaining.tag(texts)[-1].reasons["gratitude"][0]
    assert "Thank you" in texts[-1][ending.start : ending.end]


def test_a_text_that_fails_has_no_spans_and_harms_no_other(
    explaining: EmotionTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    zebra, whole = explaining.tokenize(["zebra"])[0].ids[1], explaining._engine.explain

    def explain(rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.float32], Maxima]:
        if any(zebra in row for row in rows):
            raise RuntimeError("device-side assert triggered")
        return whole(rows)

    tokens = explaining.tokenize([*TEXTS[:5], "a zebra", *TEXTS[5:9]])
    expected_BK, expected_spans, _ = explaining.explain_or_errors(tokens)
    monkeypatch.setattr(explaining._engine, "explain", explain)
    found_BK, spans, errors = explaining.explain_or_errors(tokens)
    others = [row for row in range(10) if row != 5]
    assert [5] == list(errors)
    assert np.array_equal(expected_BK[others], found_BK[others])
    assert np.array_equal(expected_spans[others], spans[others])
    assert not found_BK[5].any()
    assert not spans[5].any()
    assert expected_spans[5].any()


def test_a_text_whose_values_are_not_finite_fails_alone_and_has_no_spans(with_attention: Path) -> None:
    """NaN equals no value, so an engine returns a position outside the text."""
    tagger = EmotionTagger.load(with_attention, on="cpu", reasons=True)
    assert "reference" == tagger.engine
    tokens = tagger.tokenize(["a", "b"])
    broken = tokens[0].ids[1]
    assert isinstance(tagger._engine, ReferenceEngine)
    with torch.no_grad():
        tagger._engine._model.encoder.embeddings.word_embeddings.weight[broken] = torch.nan
    _, expected_errors = tagger.probabilities_or_errors(tokens)
    found_BK, spans, errors = tagger.explain_or_errors(tokens)
    assert [0] == list(expected_errors) == list(errors)
    assert not found_BK[0].any()
    assert not spans[0].any()
    assert found_BK[1].any()
