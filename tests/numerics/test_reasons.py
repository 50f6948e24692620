"""The reasons of a label are an exact part of its logit, in every engine, and the score depends on them."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotag_model.artifact import Artifact
from emotag_model.engines import openvino_engine
from emotag_model.engines.native import library
from emotag_model.engines.native.engine import NativeEngine
from emotag_model.engines.precision import PRECISIONS, EngineName, PrecisionName
from emotag_model.engines.protocol import Engine, is_possible, open_engine
from emotag_model.reasons.spans import Maxima
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import Tokens
from emotag_worker.local.demo_records import read_sample_texts

from .regroupings import Rows
from .test_bits import is_same

Candidate = tuple[EngineName, PrecisionName]
CANDIDATES: list[Candidate] = [
    *((engine, name) for name, row in PRECISIONS.items() for engine in row.engines),
    ("torch", "int8"),  # the imitation
]
TOLERANCE: dict[str, float] = {"fp32": 1e-4, "int8": 1e-4, "fp16": 0.05, "bf16": 0.2}
"""Of a logit, if the classifier computes in this precision; in int8, it computes in fp32."""

TIMES_RANDOM = 2.5
"""The named window lowers the score at least this many times as much as a window at a random place."""


@pytest.fixture(scope="module")
def rows(shipped: Artifact) -> Rows:
    """Sample texts, one of a single word, an empty one, and one as long as the model's window."""
    texts = [*read_sample_texts()[:12], "yes", "", "thank you so much " * 60]
    return [text.ids for text in Tokens(shipped.tokenizer, max_tokens=shipped.config.max_tokens)(texts)]


@pytest.fixture(params=CANDIDATES, ids="/".join)
def engine(request: pytest.FixtureRequest, shipped: Artifact, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Every engine in every precision; int8 also without VNNI: what it computes then is wrong, but repeatable."""
    name, precision = request.param
    if (name, precision) == ("openvino", "int8"):
        monkeypatch.setattr(openvino_engine, "list_instructions", lambda: ["avx512_vnni"])
    elif (name, precision) != ("torch", "int8") and not is_possible(name, precision):
        pytest.skip(f"this processor cannot do {precision}")
    return open_engine(shipped, engine=name, device="cpu", precision=precision, explained=True)


def choose_few(rows: Rows, engine: Engine) -> Rows:
    """Return fewer texts in formats that most processors emulate, 50 times as slowly."""
    return rows[10:14] if engine.precision in ("bf16", "fp16") else rows


def test_the_logit_is_the_bias_and_the_sum_of_what_the_maxima_add(
    engine: Engine, shipped: Artifact, rows: Rows
) -> None:
    few = choose_few(rows, engine)
    probabilities_BK, maxima = engine.explain(few)
    classifier_KF, bias_K = (shipped.weights[f"classifier.{name}"] for name in ("weight", "bias"))
    logits_BK = maxima.values_BF.astype(np.float64) @ classifier_KF.T + bias_K
    precise_BK = probabilities_BK.astype(np.float64)
    expected_BK = np.log(precise_BK / (1 - precise_BK))
    assert np.abs(logits_BK - expected_BK).max() < TOLERANCE[engine.precision]
    lengths_B1 = np.array([[len(row)] for row in few])
    assert ((maxima.positions_BF >= 0) & (maxima.positions_BF < lengths_B1)).all()


def test_an_explained_text_has_the_same_bits_alone_in_any_batch_and_without_an_explanation(
    engine: Engine, shipped: Artifact, rows: Rows
) -> None:
    few = choose_few(rows, engine)
    probabilities_BK, maxima = engine.explain(few)
    plain = open_engine(shipped, engine=engine.name, device="cpu", precision=engine.precision)  # type: ignore[arg-type]
    assert np.array_equal(plain.probabilities(few), probabilities_BK)
    assert np.array_equal(engine.probabilities(few), probabilities_BK)
    reversed_BK, reversed_maxima = engine.explain(few[::-1])
    alone = [engine.explain([row])[1] for row in few]
    assert is_same(reversed_BK[::-1], probabilities_BK, engine.name)
    for part, backwards, single in zip(maxima, reversed_maxima, zip(*alone, strict=True), strict=True):
        for other in (backwards[::-1], np.concatenate(single)):
            assert is_same(part.astype(np.float32), other.astype(np.float32), engine.name)


def test_of_equal_values_every_engine_takes_the_first(shipped: Artifact, engine: Engine) -> None:
    """Without embeddings, all tokens are equal, and the convolution differs only at the two tokens at either end."""
    weights = {name: np.array(shipped.weights[name]) for name in shipped.weights}
    for name in ("word", "position"):
        weights[f"encoder.embeddings.{name}_embeddings.weight"][:] = 0
    even, length = replace(shipped, weights=weights), 11
    opened = open_engine(even, engine=engine.name, device="cpu", precision=engine.precision, explained=True)  # type: ignore[arg-type]
    _, maxima = opened.explain([[2000] * length, [2000] * (length - 4)])
    found = set(maxima.positions_BF[0][maxima.values_BF[0] > 0].tolist())
    assert 2 in found
    assert found <= {0, 1, 2, length - 2, length - 1}


def test_every_path_of_the_native_engine_finds_the_same_tokens(
    shipped: Artifact, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Maxima] = []
    for path in library.list_paths():
        monkeypatch.setenv(library.PATH_VARIABLE, path.contents.name.decode())
        found.append(NativeEngine(shipped).explain(rows)[1])
    assert all(np.array_equal(found[0].values_BF, other.values_BF) for other in found)
    assert all(np.array_equal(found[0].positions_BF, other.positions_BF) for other in found)


def test_without_the_named_words_the_score_falls_more_than_without_others(goemotions: Path) -> None:
    """Of the strongest emotion, on dev, for texts of ten words and more. The other words are as many, at random."""
    lines = (goemotions / "dev.tsv").read_text(encoding="utf-8").splitlines()
    texts = [text for line in lines if len((text := line.split("\t")[0]).split()) >= 10][:300]
    tagger, rng = EmotionTagger.load(on="cpu", reasons=True), random.Random(0)
    shorter, labels, scores = [], [], []
    for text, tagging in zip(texts, tagger.tag(texts), strict=True):
        label, score = next(each for each in tagging.top(2) if each.label != "neutral")
        if not tagging.reasons[label]:  # its score comes from the bias
            continue
        reason = tagging.reasons[label][0]
        words, removed = text.split(), len(text[reason.start : reason.end].split())
        first = rng.randint(0, len(words) - removed)
        shorter += [text[: reason.start] + text[reason.end :], " ".join(words[:first] + words[first + removed :])]
        labels += [label, label]
        scores += [score, score]
    falls = [
        before - tagging.scores[label]
        for tagging, label, before in zip(tagger.tag(shorter), labels, scores, strict=True)
    ]
    assert np.mean(falls[::2]) > TIMES_RANDOM * np.mean(falls[1::2]), (np.mean(falls[::2]), np.mean(falls[1::2]))
