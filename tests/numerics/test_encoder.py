"""The encoder in model/ is equal to DistilBERT, and to a BERT without its pooler."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, MPNetConfig, MPNetModel

from emotag_model.distilbert_cnn import Encoder
from emotag_training.encoders.mpnet import MpnetEncoder
from emotag_training.encoders.pretrained import convert_bert, convert_mpnet, load_encoder
from emotag_training.errors import EncoderError

from .conftest import tiny_config, tiny_tokenizer

IDS_BL = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0]])
MASK_BL = IDS_BL != 0
POSITIONS = 40


def on_real_tokens(hidden_BLC: torch.Tensor) -> torch.Tensor:
    return hidden_BLC[MASK_BL]


def bert() -> BertModel:
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=64,
        max_position_embeddings=POSITIONS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    model = BertModel(config, add_pooling_layer=False)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def distilbert() -> DistilBertModel:
    torch.manual_seed(0)
    model = DistilBertModel(
        DistilBertConfig(vocab_size=64, max_position_embeddings=POSITIONS, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model


@pytest.mark.parametrize(("make", "convert"), [(distilbert, dict), (bert, convert_bert)])
def test_the_encoder_gives_the_hidden_states_of_transformers(make: Any, convert: Any) -> None:
    """The first token type of a BERT is added to the positions."""
    reference, encoder = make(), Encoder(tiny_config()).eval()
    encoder.load_state_dict(convert(dict(reference.state_dict())))
    with torch.inference_mode():
        expected = reference(IDS_BL, attention_mask=MASK_BL.long()).last_hidden_state
        found = encoder(IDS_BL, MASK_BL)
    assert (on_real_tokens(expected) - on_real_tokens(found)).abs().max() < 1e-5


@pytest.mark.parametrize("length", [6, POSITIONS])
def test_a_converted_mpnet_gives_the_hidden_states_of_transformers_mpnet(length: int) -> None:
    """Also for distances that share a bucket."""
    torch.manual_seed(2)
    config = MPNetConfig(
        vocab_size=64,
        max_position_embeddings=POSITIONS + 2,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        layer_norm_eps=1e-5,
    )
    reference = MPNetModel(config)
    torch.nn.init.normal_(reference.encoder.relative_attention_bias.weight)
    reference.eval()  # type: ignore[no-untyped-call]
    encoder = MpnetEncoder(tiny_config()).eval()
    encoder.load_state_dict(convert_mpnet(dict(reference.state_dict())))
    ids_BL = torch.randint(2, 64, (2, length))
    ids_BL[1, 3:] = 1
    mask_BL = ids_BL != 1
    with torch.inference_mode():
        expected = reference(ids_BL, attention_mask=mask_BL.long()).last_hidden_state
        found = encoder(ids_BL, mask_BL)
    assert (expected - found)[mask_BL].abs().max() < 1e-5


@pytest.mark.parametrize(
    ("config", "model", "epsilon"), [(MPNetConfig, MPNetModel, 1e-12), (BertConfig, BertModel, 1e-5)]
)
def test_a_encoder_unlike_the_published_one_is_refused_by_what_it_has(
    config: Any, model: Any, epsilon: float, tmp_path: Path
) -> None:
    """Otherwise it would be computed differently from its training, without an error."""
    shape = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    model(config(**shape, intermediate_size=64, layer_norm_eps=epsilon)).save_pretrained(tmp_path)
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(EncoderError, match="in layer_norm_eps"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_encoder_is_loaded_from_a_local_folder(kind: str, tmp_path: Path) -> None:
    """Like `--encoder FOLDER` and, from the hub, `--encoder distilbert-base-uncased`."""
    theirs = bert() if kind == "bert" else DistilBertModel(DistilBertConfig(vocab_size=64, dim=32, n_heads=4))
    theirs.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(tiny_tokenizer().get_vocab()) + "\n")
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    encoder = load_encoder(str(tmp_path))
    model = encoder.grow(labels=("a", "b"), max_tokens=16)
    assert 2 == model.classifier.out_features
    assert 32 == encoder.dimensions["dim"]


def test_a_encoder_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nowhere"):
        load_encoder(str(tmp_path / "nowhere"))
