"""A worker without its engine returns real probabilities, computed once."""

import pytest

from benchmarks.worker import engineless_worker
from emotag_model.tagger import EmotionTagger
from emotag_model.tokens import TokenIds
from emotag_worker import cli


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch) -> EmotionTagger:
    monkeypatch.setattr(EmotionTagger, "probabilities", EmotionTagger.probabilities)  # restored afterwards
    monkeypatch.setattr(cli, "main", lambda: None)
    monkeypatch.setattr("sys.argv", ["worker"])
    loaded = EmotionTagger.load(engine="openvino", precision="fp32")
    engineless_worker.main()
    return loaded


def test_texts_get_the_probabilities_of_the_known_texts_in_turn(tagger: EmotionTagger) -> None:
    rows_BK = tagger.probabilities([TokenIds((1,), False)] * (engineless_worker.KNOWN_TEXTS + 2))
    assert (rows_BK[:2] == rows_BK[engineless_worker.KNOWN_TEXTS :]).all()
    assert 1 < len({row.tobytes() for row in rows_BK})
