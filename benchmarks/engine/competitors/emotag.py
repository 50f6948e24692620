"""emotag's own engine in the form of a competitor: tokens or texts to probabilities."""

from collections.abc import Sequence

from emotag_model.tagger import EmotionTagger

from . import Competitor, Probabilities, Setting

NAME = "emotag"
FROM_TEXTS = "emotag, from texts"
"""The row for competitors that tokenize themselves."""


def build(setting: Setting) -> Competitor:
    """Return the tagger as the worker loads it, with automatic device and precision."""
    tagger = EmotionTagger.load()
    tagger.probabilities(setting.tokens)
    return Competitor(NAME, "tokens", tagger.probabilities, _note(tagger))  # type: ignore[arg-type]


def build_from_texts(setting: Setting) -> Competitor:
    """Return the same tagger, tokenization included."""
    tagger = EmotionTagger.load()

    def run(texts: Sequence[str]) -> Probabilities:
        return tagger.probabilities(tagger.tokenize(texts))

    run(setting.texts)
    return Competitor(FROM_TEXTS, "texts", run, _note(tagger))  # type: ignore[arg-type]


def _note(tagger: EmotionTagger) -> str:
    return f"{tagger.engine}, {tagger.precision} on {tagger.device}"
