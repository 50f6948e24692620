"""One error tree with one root, so that the command line catches the root alone."""

from emotag_training import errors
from emotag_training.errors import PolicyError, RecipeError, TrainingError


def test_every_error_of_the_package_is_a_training_error_and_none_is_a_value_error() -> None:
    defined = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert all(issubclass(kind, TrainingError) for kind in defined)
    assert not any(issubclass(kind, ValueError) for kind in defined)


def test_a_policy_is_a_mistake_in_a_recipe_too() -> None:
    assert issubclass(PolicyError, RecipeError)
