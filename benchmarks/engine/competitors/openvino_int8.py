"""OpenVINO, int8: NNCF's post-training quantization, with settings that keep this model's quality.

NNCF's defaults for transformers lose quality: SmoothQuant alone, without any quantization, changes probabilities by 0.2
and costs 0.011 of macro F1. So SmoothQuant is off. The head and the second linear layer of each feed-forward block stay
in float, because their inputs have the longest tails.
"""

from importlib.metadata import version
from pathlib import Path

from benchmarks import texts
from emotag_model.tokens import Tokens, pad

from . import Competitor, Setting, openvino_float
from .batches import choose_fastest

NAME = "OpenVINO, int8"
IN_FLOAT = (".*conv.*", ".*classifier.*", ".*lin2.*")
CALIBRATION_TEXTS = 300
"""NNCF's default."""


def build(setting: Setting) -> Competitor:
    """Return the converted model, quantized statically."""
    name = f"openvino-{version('openvino')}-nncf-{version('nncf')}"
    path = setting.exports.make_once(name, lambda folder: _quantize(setting, folder)) / "model.xml"
    note = "static, without SmoothQuant, head and second feed-forward layers in float"
    return choose_fastest(NAME, openvino_float.compile_configurations(path, setting.cores), setting, note=note)


def _quantize(setting: Setting, folder: Path) -> None:
    import nncf
    import openvino

    trained = setting.exports.trained
    tokenize = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    rows = [text.ids for text in tokenize(texts.load().take(CALIBRATION_TEXTS).texts)]
    quantized = nncf.quantize(
        openvino.Core().read_model(openvino_float.export(setting.exports)),
        nncf.Dataset(rows, lambda row: list(pad([row], pad_id=0))),
        subset_size=CALIBRATION_TEXTS,
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(patterns=list(IN_FLOAT)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
        ),
    )
    openvino.save_model(quantized, folder / "model.xml", compress_to_fp16=False)
