"""A tagger goes to a model hub and comes back the same, through huggingface_hub's own code over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.errors import RepositoryNotFoundError
from transformers import AutoTokenizer

from model import artifact
from model.artifact import Artifact, ArtifactError
from model.distilbert_cnn import DistilBertCNN
from model.tagger import EmotionTagger
from model.thresholds import Thresholds
from model.tokens import Tokens
from tests.integration.fake_hub import FakeHub, fake_hub
from tests.numerics.conftest import LABELS, tiny_config, tiny_tokenizer
from training.hub import TOKENIZER_CONFIG, HubTagger

TEXTS = ["glad to see you", "", "no", "once and again " * 50]
HOW: dict[str, Any] = {"on": "cpu", "engine": "openvino", "precision": "fp32"}
CARD = "---\nlibrary_name: emotag\n---\n\n# tiny\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """An artifact's directory as a run leaves it: with its recipe among the files that the checksums list."""
    torch.manual_seed(0)
    model = DistilBertCNN(tiny_config()).eval()
    made = Artifact("tiny", model.config, model.weights(), tiny_tokenizer(), Thresholds.fixed(LABELS, 0.5), {}, {})
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "recipe.toml").write_text("seed = 1\n")
    artifact.save(made, tmp_path / "tiny", card=CARD)
    return tmp_path / "tiny"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """The only hub there is: whatever asks for one asks this one."""
    with fake_hub() as hub:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.endpoint)
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_is_saved_is_loaded_from_its_folder_with_equal_scores(tiny: Path, tmp_path: Path) -> None:
    """The same files, byte for byte, and one beside them; the same version and thresholds."""
    tagger = HubTagger.load(tiny, **HOW)
    tagger.save_pretrained(tmp_path / "saved")
    again = HubTagger.from_pretrained(tmp_path / "saved", **HOW)
    assert [tagging.scores for tagging in tagger.tag(TEXTS)] == [tagging.scores for tagging in again.tag(TEXTS)]
    assert (tagger.version, tagger.thresholds_version) == (again.version, again.thresholds_version)
    saved = contents(tmp_path / "saved")
    assert TOKENIZER_CONFIG in saved
    assert contents(tiny) == {name: content for name, content in saved.items() if name != TOKENIZER_CONFIG}
    assert "openvino" == again.engine


def test_a_saved_folder_is_an_artifact_to_the_tagger_that_knows_no_hub(tiny: Path, tmp_path: Path) -> None:
    """And so is a copy of the copy."""
    HubTagger.load(tiny, **HOW).save_pretrained(tmp_path / "saved")
    HubTagger.from_pretrained(tmp_path / "saved", **HOW).save_pretrained(tmp_path / "again")
    assert contents(tmp_path / "saved") == contents(tmp_path / "again")
    assert artifact.load(tiny).version == EmotionTagger.load(tmp_path / "again", **HOW).version


def test_what_is_pushed_is_the_artifacts_files_in_one_commit(tiny: Path, hub: FakeHub) -> None:
    url = HubTagger.load(tiny, **HOW).push_to_hub("someone/tiny", token="hf_" + "x" * 34)
    assert f"{hub.endpoint}/someone/tiny" in url
    pushed = hub.repos["someone/tiny"]
    assert contents(tiny) == {name: content for name, content in pushed.items() if name != TOKENIZER_CONFIG}
    assert TOKENIZER_CONFIG in pushed
    assert 1 == sum("/commit/" in asked for asked in hub.asked)
    assert {"hf_" + "x" * 34} == hub.tokens


def test_what_is_pushed_comes_back_by_its_name_with_equal_scores(tiny: Path, hub: FakeHub) -> None:
    tagger = HubTagger.load(tiny, **HOW)
    tagger.push_to_hub("someone/tiny", token="hf_" + "x" * 34)
    again = HubTagger.from_pretrained("someone/tiny", **HOW)
    assert [tagging.scores for tagging in tagger.tag(TEXTS)] == [tagging.scores for tagging in again.tag(TEXTS)]
    assert tagger.version == again.version
    assert any("model.safetensors" in asked for asked in hub.asked if asked.startswith("GET"))


def test_what_was_changed_on_the_hub_is_refused(tiny: Path, hub: FakeHub) -> None:
    HubTagger.load(tiny, **HOW).push_to_hub("someone/tiny", token="hf_" + "x" * 34)
    weights = bytearray(hub.repos["someone/tiny"]["model.safetensors"])
    weights[-1] ^= 1
    hub.repos["someone/tiny"]["model.safetensors"] = bytes(weights)
    with pytest.raises(ArtifactError, match=r"model\.safetensors: broken, truncated or changed"):
        HubTagger.from_pretrained("someone/tiny", **HOW)


