"""The published documents describe the messages, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from emotag_model import artifact
from emotag_model.long_texts.windows import MOST_WINDOWS
from emotag_model.tokens import MAX_CHARACTERS
from emotag_schemas import LABELS, documents
from emotag_schemas.dead_letter import NAMES

RESULT = {
    "id": "m-1",
    "emotions": [{"label": "excitement", "score": 0.912}, {"label": "joy", "score": 0.447}],
    "sentiment": "positive",
    "ekman": ["joy"],
    "scores": None,
    "parts": None,
    "truncated": False,
    "cached": False,
    "scope": "ok",
    "language": "en",
    "model": {"name": "emotag-mini", "version": "sha256:aa", "thresholds": "sha256:bb", "precision": "int8"},
    "source": {"topic": "texts", "partition": 3, "offset": 1234, "timestamp": "2026-11-23T06:59:59.000Z"},
    "tagged_at": "2026-11-23T07:00:00.123Z",
    "metadata": None,
}
"""The contract's own example."""


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(documents.build_documents()[f"{name}.schema.json"])


@pytest.mark.parametrize("name", [name for name in documents.build_documents() if name.endswith(".schema.json")])
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(documents.build_documents()[name])


def test_the_contracts_example_is_a_result() -> None:
    schema("emotion-result").validate(RESULT)


@pytest.mark.parametrize(
    "change",
    [
        {"sentiment": "great"},
        {"scope": "strange"},
        {"scope": None},
        {"language": 5},
        {"emotions": [{"label": "joy", "score": 1.5}]},
        {"ekman": ["neutral"]},
        {"id": 5},
        {"scores": {"joy": 1.5}},
        {"parts": [{"start": 0, "end": 5}]},
        {"parts": [{"start": -1, "end": 5, "emotions": []}]},
        {"tagged_at": "yesterday"},
        {"tagged_at": "2026-11-23T07:00:00Z"},
        {"source": {"topic": "texts", "partition": 3, "offset": 1234, "timestamp": "2026-11-23 06:59:59"}},
    ],
)
def test_what_is_no_result_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema("emotion-result").validate(RESULT | change)


@pytest.mark.parametrize("name", RESULT)
def test_every_field_of_a_result_is_promised(name: str) -> None:
    """Also fields that can be null: consumers in typed languages need not check that a field exists."""
    with pytest.raises(ValidationError, match=f"'{name}' is a required property"):
        schema("emotion-result").validate({field: value for field, value in RESULT.items() if field != name})


def test_the_description_of_truncated_has_the_limits_of_the_model() -> None:
    fields = documents.build_documents()["emotion-result.schema.json"]["properties"]
    described = fields["truncated"]["description"]
    assert f"more than {MOST_WINDOWS} parts or {MAX_CHARACTERS:,} characters" in described
    assert f"more than {artifact.load(artifact.DEFAULT).config.max_tokens} tokens" in described


def test_a_result_without_a_timestamp_or_with_all_scores_is_one() -> None:
    source = {"topic": "texts", "partition": 3, "offset": 1234, "timestamp": None}
    schema("emotion-result").validate(RESULT | {"source": source, "scores": {"joy": 0.0, "neutral": 1.0}})


def test_a_text_is_required_and_more_is_allowed() -> None:
    schema("text-message").validate({"text": "a", "more": 1})
    with pytest.raises(ValidationError):
        schema("text-message").validate({"id": "a"})


@pytest.mark.parametrize("text", ["", " ", "\t\r\n"])
def test_a_blank_text_is_no_message(text: str) -> None:
    with pytest.raises(ValidationError):
        schema("text-message").validate({"text": text})


def test_the_topics_of_the_asyncapi_document_are_the_operators() -> None:
    written = documents.build_documents(input_topic="in", output_topic="out", dlq_topic="dead")["asyncapi.json"]
    assert ["in", "out", "dead"] == [channel["address"] for channel in written["channels"].values()]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """Within the document, or to a schema next to it."""
    every = documents.build_documents()
    document = every["asyncapi.json"]
    references = []

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            references.extend([node["$ref"]] if "$ref" in node else [])
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(document)
    assert references
    for reference in references:
        if reference.startswith("./"):
            assert reference.removeprefix("./") in every
        else:
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]


def test_headers_are_required_and_those_with_one_value_are_constants() -> None:
    every = documents.build_documents()
    assert list(NAMES.values()) == every["dead-letter-headers.schema.json"]["required"]
    properties = every["emotion-result-headers.schema.json"]["properties"]
    assert ("1.0", "string") == (properties["ce_specversion"]["const"], properties["ce_id"]["type"])


@pytest.mark.parametrize("name", [name for name in documents.build_documents() if name.endswith(".schema.json")])
def test_every_field_is_described_and_its_examples_are_valid(name: str) -> None:
    """Consumers in other languages have only this document."""
    document = documents.build_documents()[name]
    parts = [part for part in (document, *document.get("$defs", {}).values()) if "properties" in part]
    for part in parts:
        assert part["description"]
        for field, described in part["properties"].items():
            assert "description" in described or "$ref" in described, f"{name}: {field} has no description"
            for example in described.get("examples", ()):
                Draft202012Validator({"$defs": document.get("$defs", {})} | described).validate(example)


def test_the_labels_are_listed_for_consumers_and_others_are_valid() -> None:
    """A model with other labels writes the same messages."""
    label = documents.build_documents()["emotion-result.schema.json"]["$defs"]["Emotion"]["properties"]["label"]
    assert list(LABELS) == label["examples"]
    schema("emotion-result").validate(RESULT | {"emotions": [{"label": "boredom", "score": 0.5}]})


def test_every_schema_has_an_id_of_its_own() -> None:
    schemas = [document for name, document in documents.build_documents().items() if name.endswith(".schema.json")]
    assert 4 == len({schema["$id"] for schema in schemas})
    assert {"https://json-schema.org/draft/2020-12/schema"} == {schema["$schema"] for schema in schemas}


def test_documents_are_written_alike_every_time_into_a_new_directory_or_not_at_all(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in documents.write_documents(tmp_path / "a" / "deep")}
    second = {path.name: path.read_bytes() for path in documents.write_documents(tmp_path / "b")}
    assert first == second
    assert set(documents.build_documents()) == set(first)
    assert all(json.loads(content) and content.endswith(b"}\n") for content in first.values())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        documents.write_documents(tmp_path / "file")
