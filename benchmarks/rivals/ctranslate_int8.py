"""CTranslate2, int8: the trunk as it converts a DistilBERT; the head in torch, since it offers no convolution."""

from collections.abc import Sequence
from importlib.metadata import version
from itertools import starmap
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import Rival, Setting
from .batches import Forwards, Ids, Logits, Mask, fastest

NAME = "CTranslate2, int8"


def build(setting: Setting) -> Rival:
    """The trunk's encoder with one batch on all cores, or one a core at a time."""
    name = f"ctranslate2-{version('ctranslate2')}"
    folder = setting.exports.once(name, lambda folder: _convert(setting, folder))
    configurations = {
        "one batch at a time": _forwards(setting, folder, at_a_time=1),
        f"{setting.cores} batches at a time": _forwards(setting, folder, at_a_time=setting.cores),
    }
    return fastest(NAME, configurations, setting, note="weights per channel, head in torch")


def _convert(setting: Setting, folder: Path) -> None:
    """By its own converter, from the trunk as transformers saves it."""
    from ctranslate2.converters import TransformersConverter
    from transformers import DistilBertModel, PreTrainedTokenizerFast

    from . import hugging_face_folder

    source = hugging_face_folder.path(setting.exports)
    trunk = folder.with_suffix(".trunk")
    trunk.mkdir()
    try:
        DistilBertModel.from_pretrained(source).save_pretrained(trunk)
        PreTrainedTokenizerFast.from_pretrained(source).save_pretrained(trunk)
        TransformersConverter(str(trunk)).convert(str(folder), quantization="int8")
    finally:
        for file in trunk.iterdir():
            file.unlink()
        trunk.rmdir()


def _forwards(setting: Setting, folder: Path, *, at_a_time: int) -> Forwards:
    import ctranslate2

    threads = max(1, setting.cores // at_a_time)
    encoder: Any = ctranslate2.Encoder(str(folder), compute_type="int8", inter_threads=at_a_time, intra_threads=threads)
    model = setting.exports.model()

    @torch.inference_mode()
    def forward(ids_BL: Ids, mask_BL: Mask) -> Logits:
        lengths_B = mask_BL.sum(axis=1).astype(np.int32)
        found = encoder.forward_batch(
            ctranslate2.StorageView.from_array(ids_BL.astype(np.int32)), ctranslate2.StorageView.from_array(lengths_B)
        )
        hidden_BLC = torch.from_numpy(np.asarray(found.last_hidden_state))
        mask = torch.from_numpy(mask_BL)
        features_BFL = torch.relu(model.conv((hidden_BLC * mask.unsqueeze(-1)).transpose(1, 2)))
        logits_BK: Logits = model.classifier((features_BFL * mask.unsqueeze(1)).amax(dim=2)).numpy()
        return logits_BK

    def forwards(batches: Sequence[tuple[Ids, Mask]]) -> list[Logits]:
        if at_a_time == 1:
            return list(starmap(forward, batches))
        with ThreadPool(at_a_time) as pool:
            return pool.starmap(forward, batches, chunksize=1)

    return forwards
