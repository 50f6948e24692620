"""A RoBERTa from `fit` to every engine: byte-level tokens, padding with the id 1, layer norms with another epsilon."""

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import RobertaConfig, RobertaModel

from emotag_model import artifact
from emotag_model.tagger import EmotionTagger
from emotag_training.export.onnx_folder import export_onnx
from tests.encoders import save_encoder
from tests.integration.training.test_training import run
from tests.numerics.conftest import byte_level_tokenizer

TEXTS = ["glad xyz", "sour", "calm  and\nglad", "", "<mask> 中 " * 60]


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained for a few batches on a random RoBERTa."""
    encoder, out = tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("model")
    config = RobertaConfig(
        vocab_size=300,
        max_position_embeddings=130,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        layer_norm_eps=1e-5,
        type_vocab_size=1,
    )
    save_encoder(encoder, RobertaModel, config, byte_level_tokenizer())
    options = ["--encoder", str(encoder), "--epochs", "1", "--limit", "128", "--precision", "fp32"]
    run("fit", "--data", str(folder), *options, "--out", str(out))
    return out


def test_each_engine_serves_it(model: Path) -> None:
    """Equal in fp32, and close in int8."""
    config = artifact.load(model).config
    assert (1, 128, 1e-5) == (config.pad_token_id, config.max_position_embeddings, config.layer_norm_eps)
    found = {}
    for engine, precision in (("reference", "fp32"), ("torch", "fp32"), ("openvino", "fp32"), ("native", "int8")):
        tagger = EmotionTagger.load(model, on="cpu", engine=engine, precision=precision, long_texts="first")
        tokens = tagger.tokenize(TEXTS)
        assert [False, False, False, False, True] == [text.truncated for text in tokens]
        assert {(0, 2)} == {(text.ids[0], text.ids[-1]) for text in tokens}
        found[engine] = tagger.probabilities(tokens)
    for engine in ("torch", "openvino"):
        assert np.abs(found["reference"] - found[engine]).max() < 1e-5
    assert np.abs(found["reference"] - found["native"]).max() < 0.05
    assert np.abs(found["reference"][0] - found["reference"][1]).max() > 1e-3  # it does not give one result to all


def test_the_program_in_its_onnx_folder_gives_the_taggers_probabilities(model: Path, tmp_path: Path) -> None:
    """Also for runs of blanks: a byte-level tokenizer has tokens for them, and the model was trained without them.

    The program reads the beginning of a long text.
    """
    export_onnx(model, tmp_path / "onnx")
    (program,) = re.findall(r"```python\n(.*?)```", (tmp_path / "onnx" / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"print": lambda *_: None}
    with contextlib.chdir(tmp_path / "onnx"):
        exec(program, names)
    names["thresholds"] = dict.fromkeys(names["labels"], 0.0)
    tagger = EmotionTagger.load(model, on="cpu", engine="torch", precision="fp32", long_texts="first")
    expected = [pytest.approx(tagging.scores, abs=1e-5) for tagging in tagger.tag(TEXTS)]
    assert expected == names["tag"](TEXTS)
