"""The trunk written out in model/ is DistilBERT, and a BERT without its pooler is one too."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, MPNetConfig, MPNetModel

from model.distilbert_cnn import Trunk
from training.mpnet import MpnetTrunk
from training.trunk import TrunkError, bert_as_distilbert, load_trunk, mpnet_as_distilbert

from .conftest import tiny_config, tiny_tokenizer

IDS_BL = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0]])
MASK_BL = IDS_BL != 0
POSITIONS = 40


def on_real_tokens(hidden_BLC: torch.Tensor) -> torch.Tensor:
    return hidden_BLC[MASK_BL]


def test_the_trunk_gives_the_hidden_states_of_transformers_distilbert() -> None:
    torch.manual_seed(0)
    reference = DistilBertModel(
        DistilBertConfig(vocab_size=64, max_position_embeddings=POSITIONS, dim=32, n_layers=2, n_heads=4, hidden_dim=64)
    )
    reference.eval()  # type: ignore[no-untyped-call]
    trunk = Trunk(tiny_config()).eval()
    trunk.load_state_dict(reference.state_dict())
    with torch.inference_mode():
        expected = reference(IDS_BL, attention_mask=MASK_BL.long()).last_hidden_state
        found = trunk(IDS_BL, MASK_BL)
    assert (on_real_tokens(expected) - on_real_tokens(found)).abs().max() < 1e-5


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


def test_a_converted_bert_gives_the_hidden_states_of_transformers_bert() -> None:
    """With the first token type folded into the positions, the two are one."""
    reference = bert()
    trunk = Trunk(tiny_config()).eval()
    trunk.load_state_dict(bert_as_distilbert(dict(reference.state_dict())))
    with torch.inference_mode():
        expected = reference(IDS_BL, attention_mask=MASK_BL.long()).last_hidden_state
        found = trunk(IDS_BL, MASK_BL)
    assert (on_real_tokens(expected) - on_real_tokens(found)).abs().max() < 1e-5


@pytest.mark.parametrize("length", [6, POSITIONS])
def test_a_converted_mpnet_gives_the_hidden_states_of_transformers_mpnet(length: int) -> None:
    """Also where distances reach into the ranges that hold several of them."""
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
    trunk = MpnetTrunk(tiny_config()).eval()
    trunk.load_state_dict(mpnet_as_distilbert(dict(reference.state_dict())))
    ids_BL = torch.randint(2, 64, (2, length))
    ids_BL[1, 3:] = 1
    mask_BL = ids_BL != 1
    with torch.inference_mode():
        expected = reference(ids_BL, attention_mask=mask_BL.long()).last_hidden_state
        found = trunk(ids_BL, mask_BL)
    assert (expected - found)[mask_BL].abs().max() < 1e-5


@pytest.mark.parametrize(
    ("config", "model", "epsilon"), [(MPNetConfig, MPNetModel, 1e-12), (BertConfig, BertModel, 1e-5)]
)
def test_a_trunk_unlike_the_published_one_is_refused_by_what_it_has(
    config: Any, model: Any, epsilon: float, tmp_path: Path
) -> None:
    """It would else be computed otherwise than it was trained, and nobody told."""
    shape = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    model(config(**shape, intermediate_size=64, layer_norm_eps=epsilon)).save_pretrained(tmp_path)
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TrunkError, match="layer_norm_eps other than the published"):
        load_trunk(str(tmp_path))


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_trunk_is_loaded_from_a_local_folder(kind: str, tmp_path: Path) -> None:
    """As `--trunk FOLDER` and, from the hub, `--trunk distilbert-base-uncased` do it."""
    encoder = bert() if kind == "bert" else DistilBertModel(DistilBertConfig(vocab_size=64, dim=32, n_heads=4))
    encoder.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(tiny_tokenizer().get_vocab()) + "\n")
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    trunk = load_trunk(str(tmp_path))
    model = trunk.grow(labels=("a", "b"), max_tokens=16)
    assert 2 == model.classifier.out_features
    assert 32 == trunk.dimensions["dim"]


def test_a_trunk_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrunkError, match="nowhere"):
        load_trunk(str(tmp_path / "nowhere"))
