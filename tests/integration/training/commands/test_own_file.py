"""One file of somebody's own texts, from columns with other names to a model that is measured on its dev."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotag_model import artifact
from emotag_model.tagger import EmotionTagger
from emotag_training import fit
from emotag_training.data.columns import Columns
from emotag_training.data.sources import OneFile
from tests.integration.training.conftest import build_untrained
from tests.integration.training.test_training import run

COLUMNS = ("--text-column", "body", "--label-columns", "joy,anger")
WORDS = {"joy": "glad", "anger": "sour"}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file with a column of 0 and 1 for each label."""
    rng = random.Random(0)
    lines = ["id,joy,body,anger"]
    for row in range(400):
        given = {label: rng.random() < 0.5 for label in WORDS}
        words = [word for label, word in WORDS.items() if given[label]] + ["calm", "".join(rng.choices("xyz", k=3))]
        rng.shuffle(words)
        lines.append(f"{row},{given['joy']:d},{' '.join(words)} {row},{given['anger']:d}")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "own.csv"


@pytest.mark.timeout(300)
def test_a_model_of_one_file_is_fitted_in_python_and_measured_on_its_dev(folder: Path, own: Path) -> None:
    """`evaluate` finds the columns and dev of the file without options; `audit` leaves out the texts of train.

    `compare` and `plot` use its dev, too, if only the other model was trained on the file.
    """
    out = own.parent / "model"
    recipe = {
        "data.text_column": "body",
        "data.label_columns": "joy,anger",
        "encoder.name": str(folder / "encoder"),
        "encoder.token_masking": 0,
        "schedule.epochs": 4,
        "schedule.learning_rate": 2e-3,
        "schedule.ema": 0.9,
        "run.precision": "fp32",
    }
    trained = fit(own, recipe, out=out)
    assert ("joy", "anger") == trained.config.labels
    assert trained.training["command"] == f"emotag-train fit --config {out}/recipe.toml --out {out}"
    assert 100 == trained.metrics["dev"]["texts"]
    tagging = EmotionTagger.load(out, on="cpu", precision="fp32").tag(["glad"])[0]
    assert tagging.scores["joy"] > tagging.scores["anger"]

    on_dev = json.loads(run("evaluate", "--model", str(out), "--data", str(own), "--json"))
    assert trained.metrics["dev"]["macro_f1_cross_validated"] == on_dev["macro_f1_cross_validated"]
    audited = json.loads(run("audit", str(own), *COLUMNS, "--model", str(out), "--json"))
    source = OneFile(own, Columns("body", ("joy", "anger")))
    dev = {f"line {row + 2}" for row in np.flatnonzero(source.is_dev_N)}
    assert (400, 100) == (audited["texts"], audited["predicted"])
    assert {suspect["row"] for suspect in audited["suspects"]} <= dev

    foreign = build_untrained(folder, labels=("joy", "anger"))
    columns = {"recipe": {"data": {"text_column": "body", "label_columns": "joy,anger"}}}
    artifact.save(replace(foreign, training=columns), own.parent / "foreign", card="")
    compared = json.loads(run("compare", str(own.parent / "foreign"), str(out), "--data", str(own), "--json"))
    assert 100 == compared["texts"]
    pair = ["--model", str(own.parent / "foreign"), "--compare-with", str(out)]
    run("plot", *pair, "--data", str(own), "--out", str(own.parent / "report"))
    assert "own.csv, 100 texts" in (own.parent / "report" / "report.html").read_text()
