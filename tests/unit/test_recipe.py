"""What a run is to be: a preset, a file over it, options over both; and one line for every mistake."""

import tomllib
from pathlib import Path

import pytest

from training.recipe import PRESETS, Recipe, RecipeError, parse_changes, resolve


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_options_lie_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    file = written(tmp_path, 'epochs = 3\nseed = 7\nloss = "focal"\n')
    found = resolve("original", file, parse_changes(["epochs=2", "learning_rate=1e-4", "per_epoch_cosine=false"]))
    expected = {"epochs": 2, "seed": 7, "loss": "focal", "learning_rate": 1e-4, "per_epoch_cosine": False}
    assert PRESETS["original"].model_copy(update=expected) == found


def test_a_file_names_its_preset(tmp_path: Path) -> None:
    assert PRESETS["original"] == resolve(None, written(tmp_path, 'preset = "original"\n'), {})
    with pytest.raises(RecipeError, match="more than one preset is named: default, original"):
        resolve("default", tmp_path / "recipe.toml", {})


@pytest.mark.parametrize(
    "recipe",
    [
        *PRESETS.values(),
        Recipe(data='C:\\a "quoted" folder\n\x7f\x01 é 🙂', learning_rate=1e-05, trainable_layers=0, limit=32),
    ],
)
def test_what_a_run_leaves_gives_the_same_recipe_again(tmp_path: Path, recipe: Recipe) -> None:
    """Every key stands in it, so a preset that changes later changes nothing."""
    file = written(tmp_path, recipe.toml())
    assert recipe == resolve(None, file, {})
    assert set(Recipe.model_fields) == set(tomllib.loads(recipe.toml()))


def test_all_undoes_a_number_of_the_preset() -> None:
    assert 3 == resolve("original", None, {}).trainable_layers
    assert resolve("original", None, {"trainable_layers": "all"}).trainable_layers is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat = 1e-4", "'learning_rat' is no key of a recipe; did you mean learning_rate?"),
        ("zzz = 1", "'zzz' is no key of a recipe"),
        ("epochs = 0", "epochs = 0: it should be greater than or equal to 1"),
        ("ema = true", "ema = True: it should be a valid number"),
        ('epochs = "3"', "epochs = '3': it should be a valid integer"),
        ("trainable_layers = -1", "or 'all'"),
        ('loss = "hinge"', "'bce', 'focal', 'asymmetric' or 'distribution_balanced'"),
        ("[loss]\na = 1", "loss = {'a': 1}"),
        ('threshold = "f2"', "threshold = 'f2': it takes f1, precision@P or fixed:T"),
        ('threshold = "precision@1.5"', "it takes f1, precision@P or fixed:T"),
        ("epochs = ", "not TOML"),
        ('preset = "best"', "default, base, original"),
        ("preset = 3", "default, base, original"),
    ],
)
def test_a_mistake_in_a_file_names_file_key_and_what_it_takes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        resolve(None, written(tmp_path, text), {})
    assert message in str(refused.value)
    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs", "KEY=VALUE"),
        ("epoch=3", "did you mean epochs?"),
        ("learning_rate=fast", "learning_rate = 'fast': it should be a valid number"),
        ("learning_rate=inf", "learning_rate"),
        ("per_epoch_cosine=perhaps", "per_epoch_cosine = 'perhaps'"),
        ("preset=best", "default, base, original"),
        ("kernel_sizes=3+4", "kernel_sizes = '3+4': it takes odd numbers below 100, as 5 or 3+5+7"),
        ("r_drop=-1", "r_drop = '-1': it should be greater"),
        ("confident_learning=true", "it takes a teacher"),
        ("fold=6/5", "one of several folds, as 2/5"),
        ("fold=1/1", "one of several folds, as 2/5"),
        ("cache_frozen=true", "it takes a number of trainable_layers, and hidden_tokens = 0"),
    ],
)
def test_a_mistake_in_an_option_names_key_and_what_it_takes(assignment: str, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        resolve(None, None, parse_changes([assignment]))
    assert message in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.toml"):
        resolve(None, tmp_path / "nowhere.toml", {})
