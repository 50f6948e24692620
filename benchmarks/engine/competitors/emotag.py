"""emotag's own engines in the form of a competitor: tokens or texts to probabilities."""

from collections.abc import Sequence

from emotag_model import artifact
from emotag_model.engines.choice import choose
from emotag_model.engines.precision import PrecisionName
from emotag_model.engines.protocol import find_engines, is_possible
from emotag_model.tagger import EmotionTagger

from . import Competitor, Probabilities, Setting

NAME = "emotag"
FROM_TEXTS = "emotag, from texts"
"""The row for competitors that tokenize themselves."""


def build(setting: Setting) -> Competitor:
    """Return the tagger as the worker loads it, with automatic device and precision."""
    return _build(NAME, EmotionTagger.load(), setting)


def build_engine(setting: Setting, engine: str, precision: str) -> Competitor:
    """Return the tagger with an engine that it would not choose here."""
    return _build(f"{NAME}, {engine} {precision}", EmotionTagger.load(engine=engine, precision=precision), setting)


def build_from_texts(setting: Setting) -> Competitor:
    """Return the automatic tagger, tokenization included."""
    tagger = EmotionTagger.load()

    def run(texts: Sequence[str]) -> Probabilities:
        return tagger.probabilities(tagger.tokenize(texts))

    run(setting.texts)
    return Competitor(FROM_TEXTS, "texts", run, _note(tagger))  # type: ignore[arg-type]


def is_own(name: str) -> bool:
    """Return True if *name* is a row of emotag."""
    return name == NAME or name.startswith(f"{NAME}, ")


def list_other_engines() -> list[str]:
    """Return emotag's other engines on this CPU as modules of a `CompetitorProcess`.

    Each gets the precision of the engine that emotag chooses here. An engine without that precision gets fp32.
    """
    trained = artifact.load(artifact.DEFAULT)
    chosen = choose(trained, device="cpu", engine="auto", precision="auto")
    precisions: tuple[PrecisionName, ...] = (chosen.precision, "fp32")
    modules = []
    for engine in find_engines("cpu", trained.config):
        able = [name for name in precisions if is_possible(engine, name)]
        if engine != chosen.engine and able:
            modules.append(f"emotag:build_engine:{engine}:{able[0]}")
    return modules


def _build(name: str, tagger: EmotionTagger, setting: Setting) -> Competitor:
    tagger.probabilities(setting.tokens)
    return Competitor(name, "tokens", tagger.probabilities, _note(tagger))  # type: ignore[arg-type]


def _note(tagger: EmotionTagger) -> str:
    return f"{tagger.engine}, {tagger.precision} on {tagger.device}"
