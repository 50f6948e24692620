"""A preset, a file over it, options over both; and one line for every mistake."""

from pathlib import Path

import pytest

from emotag_training.errors import RecipeError
from emotag_training.presets import AUTOMATIC, PRESETS, apply_changes, keep_automatic, parse_changes, resolve
from emotag_training.recipe import Recipe


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_options_have_priority_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = write(tmp_path, '[schedule]\nepochs = 3\n[run]\nseed = 7\n[loss]\nkind = "asymmetric"\n')
    options = ["schedule.epochs=2", "schedule.learning_rate=1e-4", "schedule.per_epoch_cosine=false"]
    found = resolve("reference", file, parse_changes(options))
    expected = {
        **PRESETS["reference"].flatten(),
        "schedule.epochs": 2,
        "run.seed": 7,
        "loss.kind": "asymmetric",
        "schedule.learning_rate": 1e-4,
        "schedule.per_epoch_cosine": False,
    }
    assert expected == found.flatten()


def test_a_file_names_its_preset(tmp_path: Path) -> None:
    assert PRESETS["reference"] == resolve(None, write(tmp_path, 'preset = "reference"\n'), {})
    with pytest.raises(RecipeError, match="two presets are named, default and reference"):
        resolve("default", tmp_path / "recipe.toml", {})


def test_every_preset_has_its_own_name() -> None:
    assert list(PRESETS) == [recipe.preset for recipe in PRESETS.values()]


def test_all_undoes_a_number_of_the_preset() -> None:
    assert 3 == resolve("reference", None, {}).encoder.trainable_layers
    assert resolve("reference", None, {"encoder.trainable_layers": "all"}).encoder.trainable_layers is None


def test_a_resumed_run_keeps_what_auto_was_resolved_to_and_nothing_else() -> None:
    before = apply_changes(Recipe(), {"run.device": "cpu", "run.precision": "bf16", "run.seed": 7})
    found = keep_automatic(apply_changes(Recipe(), {"run.precision": "fp32"}), before)
    assert ("cpu", "fp32", 42) == (found.run.device, found.run.precision, found.run.seed)
    assert {"auto"} == {Recipe().flatten()[key] for key in AUTOMATIC}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[schedule]\nlearning_rat = 1e-4",
            "'schedule.learning_rat' is not a key of a recipe; did you mean schedule.l",
        ),
        ("learning_rate = 1e-4", "'learning_rate' is not a key of a recipe; did you mean schedule.learning_rate?"),
        ("zzz = 1", "'zzz' is not a key of a recipe; every recipe.toml"),
        ("[schedule]\nepochs = 0", "schedule.epochs = 0: it should be greater than or equal to 1"),
        ("[schedule]\nema = true", "schedule.ema = True: it should be a valid number"),
        ('[schedule]\nepochs = "3"', "schedule.epochs = '3': it should be a valid integer"),
        ("[encoder]\ntrainable_layers = -1", "or 'all'"),
        ('[loss]\nkind = "hinge"', "'bce' or 'asymmetric'"),
        ('loss = "bce"', "loss = 'bce': it is a table; set its keys as loss.KEY"),
        ('[run]\nthreshold = "f2"', "run.threshold = 'f2': it takes f1, precision@P or fixed:T"),
        ('[run]\nthreshold = "precision@1.5"', "it takes f1, precision@P or fixed:T"),
        ("epochs = ", "not TOML"),
        ('preset = "best"', "default, base, reference"),
        ("preset = 3", "default, base, reference"),
    ],
)
def test_a_mistake_in_a_file_names_file_key_and_what_it_takes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        resolve(None, write(tmp_path, text), {})
    assert message in str(refused.value)
    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("schedule.epochs", "KEY=VALUE"),
        ("epoch=3", "did you mean schedule.epochs?"),
        ("encoder=minilm", "set its keys as encoder.KEY"),
        ("preset.name=x", "'preset.name' is not a key of a recipe"),
        ("schedule.learning_rate=fast", "schedule.learning_rate = 'fast': it should be a valid number"),
        ("schedule.learning_rate=inf", "schedule.learning_rate"),
        ("schedule.per_epoch_cosine=perhaps", "schedule.per_epoch_cosine = 'perhaps'"),
        ("preset=best", "default, base, reference"),
        ("head.kernel_sizes=3+4", "head.kernel_sizes = '3+4': it takes odd numbers below 100, for example 5 or 3+5+7"),
        ("head.attention_heads=-1", "head.attention_heads = '-1'"),
        ("schedule.weight_decay=-1", "schedule.weight_decay = '-1': it should be greater"),
        ("data.fold=6/5", "one of several folds, for example 2/5"),
        ("data.fold=1/1", "one of several folds, for example 2/5"),
        ("encoder.cache_frozen=true", "it needs a number of trainable_layers, and token_masking = 0"),
    ],
)
def test_a_mistake_in_an_option_names_key_and_what_it_takes(assignment: str, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        resolve(None, None, parse_changes([assignment]))
    assert message in str(refused.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.toml"):
        resolve(None, tmp_path / "nowhere.toml", {})
