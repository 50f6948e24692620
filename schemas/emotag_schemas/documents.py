"""Build the contract for programs from the models: JSON Schemas of the messages, an AsyncAPI document of the topics."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from .dead_letter import NAMES, STUB_NAMES, DeadLetterHeaders, StubHeaders
from .message import TextMessage
from .result import CE_HEADERS, CONTENT_TYPE, EmotionResult

DIALECT = "https://json-schema.org/draft/2020-12/schema"


RESULT_HEADERS: dict[str, dict[str, Any]] = {
    "ce_specversion": {"description": "The version of CloudEvents."},
    "ce_id": {"description": "The id of the result.", "examples": ["42"]},
    "ce_source": {
        "description": "`/emotag`, the group of the workers and the topic of the text. In the group, every "
        "character except letters, digits and `_.-~` is percent-encoded.",
        "examples": ["/emotag/emotag/texts"],
    },
    "ce_subject": {
        "description": "Partition and offset of the text.",
        "examples": ["3/1234"],
    },
    "ce_type": {
        "description": "The type of the event. Its number increases if older consumers cannot read the new type."
    },
    "ce_time": {
        "description": "`tagged_at` of the result.",
        "format": "date-time",
        "examples": ["2026-11-24T14:37:43.272Z"],
    },
    "content-type": {"description": "The encoding of the value."},
}


def build_documents(
    *, input_topic: str = "texts", output_topic: str = "emotions", dlq_topic: str = "texts.dlq"
) -> dict[str, Any]:
    """Return each document by its file name."""
    schemas = {
        "text-message.schema.json": _build_schema(TextMessage, "text-message", mode="validation"),
        "emotion-result.schema.json": _build_schema(EmotionResult, "emotion-result", mode="serialization"),
        "dead-letter-headers.schema.json": _build_headers(
            "dead-letter-headers",
            "The headers of a dead letter, each a UTF-8 string, after the original headers of the record.",
            {name: _describe_header(DeadLetterHeaders, field) for field, name in NAMES.items()},
            optional={name: _describe_header(StubHeaders, field) for field, name in STUB_NAMES.items()},
        ),
        "emotion-result-headers.schema.json": _build_headers(
            "emotion-result-headers",
            "The headers of a result, each a UTF-8 string, after the headers of the text's record: CloudEvents 1.0 in "
            "binary mode.",
            {
                name: RESULT_HEADERS[name] | ({"type": "string"} if value is None else {"const": value})
                for name, value in CE_HEADERS.items()
            },
        ),
    }
    return {**schemas, "asyncapi.json": _build_asyncapi(input_topic, output_topic, dlq_topic)}


def write_documents(directory: Path) -> list[Path]:
    """Write every document into *directory*; the same models always produce the same bytes.

    Raises:
        OSError: the directory cannot be written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, document in build_documents().items():
        path = directory / name
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _build_schema(model: type[Any], name: str, *, mode: Any) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": f"urn:emotag:{name}:v1", **TypeAdapter(model).json_schema(mode=mode)}


def _build_headers(
    name: str,
    description: str,
    headers: dict[str, dict[str, Any]],
    *,
    optional: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "$id": f"urn:emotag:{name}:v1",
        "type": "object",
        "description": description,
        "properties": {**headers, **(optional or {})},
        "required": list(headers),
    }


def _describe_header(model: type[BaseModel], field: str) -> dict[str, Any]:
    """Describe a header as its field, but as a string: headers contain text."""
    info = model.model_fields[field]
    return {"type": "string", "description": info.description, "examples": [str(each) for each in info.examples or ()]}


def _build_asyncapi(input_topic: str, output_topic: str, dlq_topic: str) -> dict[str, Any]:
    def build_channel(topic: str, message: str) -> dict[str, Any]:
        return {"address": topic, "messages": {message: {"$ref": f"#/components/messages/{message}"}}}

    def build_operation(action: str, name: str, message: str, summary: str) -> dict[str, Any]:
        reference = {"$ref": f"#/channels/{name}/messages/{message}"}
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [reference],
            "summary": summary,
        }

    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "emotag",
            "version": "1",
            "description": "One result for each text, exactly once for consumers with isolation.level=read_committed.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "texts": build_channel(input_topic, "text"),
            "emotions": build_channel(output_topic, "result"),
            "deadLetters": build_channel(dlq_topic, "deadLetter"),
        },
        "operations": {
            "readTexts": build_operation("receive", "texts", "text", "emotag reads texts."),
            "writeEmotions": build_operation("send", "emotions", "result", "One result for every good record."),
            "writeDeadLetters": build_operation("send", "deadLetters", "deadLetter", "Records that cannot be tagged."),
        },
        "components": {
            "messages": {
                "text": {
                    "summary": "A text to tag.",
                    "description": "The key is optional. Results with the same key keep the order of their texts.",
                    "payload": {"$ref": "./text-message.schema.json"},
                },
                "result": {
                    "summary": "The emotions of one text.",
                    "description": "The key of the record is that of the text's record, and so is its timestamp, "
                    "unless the operator chose the time of writing.",
                    "payload": {"$ref": "./emotion-result.schema.json"},
                    "headers": {"$ref": "./emotion-result-headers.schema.json"},
                },
                "deadLetter": {
                    "summary": "A record that cannot be tagged, and the reason.",
                    "description": "Key, value, timestamp and headers are those of the record. Headers with the reason "
                    "follow. If the brokers refuse a dead letter, a stub without value replaces it.",
                    "contentType": "application/octet-stream",
                    "payload": {"description": "The original value, byte for byte. A stub has none."},
                    "headers": {"$ref": "./dead-letter-headers.schema.json"},
                },
            }
        },
    }
