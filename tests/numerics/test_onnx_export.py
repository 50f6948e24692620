"""The ONNX folder gives the model's results on onnxruntime."""

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from tokenizers import Tokenizer
from typer.testing import CliRunner

from emotag_model import artifact
from emotag_model.artifact import Artifact
from emotag_model.distilbert_cnn import DistilBertCNN
from emotag_model.tokens import Tokens, pad
from emotag_training.cli import app
from emotag_training.export import onnx_folder
from emotag_training.export.onnx_graph import build_graph

from .conftest import build_faint_artifact

Floats = npt.NDArray[np.float32]

TEXTS = ["", "a", "hello there", "glad to be of use, once and again and again, for all who come by", "x" * 500]
SENTENCES = [
    "I'm so excited about this new opportunity!",
    "ok",
    "I miss her every single day, and nothing that anyone says makes it any better than it was the day she went",
    "Why would you do that?! 😠",
    "word " * 400,
]


@pytest.fixture
def tiny_path(tiny_artifact: Callable[[], Artifact], tmp_path: Path) -> Path:
    artifact.save(tiny_artifact(), tmp_path / "tiny", card="# tiny\n", dtype="fp32")
    return tmp_path / "tiny"


def export(source: Path, out: Path, *options: str) -> Path:
    command = ["export", "--model", str(source), "--out", str(out), "--format", "onnx", *options]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert 0 == done.exit_code, done.output
    return out


def session(folder: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def logits(folder: Path, ids_BL: npt.NDArray[np.int64], mask_BL: npt.NDArray[np.bool_]) -> Floats:
    (found_BK,) = session(folder).run(["logits"], {"ids": ids_BL, "mask": mask_BL})
    return np.asarray(found_BK)


def reference(source: Path, texts: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], Floats]:
    """ids_BL, mask_BL and the reference's logits_BK of texts padded into one batch."""
    trained = artifact.load(source)
    rows = [text.ids for text in Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)(texts)]
    ids_BL, mask_BL = pad(rows, pad_id=trained.config.pad_token_id)
    with torch.inference_mode():
        model = DistilBertCNN.of(trained.config, trained.weights)
        return ids_BL, mask_BL, model(torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)).numpy()


@pytest.mark.parametrize("which", ["tiny", "faint", "shipped"])
def test_logits_are_the_references_for_texts_of_mixed_lengths_in_one_batch(
    which: str, tiny_path: Path, tmp_path: Path
) -> None:
    """The faint model's logits depend on the epsilon of each layer norm."""
    source, texts = (artifact.DEFAULT, SENTENCES) if which == "shipped" else (tmp_path / which, TEXTS)
    if which == "faint":
        artifact.save(build_faint_artifact(1e-5), source, card="", dtype="fp32")
    folder = export(source, tmp_path / "onnx")
    ids_BL, mask_BL, expected_BK = reference(source, texts)
    assert len({int(row.sum()) for row in mask_BL}) > 3
    np.testing.assert_allclose(logits(folder, ids_BL, mask_BL), expected_BK, atol=1e-4, rtol=0)


def test_a_texts_logits_depend_neither_on_its_neighbours_nor_on_what_padding_holds(
    tiny_path: Path, tmp_path: Path
) -> None:
    folder = export(tiny_path, tmp_path / "onnx")
    ids_BL, mask_BL, _ = reference(tiny_path, TEXTS)
    together_BK = logits(folder, ids_BL, mask_BL)
    others_BL = np.where(mask_BL, ids_BL, 7)
    np.testing.assert_allclose(logits(folder, others_BL, mask_BL), together_BK, atol=1e-6, rtol=0)
    for row, length in enumerate(mask_BL.sum(1)):
        alone_BK = logits(folder, ids_BL[row : row + 1, :length], mask_BL[row : row + 1, :length])
        np.testing.assert_allclose(alone_BK[0], together_BK[row], atol=1e-5, rtol=0)


