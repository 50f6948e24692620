"""CTranslate2, int8: the encoder by its DistilBERT converter, the head in torch, because it has no convolution."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import Competitor, Setting
from .batches import Forwards, Ids, Logits, Mask, choose_fastest, one_by_one, side_by_side

NAME = "CTranslate2, int8"


def build(setting: Setting) -> Competitor:
    """Return the encoder with one batch on all cores, or with one batch on each core."""
    name = f"ctranslate2-{version('ctranslate2')}"
    folder = setting.exports.make_once(name, lambda folder: _convert(setting, folder))
    configurations = {
        "one batch at a time": _forwards(setting, folder, at_a_time=1),
        f"{setting.cores} batches at a time": _forwards(setting, folder, at_a_time=setting.cores),
    }
    return choose_fastest(NAME, configurations, setting, note="weights per channel, head in torch")


def _convert(setting: Setting, folder: Path) -> None:
    """Convert the encoder with the library's own converter, from a folder that transformers wrote."""
    from ctranslate2.converters import TransformersConverter
    from transformers import DistilBertModel, PreTrainedTokenizerFast

    from . import hugging_face_folder

    source = hugging_face_folder.export(setting.exports)
    encoder = folder.with_suffix(".encoder")
    encoder.mkdir()
    try:
        DistilBertModel.from_pretrained(source).save_pretrained(encoder)
        PreTrainedTokenizerFast.from_pretrained(source).save_pretrained(encoder)
        TransformersConverter(str(encoder)).convert(str(folder), quantization="int8")
    finally:
        for file in encoder.iterdir():
            file.unlink()
        encoder.rmdir()


def _forwards(setting: Setting, folder: Path, *, at_a_time: int) -> Forwards:
    import ctranslate2

    threads = max(1, setting.cores // at_a_time)
    encoder: Any = ctranslate2.Encoder(str(folder), compute_type="int8", inter_threads=at_a_time, intra_threads=threads)
    model = setting.exports.build_model()

    @torch.inference_mode()
    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        lengths_B = mask_BL.sum(axis=1).astype(np.int32)
        output = encoder.forward_batch(
            ctranslate2.StorageView.from_array(ids_BL.astype(np.int32)), ctranslate2.StorageView.from_array(lengths_B)
        )
        hidden_BLC = torch.from_numpy(np.asarray(output.last_hidden_state))
        mask = torch.from_numpy(mask_BL)
        features_BFL = torch.relu(model.conv((hidden_BLC * mask.unsqueeze(-1)).transpose(1, 2)))
        logits_BK: Logits = model.classifier((features_BFL * mask.unsqueeze(1)).amax(dim=2)).numpy()
        return logits_BK

    return one_by_one(forward) if at_a_time == 1 else side_by_side(forward, at_a_time=at_a_time)
