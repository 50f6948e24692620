"""OpenVINO, int8: NNCF's post-training quantisation, as far as this model bears it.

NNCF's defaults for transformers do not: its SmoothQuant alone, with nothing quantised behind it, moves probabilities by
0.2 and costs 0.011 of macro F1. So it is off, and the head and the second linear layer of each feed-forward, whose
inputs have the longest tails, stay in float.
"""

from importlib.metadata import version
from pathlib import Path

from benchmarks import texts
from model.tokens import Tokens

from . import Rival, Setting, openvino_float
from .batches import fastest, rectangle

NAME = "OpenVINO, int8"
IN_FLOAT = (".*conv.*", ".*classifier.*", ".*lin2.*")
CALIBRATION_TEXTS = 300
"""As many as NNCF takes by default."""


def build(setting: Setting) -> Rival:
    """The converted model, quantised statically."""
    name = f"openvino-{version('openvino')}-nncf-{version('nncf')}"
    path = setting.exports.once(name, lambda folder: _quantise(setting, folder)) / "model.xml"
    note = "static, without SmoothQuant, head and second feed-forward layers in float"
    return fastest(NAME, openvino_float.configurations(path, setting.cores), setting, note=note)


def _quantise(setting: Setting, folder: Path) -> None:
    import nncf
    import openvino

    trained = setting.exports.trained
    tokenise = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    rows = [text.ids for text in tokenise(texts.load().take(CALIBRATION_TEXTS).texts)]
    quantised = nncf.quantize(
        openvino.Core().read_model(openvino_float.path(setting.exports)),
        nncf.Dataset(rows, lambda row: list(rectangle([row]))),
        subset_size=CALIBRATION_TEXTS,
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(patterns=list(IN_FLOAT)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
        ),
    )
    openvino.save_model(quantised, folder / "model.xml", compress_to_fp16=False)
