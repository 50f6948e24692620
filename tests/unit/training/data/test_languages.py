"""A warning for texts in languages that the recipe does not name."""

from pathlib import Path

from emotag_training.data.languages import describe_foreign_texts
from emotag_worker.local.demo_records import read_sample_texts

ENGLISH = read_sample_texts()[:100]
SENTENCES = Path(__file__).parents[3] / "numerics" / "languages.tsv"
GERMAN = [line[3:] for line in SENTENCES.read_text("utf-8").splitlines() if line.startswith("de\t")]


def test_texts_in_the_languages_of_the_recipe_give_no_warning() -> None:
    assert "" == describe_foreign_texts(ENGLISH, ["en"])
    assert "" == describe_foreign_texts(ENGLISH + GERMAN * 20, ["en", "de"])
    assert "" == describe_foreign_texts([], ["en"])
    assert "" == describe_foreign_texts(["no me"], ["es"])


def test_a_few_texts_in_another_language_give_no_warning() -> None:
    assert "" == describe_foreign_texts(ENGLISH + GERMAN, ["en"])


def test_many_texts_in_another_language_are_counted_and_the_setting_is_named() -> None:
    warning = describe_foreign_texts(GERMAN, ["en"])
    assert warning.startswith("6 of 6 dev texts are not in en (data.languages), most of them in de:")
    assert warning.endswith("set data.languages=de")
