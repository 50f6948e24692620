"""Predict labelled texts: the probabilities that every figure is computed from, in float32 on any device."""

from collections.abc import Sequence

from emotag_model.artifact import Artifact
from emotag_model.config import ModelConfig
from emotag_model.engines.precision import PRECISIONS, EngineName, PrecisionName
from emotag_model.engines.protocol import ENGINE_KINDS, find_engines, open_engine
from emotag_model.engines.torch_engine import TorchEngine
from emotag_model.tokens import TokenIds
from emotag_training.data.split import TokenizedSplit
from emotag_training.errors import DataError

from .metrics import Floats

EXACT: PrecisionName = "fp32"
"""The precision of all figures: engines and devices differ in it by less than a figure's last digit."""


def predict(trained: Artifact, texts: TokenizedSplit, *, device: str = "cpu") -> Floats:
    """Return the probabilities [N, K] of *texts*.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.

    Raises:
        DataError: the texts have other labels than the artifact.
        DeviceUnknown: no engine that is installed runs the model on *device*.
    """
    if texts.split.labels != trained.config.labels:
        raise DataError(
            f"the model {trained.name} has other labels than the data set, or in another order: the model has"
            f" {', '.join(trained.config.labels)}; the texts have {', '.join(texts.split.labels)}"
        )
    return compute_exact(trained, texts.token_ids, device=device)


def compute_exact(trained: Artifact, token_ids: Sequence[TokenIds], *, device: str) -> Floats:
    """Return the probabilities [N, K] of tokenized texts, by the preferred engine that computes float32 on *device*."""
    engine = open_engine(trained, engine=_choose_exact_engine(trained.config, device), device=device, precision=EXACT)
    return engine.probabilities([text.ids for text in token_ids])


def compute_in(precision: PrecisionName, trained: Artifact, token_ids: Sequence[TokenIds]) -> Floats:
    """Return the probabilities [N, K] in a precision that loses quality: by the native engine, or by its imitation."""
    rows, native = [text.ids for text in token_ids], ENGINE_KINDS["native"]
    if "native" in PRECISIONS[precision].engines and native.is_installed and native.supports(trained.config):
        return open_engine(trained, engine="native", device="cpu", precision=precision).probabilities(rows)
    return TorchEngine(trained, device="cpu", precision=precision).probabilities(rows)


def _choose_exact_engine(config: ModelConfig, device: str) -> EngineName:
    able = (name for name in find_engines(device, config) if name in PRECISIONS[EXACT].engines)
    return next(able, "reference")  # training has torch, which the reference needs
