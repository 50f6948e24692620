"""The model as a folder that transformers, and libraries based on it, load by path."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from emotag_model.artifact import Artifact

from .exports import Exports

MODELING = Path(__file__).with_name("modeling_emotag.py")


def export(exports: Exports) -> Path:
    """Return the folder: configuration, float32 weights, tokenizer and the model class."""
    return exports.make_once("hugging-face", lambda folder: _write(exports.trained, folder))


def _write(trained: Artifact, folder: Path) -> None:
    folder.mkdir()
    weights = {name: torch.from_numpy(values) for name, values in trained.weights.items()}
    save_file(
        {name.replace("encoder.", "distilbert.", 1): tensor.contiguous() for name, tensor in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    (folder / "config.json").write_text(json.dumps(_config(trained), indent=1), encoding="utf-8")
    trained.tokenizer.no_padding()
    trained.tokenizer.no_truncation()
    trained.tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": trained.config.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1), encoding="utf-8")
    shutil.copy(MODELING, folder / MODELING.name)


def _config(trained: Artifact) -> dict[str, object]:
    config = trained.config
    kind = "EmotagForSequenceClassification"
    return {
        "model_type": "distilbert",
        "architectures": [kind],
        "auto_map": {"AutoModelForSequenceClassification": f"{MODELING.stem}.{kind}"},
        "problem_type": "multi_label_classification",
        "id2label": dict(enumerate(config.labels)),
        "label2id": {label: number for number, label in enumerate(config.labels)},
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "dim": config.dim,
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "hidden_dim": config.hidden_dim,
        "activation": "gelu",
        "pad_token_id": config.pad_token_id,
        "channels": config.channels,
        "kernel_size": config.kernel_size,
    }
