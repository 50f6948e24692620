"""emotag's own engine, as the other competitors see it: tokens to probabilities."""

from .rivals import Rival, Setting

NAME = "emotag"


def build(setting: Setting) -> Rival:
    """The tagger as the worker loads it: device and precision chosen by itself."""
    from model.tagger import EmotionTagger

    tagger = EmotionTagger.load()
    tagger.probabilities(setting.tokens)
    note = f"{tagger.engine}, {tagger.precision} on {tagger.device}"
    return Rival(NAME, "tokens", tagger.probabilities, note)  # type: ignore[arg-type]
