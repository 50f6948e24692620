"""What the documentation says of settings, reasons and files is true."""

import json
import re
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from model import artifact
from worker import errors, settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_setting_with_its_default() -> None:
    listed = dict(re.findall(r"^\| `(EMOTAG_\w+)` \| (.+?) \|", README, flags=re.MULTILINE))
    expected = {name: default for name, (_, default) in settings.variables().items()}
    assert set(expected) == set(listed)
    for name, default in expected.items():
        if default is None:
            assert listed[name] in ("none", "the shipped model")
        elif isinstance(default, float):
            assert default == float(listed[name].strip("`"))
        else:
            assert str(default).lower() == listed[name].strip("`").lower()


def test_the_readme_names_every_reason_of_a_dead_letter() -> None:
    reasons = {kind.__name__ for kind in errors.BadRecord.__subclasses__()}
    assert reasons == {reason for reason in reasons if f"`{reason}`" in README}


FIGURES = {
    "macro F1, thresholds tuned": ("macro_f1_cross_fitted",),
    "the same, thresholds tuned": ("macro_f1_cross_fitted_on_targets_alone",),
    "macro F1 at 0.51": ("at_0.51", "macro_f1"),
    "ROC-AUC": ("roc_auc",),
    "mean average precision": ("mean_average_precision",),
    "MCC over all decisions": ("at_0.51", "mcc_flattened"),
    "AUC of the 0/1 decisions": ("at_0.51", "auc_binarised"),
    "expected calibration error": ("calibration", "as_is", "mean"),
    "the same, worst label": ("calibration", "as_is", "largest"),
}


@pytest.mark.parametrize("row", FIGURES)
def test_the_readmes_figures_of_the_model_are_those_that_were_measured(row: str) -> None:
    """Of the model that ships, of the seeds of its recipe, of the original's recipe."""

    def measured(path: str) -> float:
        found: Any = json.loads((ROOT / path).read_text(encoding="utf-8"))["dev"]
        for key in FIGURES[row]:
            found = found[key]
        return float(found)

    shown = re.search(rf"^\| {re.escape(row)}[^|]* \| (\S+) \| (\S+) ± (\S+) \| (\S+) \|$", README, flags=re.MULTILINE)
    assert shown is not None
    seeds = [measured(f"docs/emotag-mini/seeds/{seed}.json") for seed in (42, 43, 44)]
    expected = (
        measured("model/artifacts/emotag-mini/metrics.json"),
        mean(seeds),
        stdev(seeds),
        measured("docs/emotag-mini/original/metrics.json"),
    )
    assert expected == pytest.approx([float(figure) for figure in shown.groups()], abs=0.6e-4)


def test_the_readmes_example_has_the_versions_that_ship() -> None:
    made = artifact.load(artifact.DEFAULT)
    for version in (made.version, made.thresholds_version):
        assert f'"{version[:15]}…"' in README


def test_the_error_tree_is_the_one_its_module_draws() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and name != "EmotagError"}
    assert defined == drawn


def test_every_local_link_leads_to_a_file() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
