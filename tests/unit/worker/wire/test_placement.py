"""The partition of a result, for each setting and each pair of topics."""

import pytest

from emotag_worker.errors import SettingsError
from emotag_worker.wire.placement import Choice, Placement, place_dead_letters, place_results


@pytest.mark.parametrize(
    ("choice", "inputs", "outputs", "expected"),
    [
        ("auto", 4, 4, Placement(4)),
        ("auto", 4, 3, Placement()),
        ("auto", 4, 8, Placement()),
        ("input", 4, 4, Placement(4)),
        ("input", 4, 8, Placement(8)),
        ("key", 4, 4, Placement()),
        ("key", 4, 3, Placement()),
    ],
)
def test_the_setting_and_the_numbers_of_partitions_decide(
    choice: Choice, inputs: int, outputs: int, expected: Placement
) -> None:
    assert expected == place_results(choice, inputs, outputs, topic="emotions")
    assert expected == place_dead_letters(choice, inputs, outputs)


def test_too_few_partitions_for_the_inputs_are_refused_with_both_remedies() -> None:
    with pytest.raises(SettingsError, match=r"EMOTAG_OUTPUT__PARTITION.*emotions has 3.*input topic has 4.*=key"):
        place_results("input", 4, 3, topic="emotions")


def test_dead_letters_whose_topic_has_too_few_partitions_are_placed_by_key() -> None:
    """Many dead-letter topics have one partition on purpose."""
    assert place_dead_letters("input", 4, 1) == Placement()


def test_an_input_partition_that_was_added_has_its_own_partition_if_the_topic_has_grown_too() -> None:
    answers = iter([8])
    placement = Placement(4, lambda _: next(answers))
    assert [0, 3, 4, 7, 4] == [placement.choose(partition) for partition in (0, 3, 4, 7, 4)]


def test_an_input_partition_that_was_added_shares_a_partition_if_the_topic_is_as_small_as_before() -> None:
    """It keeps the partition: the results of one input partition must not move to another one."""
    answers, expected = iter([4, 4, 8]), []

    def recount(partition: int) -> int:
        expected.append(partition)
        return next(answers)

    placement = Placement(4, recount)
    assert [0, 1, 0, 1, 2] == [placement.choose(partition) for partition in (4, 5, 4, 5, 2)]
    assert [7, 0, 6] == [placement.choose(partition) for partition in (7, 4, 6)]
    assert [4, 3, 3] == expected


def test_the_key_decides_without_a_number_of_partitions() -> None:
    assert Placement().choose(3) is None
    assert ("input", "key") == (Placement(4).by, Placement().by)