def test_the_graph_is_valid_and_takes_any_number_of_texts_of_any_length(tiny_path: Path, tmp_path: Path) -> None:
    folder = export(tiny_path, tmp_path / "onnx")
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    opened = session(folder)
    shapes = {value.name: (value.type, value.shape) for value in (*opened.get_inputs(), *opened.get_outputs())}
    assert {
        "ids": ("tensor(int64)", ["texts", "tokens"]),
        "mask": ("tensor(bool)", ["texts", "tokens"]),
        "logits": ("tensor(float)", ["texts", 3]),
    } == shapes


def test_the_readmes_program_gives_the_taggers_labels(tiny_path: Path, tmp_path: Path) -> None:
    """The program runs unchanged in the folder; it truncates long texts and pads short ones."""
    trained = artifact.load(tiny_path)
    artifact.save_tuned(
        replace(trained, thresholds=replace(trained.thresholds, values=(0.4, 0.5, 0.6))), tiny_path, card="# tiny\n"
    )
    folder = export(tiny_path, tmp_path / "onnx")
    (program,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"print": lambda *_: None}
    with contextlib.chdir(folder):
        exec(program, names)
    _, _, expected_BK = reference(tiny_path, TEXTS)
    probabilities_BK = 1 / (1 + np.exp(-expected_BK))
    expected = [
        {label: float(p) for label, p, t in zip(trained.config.labels, row_K, (0.4, 0.5, 0.6), strict=True) if p >= t}
        for row_K in probabilities_BK
    ]
    assert expected == [pytest.approx(found, abs=1e-5) for found in names["tag"](TEXTS)]
    assert 0 < sum(map(len, expected)) < 3 * len(TEXTS)


def test_the_folder_is_the_same_wherever_it_is_written_and_names_no_place(tiny_path: Path, tmp_path: Path) -> None:
    first, second = export(tiny_path, tmp_path / "a"), export(tiny_path, tmp_path / "b" / "deep")
    expected = {"README.md", "config.json", "model.onnx", "thresholds.json", "tokenizer.json"}
    assert expected == {file.name for file in first.iterdir()}
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()
        assert str(tmp_path).encode() not in file.read_bytes()
    config = json.loads((first / "config.json").read_text())
    trained = artifact.load(tiny_path)
    assert (trained.version, list(trained.config.labels)) == (config["artifact_version"], config["model"]["labels"])
    assert (tiny_path / "thresholds.json").read_bytes() == (first / "thresholds.json").read_bytes()


def test_the_folders_tokenizer_cuts_as_the_model_does(tmp_path: Path) -> None:
    folder = export(artifact.DEFAULT, tmp_path / "onnx")
    ids_BL, mask_BL, _ = reference(artifact.DEFAULT, SENTENCES)
    rows = Tokenizer.from_file(str(folder / "tokenizer.json")).encode_batch(SENTENCES)
    assert ids_BL.tolist() == [row.ids for row in rows]
    assert mask_BL.astype(int).tolist() == [row.attention_mask for row in rows]


def wrong(trained: Artifact) -> onnx.ModelProto:
    bias = trained.weights["classifier.bias"]
    return build_graph(replace(trained, weights={**trained.weights, "classifier.bias": bias + np.float32(1e-3)}))


def broken(trained: Artifact) -> onnx.ModelProto:
    made = build_graph(trained)
    del made.graph.node[3]
    return made


@pytest.mark.parametrize(("make", "why"), [(wrong, "is not the model"), (broken, "is not valid ONNX")])
def test_a_graph_that_is_not_the_model_is_not_written(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any], why: str
) -> None:
    monkeypatch.setattr("emotag_training.export.onnx_folder.build_graph", make)
    with pytest.raises(ValueError, match=why):
        onnx_folder.export_onnx(tiny_path, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "pickle"], "'pickle' is unknown; use artifact or onnx"),
        (["--format", "onnx", "--dtype", "fp16"], "an ONNX graph is fp32"),
        (["--dtype", "fp8"], "'fp8' is unknown"),
    ],
)
def test_what_an_export_cannot_be_is_said(tiny_path: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["export", "--model", str(tiny_path), "--out", str(tmp_path / "out"), *options])
    assert 2 == done.exit_code
    assert message in re.sub(r"[\s│]+", " ", done.output)
    assert not (tmp_path / "out").exists()
