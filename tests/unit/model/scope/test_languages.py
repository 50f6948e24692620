"""The codes of languages, and those of a model."""

import re

import pytest

from emotag_model.scope.detector import FILE
from emotag_model.scope.languages import DEFAULT, LANGUAGES, check_languages


def test_the_codes_are_those_of_the_detector() -> None:
    """A code of the detector that is missing here could not be stored in the cache."""
    labels = re.findall(rb"__label__([a-z]+)\0", FILE.read_bytes())
    assert sorted(label.decode() for label in labels) == list(LANGUAGES)


def test_a_model_has_the_languages_that_it_names() -> None:
    assert ("en", "ko") == check_languages(["en", "ko"])
    assert DEFAULT == check_languages(DEFAULT)


@pytest.mark.parametrize(
    ("codes", "message"),
    [([], "no language"), (["kr"], "unknown language 'kr'"), (["en", "EN"], "'EN'"), ([""], "''"), ([7], "7")],
)
def test_a_mistake_is_named(codes: list[str], message: str) -> None:
    """With `kr` for Korean (`ko`), a Korean model would call every Korean text another language."""
    with pytest.raises(ValueError, match=message):
        check_languages(codes)
