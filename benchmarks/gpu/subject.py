"""The measured models and their texts, shared by all parts of a run."""

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch
from tokenizers import Tokenizer

from benchmarks import texts as texts_
from benchmarks.engine import roofline
from benchmarks.measurements import Measurements
from benchmarks.results import Row
from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.engines.torch_engine import DTYPES, TorchEngine
from emotag_model.tagger import EmotionTagger

from . import goals

REAL = "real lengths"
SHIPPED = "emotag-mini"
MOST_TEXTS = 131_072
"""Texts of one measured call: about a second of an H200's work."""

DISTILBERT = {"dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072}
TINY = {"dim": 64, "n_layers": 1, "n_heads": 2, "hidden_dim": 128}

QUICK_TEXTS = 4
"""Texts of every call of a quick run."""


class NoDevice(Exception):
    """The requested device is not there."""


@dataclass(frozen=True)
class Model:
    """A model on the measured device.

    Attributes:
        name: as the rows show it.
    """

    name: str
    tagger: EmotionTagger
    trained: Artifact

    @property
    def engine(self) -> TorchEngine:
        """The engine below the tagger, for parts that change its plan."""
        engine = self.tagger._engine
        assert isinstance(engine, TorchEngine)
        return engine

    @property
    def dtype(self) -> torch.dtype:
        """The number format of its weights."""
        return DTYPES[self.tagger.precision]


@dataclass
class Subject:
    """Models and texts. Everything is made when a part first needs it.

    Attributes:
        missing: what could not be measured, with the reason; parts append to it.

    Raises:
        NoDevice: torch does not find *device*.
    """

    device: str
    quick: bool
    missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.on_gpu and not torch.cuda.is_available():
            raise NoDevice(
                f"cannot use --device {self.device}: torch finds no CUDA device. Run it on a machine with a GPU, "
                "or try it on the CPU: python -m benchmarks.gpu --device cpu --quick"
            )

    @property
    def on_gpu(self) -> bool:
        """True if the device is no CPU."""
        return self.device.startswith("cuda")

    @property
    def device_name(self) -> str:
        """The name that its maker gave the device."""
        return torch.cuda.get_device_name(self.device) if self.on_gpu else "cpu"

    @property
    def rounds(self) -> int:
        """Rounds of each comparison."""
        return 3 if self.quick else 7

    @cached_property
    def models(self) -> Sequence[Model]:
        """The shipped model, and one of DistilBERT's size, whose weights are random: only its speed means anything."""
        shipped = artifact.load(artifact.DEFAULT)
        large = make_random(shipped, TINY if self.quick else DISTILBERT)
        precision = "auto" if self.on_gpu else "fp32"
        load = partial(EmotionTagger.load, on=self.device, engine="torch", precision=precision)
        with tempfile.TemporaryDirectory() as folder:
            artifact.save(large, Path(folder), card="Random weights, to measure speed.\n")
            taggers = load(), load(folder)
        if self.quick:
            torch.set_num_threads(1)  # on a busy machine, threads that wait for each other take minutes
        return (
            Model(SHIPPED, taggers[0], shipped),
            Model("tiny" if self.quick else goals.LARGE, taggers[1], large),
        )

    def take(self, kind: str, count: int) -> list[str]:
        """Return *count* texts, or a few if the run is quick.

        Args:
            kind: `goals.SHORT` or `REAL`.
        """
        count = min(count, QUICK_TEXTS) if self.quick else count
        texts = self._texts[kind]
        return (texts * (1 + count // len(texts)))[:count]

    @cached_property
    def _texts(self) -> Mapping[str, list[str]]:
        short = make_short_texts(self.models[0].trained.tokenizer, QUICK_TEXTS if self.quick else MOST_TEXTS)
        return {goals.SHORT: short, REAL: texts_.read_texts()[0]}

    @cached_property
    def rooflines(self) -> Mapping[str, Row]:
        """The rate of matrix multiplication, by precision, measured once."""
        rows = {}
        for precision in ("bf16", "fp16") if self.on_gpu else ("fp32",):
            name = f"matrix multiplication alone, {precision}"
            sizes = (roofline.GPU_SIZES if self.on_gpu else roofline.SIZES)[: 1 if self.quick else None]
            rates = Measurements("gpu", "TFLOP/s")
            for number in range(3):
                seconds = 0.01 if self.quick else 0.3
                rate = roofline.measure_matmul_rate(precision, device=self.device, seconds=seconds, sizes=sizes)
                rates.add(name, number, rate / 1e12)
            (rows[precision],) = rates.rows(against={}, notes={})
        return rows

    @property
    def roofline(self) -> Row:
        """The roofline that every row is compared with."""
        return self.rooflines["bf16" if self.on_gpu else "fp32"]


def make_random(shipped: Artifact, dimensions: Mapping[str, int]) -> Artifact:
    """Return a model with these dimensions and random weights, and otherwise like *shipped*."""
    torch.manual_seed(0)
    model = DistilBertCNN(ModelConfig(**{**vars(shipped.config), **dimensions}))
    return Artifact("random", model.config, model.weights(), shipped.tokenizer, shipped.thresholds, {}, {})


def make_short_texts(tokenizer: Tokenizer, count: int) -> list[str]:
    """Return different texts of `goals.SHORT_TOKENS` tokens: words that are one token each."""
    words = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and word.islower())
    draw = random.Random(0)  # noqa: S311  (no secret)
    return [" ".join(draw.choices(words, k=goals.SHORT_TOKENS - 2)) for _ in range(count)]
