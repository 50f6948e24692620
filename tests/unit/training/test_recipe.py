"""The sections of a recipe, and its TOML file."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from emotag_training.presets import PRESETS, resolve
from emotag_training.recipe import DataSection, EncoderSection, Recipe, ScheduleSection


@pytest.mark.parametrize(
    "recipe",
    [
        *PRESETS.values(),
        Recipe(
            data=DataSection(source='C:\\a "quoted" folder\n\x7f\x01 é 🙂', limit=32),
            encoder=EncoderSection(trainable_layers=0),
            schedule=ScheduleSection(learning_rate=1e-05),
        ),
    ],
)
def test_the_file_of_a_run_gives_the_same_recipe_again(tmp_path: Path, recipe: Recipe) -> None:
    """The file names every key, so a preset that changes later changes nothing."""
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.toml(), encoding="utf-8")
    assert recipe == resolve(None, file, {})
    tables = tomllib.loads(recipe.toml())
    assert set(Recipe.model_fields) == set(tables)
    assert {key: set(value) for key, value in recipe.model_dump().items() if key != "preset"} == {
        key: set(value) for key, value in tables.items() if key != "preset"
    }


@pytest.mark.parametrize("languages", ["", "kr", "en+", "en,ko", "EN"])
def test_languages_are_codes_of_the_detector(languages: str) -> None:
    """With an unknown code, the model would mark every text of its own language."""
    assert "en+ko" == DataSection(languages="en+ko").languages
    with pytest.raises(ValidationError, match="takes codes of languages"):
        DataSection(languages=languages)


def test_a_recipe_is_flattened_to_dotted_keys() -> None:
    flat = Recipe(schedule=ScheduleSection(epochs=7)).flatten()
    assert ("default", 7, None) == (flat["preset"], flat["schedule.epochs"], flat["data.limit"])
    assert not [key for key, value in flat.items() if isinstance(value, dict)]
