"""emotag's own engine from raw texts, to be set beside competitors that tokenise themselves."""

from collections.abc import Sequence

from .rivals import Probabilities, Rival, Setting

NAME = "emotag, from texts"


def build(setting: Setting) -> Rival:
    """The tagger as the worker loads it, tokenising included."""
    from model.tagger import EmotionTagger

    tagger = EmotionTagger.load()

    def run(texts: Sequence[str]) -> Probabilities:
        return tagger.probabilities(tagger.tokenise(texts))

    run(setting.texts)
    return Rival(NAME, "texts", run, f"{tagger.engine}, {tagger.precision} on {tagger.device}")  # type: ignore[arg-type]
