"""A trained model as a folder for onnxruntime, without emotag.

    model.onnx         the graph, float32: ids and mask in, logits out; any number of texts of any length
    tokenizer.json     set to cut and to pad: `encode_batch` gives the rectangle the graph takes
    thresholds.json    the artifact's: a label is given where its probability is at or over its own
    config.json        labels in the logits' order, the window, and which artifact it was
    README.md          how to run it

The folder records no place and no time: the same artifact gives the same bytes.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from tokenizers import Tokenizer

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tokens import Tokens, pad

from .artifact_writer import refuse_source
from .onnx_graph import OPSET, build_graph

FORMAT, FORMAT_VERSION = "emotag-onnx", 1
GRAPH = "model.onnx"
PROBES = ("so glad it worked, thank you", "no")
"""Of unlike length, so that padding is in the check."""
TOLERANCE = 1e-4
"""In logits; float32 in another order of summing differs by 1e-5."""


def export_onnx(source: Path, path: Path, *, name: str = "") -> None:
    """Write the artifact at *source* as an ONNX folder, after checking the graph against the reference.

    Raises:
        ArtifactError: the source is not an artifact.
        OSError: the folder cannot be written.
        OutputError: the folder would replace its source.
        ValueError: the graph is not valid or differs from the model: a bug.
    """
    refuse_source(path, source)
    trained = artifact.load(source)
    trained = replace(trained, name=name or trained.name)
    made = build_graph(trained)
    check(made, trained)
    path.mkdir(parents=True, exist_ok=True)
    (path / GRAPH).write_bytes(made.SerializeToString(deterministic=True))
    _tokenizer(trained).save(str(path / artifact.TOKENIZER), pretty=False)
    (path / artifact.THRESHOLDS).write_bytes((source / artifact.THRESHOLDS).read_bytes())
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": trained.name,
        "artifact_version": trained.version,
        "opset": OPSET,
        "model": asdict(trained.config),
    }
    (path / artifact.CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (path / artifact.CARD).write_text(_readme(trained), encoding="utf-8")


def check(made: onnx.ModelProto, trained: Artifact) -> None:
    """Check that the graph is valid ONNX, and that its logits are the reference's.

    By onnx's own evaluator: slow, but it comes with what writes the graph, and two short texts take it a second.

    Raises:
        ValueError: the graph is not valid, or not the model.
    """
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"the graph of {trained.name} is not valid ONNX: {error}") from error
    tokens = Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)
    ids_BL, mask_BL = pad([text.ids for text in tokens(PROBES)], pad_id=trained.config.pad_token_id)
    with torch.inference_mode():
        model = DistilBertCNN.of(trained.config, trained.weights)
        expected_BK = model(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)).numpy()
    (found_BK,) = ReferenceEvaluator(made).run(None, {"ids": ids_BL, "mask": mask_BL})
    difference = float(np.abs(np.asarray(found_BK) - expected_BK).max())
    if not difference <= TOLERANCE:
        raise ValueError(f"the graph of {trained.name} is not the model: its logits differ by {difference:.2g}")


def _tokenizer(trained: Artifact) -> Tokenizer:
    """A copy that cuts and pads by itself, as `Tokens` and `pad` do."""
    copy = Tokenizer.from_str(trained.tokenizer.to_str())
    pad_id = trained.config.pad_token_id
    copy.enable_truncation(trained.config.max_tokens)
    copy.enable_padding(pad_id=pad_id, pad_token=copy.id_to_token(pad_id) or "[PAD]")
    return copy


def _readme(trained: Artifact) -> str:
    figures: dict[str, Any] = trained.metrics.get("dev", {})
    measured = (
        f"On {figures['texts']:,} dev texts the artifact has a macro F1 of {figures['macro_f1_cross_validated']:.4f}"
        " (thresholds tuned by `f1` on one half, measured on the other; the thresholds in this folder are by"
        f" `{trained.thresholds.policy}`).\n\n"
        if "macro_f1_cross_validated" in figures
        else ""
    )
    labels, tokens = len(trained.config.labels), trained.config.max_tokens
    return f"""# {trained.name}, ONNX

emotag's `{trained.name}` as an ONNX graph in float32, opset {OPSET}: it reads the first {tokens} tokens of a
text and gives any of {labels} labels. The model's version is `{trained.version}`.

{measured}To run it: `pip install onnxruntime tokenizers`, and in this folder

```python
import json
import re
from pathlib import Path
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession("{GRAPH}")
tokenizer = Tokenizer.from_file("{artifact.TOKENIZER}")  # cuts and pads
labels = json.loads(Path("{artifact.CONFIG}").read_text(encoding="utf-8"))["model"]["labels"]
thresholds = json.loads(Path("{artifact.THRESHOLDS}").read_text(encoding="utf-8"))["thresholds"]


def tag(texts):
    texts = [re.sub(r"[ \\t\\r\\n]+", " ", text).strip(" ") for text in texts]  # as in training
    rows = tokenizer.encode_batch(texts)
    ids = np.array([row.ids for row in rows], dtype=np.int64)
    mask = np.array([row.attention_mask for row in rows], dtype=bool)  # True on real tokens
    (logits,) = session.run(["logits"], {{"ids": ids, "mask": mask}})
    probabilities = 1 / (1 + np.exp(-logits))
    return [
        {{label: float(p) for label, p in zip(labels, row) if p >= thresholds[label]}} for row in probabilities
    ]


print(tag(["I'm so excited about this new opportunity!", "ok"]))
```

emotag first replaces styled letters such as 𝓱, and Cyrillic or Greek letters that hide a Latin word, by plain ones.
If the tokenizer is a WordPiece in lower case, it also corrects noisy spelling such as `h4te`, and reads emoji alone as
words. This program does not, so the results of such texts differ.

A text's result does not depend on the texts beside it, nor on padding.
"""