def test_a_model_that_the_hub_has_not_is_named(hub: FakeHub) -> None:
    with pytest.raises(RepositoryNotFoundError, match="someone/nothing"):
        HubTagger.from_pretrained("someone/nothing", **HOW)


def test_a_folder_that_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="SHA256SUMS"):
        HubTagger.from_pretrained(tmp_path, **HOW)


def test_a_tagger_is_never_saved_over_its_source(tiny: Path) -> None:
    before = contents(tiny)
    with pytest.raises(ValueError, match="is the model itself"):
        HubTagger.load(tiny, **HOW).save_pretrained(tiny / ".." / "tiny")
    assert before == contents(tiny)


def test_an_artifact_that_changed_since_it_was_loaded_is_not_saved_as_if_it_had_not(tiny: Path, tmp_path: Path) -> None:
    tagger = HubTagger.load(tiny, **HOW)
    changed = artifact.load(tiny)
    artifact.save_tuned(
        Artifact(**{**vars(changed), "thresholds": Thresholds.fixed(LABELS, 0.4)}), tiny, card="# tiny\n"
    )
    with pytest.raises(ArtifactError, match="no longer the artifact that was loaded"):
        tagger.save_pretrained(tmp_path / "saved")


def test_the_card_on_the_hub_is_the_artifacts(tmp_path: Path) -> None:
    """Read by huggingface_hub, its model-index too."""
    HubTagger.load(**HOW).save_pretrained(tmp_path / "saved")
    assert (artifact.DEFAULT / artifact.CARD).read_bytes() == (tmp_path / "saved" / artifact.CARD).read_bytes()
    results = ModelCard.load(tmp_path / "saved" / artifact.CARD).data.eval_results
    figures = artifact.load(artifact.DEFAULT).metrics["dev"]
    assert figures["macro_f1_cross_fitted"] in [result.metric_value for result in results or []]


@pytest.mark.parametrize("which", ["tiny", "shipped"])
def test_autotokenizer_reads_a_saved_folder_and_gives_the_models_ids(which: str, tiny: Path, tmp_path: Path) -> None:
    source = tiny if which == "tiny" else artifact.DEFAULT
    HubTagger.load(source, **HOW).save_pretrained(tmp_path / "saved")
    trained = artifact.load(source)
    texts = [*TEXTS, "I'm  so\texcited!\n", "naïve café ☕ 中文 [NAME]", "word " * 400]
    expected = [list(text.ids) for text in Tokens(trained.tokenizer, max_tokens=trained.config.max_tokens)(texts)]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert trained.config.max_tokens == tokenizer.model_max_length
    assert expected == tokenizer(texts, truncation=True)["input_ids"]
    padded = tokenizer(texts, truncation=True, padding=True)
    assert {max(map(len, expected))} == {len(row) for row in padded["input_ids"]}
    assert [len(row) for row in expected] == [sum(row) for row in padded["attention_mask"]]
    assert {trained.config.pad_token_id} == {row[-1] for row in padded["input_ids"] if row[-1] != expected[0][-1]}


def test_the_tagger_of_a_worker_knows_no_hub() -> None:
    """Neither what it imports, nor what it is."""
    program = (
        "import sys, model.tagger\n"
        "assert not {'huggingface_hub', 'torch', 'transformers', 'training'} & set(sys.modules), sorted(sys.modules)\n"
        "assert not hasattr(model.tagger.EmotionTagger, 'push_to_hub')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert 0 == done.returncode, done.stderr


def test_the_saved_tokenizers_description_is_no_part_of_the_artifact(tiny: Path, tmp_path: Path) -> None:
    HubTagger.load(tiny, **HOW).save_pretrained(tmp_path / "saved")
    assert TOKENIZER_CONFIG not in (tmp_path / "saved" / artifact.SUMS).read_text()
    (tmp_path / "saved" / TOKENIZER_CONFIG).unlink()
    assert artifact.load(tiny).version == artifact.load(tmp_path / "saved").version
    assert "[PAD]" == json.loads(_pushed_config(tiny, tmp_path / "other"))["pad_token"]


def _pushed_config(tiny: Path, folder: Path) -> str:
    HubTagger.load(tiny, **HOW).save_pretrained(folder)
    return (folder / TOKENIZER_CONFIG).read_text()
