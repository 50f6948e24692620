"""A worker with constants detects no language and corrects no word."""

import pytest

from benchmarks.worker import constant_worker
from emotag_model.spelling.noise import Spelling
from emotag_model.tagger import EmotionTagger
from emotag_worker import cli
from emotag_worker.wire import encode

TEXTS = ["I h4te y0u", "Te odio, eres lo peor"]


def test_every_text_is_english_and_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((EmotionTagger, "find_scopes"), (encode, "_encode_scope")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # restored afterwards
    monkeypatch.setattr(Spelling, "of", Spelling.__dict__["of"])
    monkeypatch.setattr(cli, "main", lambda: None)
    monkeypatch.setattr("sys.argv", ["worker"])
    usual = EmotionTagger.load(engine="openvino", precision="fp32").tokenize(TEXTS)
    constant_worker.main()
    tagger = EmotionTagger.load(engine="openvino", precision="fp32")
    tokens = tagger.tokenize(TEXTS)
    assert [False, True] == [before == after for before, after in zip(usual, tokens, strict=True)]
    assert [constant_worker.ENGLISH] * 2 == tagger.find_scopes(TEXTS, tokens)
    assert b'"scope":"ok","language":"en"' == encode._encode_scope("other_language", "es")
