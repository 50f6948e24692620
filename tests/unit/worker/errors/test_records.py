"""The reasons of dead letters."""

from emotag_schemas.dead_letter import DeadLetterHeaders
from emotag_worker.errors import BadRecord


def test_the_reasons_of_dead_letters_are_those_that_consumers_know() -> None:
    """These names are in headers of records, and in `--reason`: a change is a change of the contract."""
    assert {kind.__name__ for kind in BadRecord.__subclasses__()} == {
        "Tombstone",
        "ValueTooLarge",
        "NotUtf8",
        "NotJson",
        "TooDeep",
        "WrongType",
        "NoText",
        "IdTooLarge",
        "MetadataTooLarge",
        "HeadersTooLarge",
        "HeadersUnreadable",
        "OutOfScope",
        "DeviceRejected",
        "OutputRefused",
        "TokenizerRejected",
    }


def test_a_reason_has_the_stage_that_refused_the_record() -> None:
    stages = {kind.__name__: kind.stage for kind in BadRecord.__subclasses__()}
    assert ("tag", "tag") == (stages.pop("DeviceRejected"), stages.pop("OutOfScope"))
    assert "tokenize" == stages.pop("TokenizerRejected")
    assert "write" == stages.pop("OutputRefused")
    assert {"decode"} == set(stages.values())


def test_the_contract_names_every_stage_that_refuses_records() -> None:
    field = DeadLetterHeaders.model_fields["stage"]
    assert {kind.stage for kind in BadRecord.__subclasses__()} == set(field.examples or ())
    assert all(f"`{stage}`" in str(field.description) for stage in field.examples or ())
