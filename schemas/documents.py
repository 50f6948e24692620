"""The contract for programs: JSON Schemas of the messages and an AsyncAPI document of the topics, from the models."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from .dead_letter import NAMES
from .message import TextMessage
from .result import CE_HEADERS, CONTENT_TYPE, EmotionResult

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents(
    *, input_topic: str = "texts", output_topic: str = "emotions", dlq_topic: str = "texts.dlq"
) -> dict[str, Any]:
    """File name to document."""
    schemas = {
        "text-message.schema.json": _schema(TextMessage, "text-message", mode="validation"),
        "emotion-result.schema.json": _schema(EmotionResult, "emotion-result", mode="serialization"),
        "dead-letter-headers.schema.json": _headers("dead-letter-headers", tuple(NAMES.values())),
        "emotion-result-headers.schema.json": {
            **_headers("emotion-result-headers", tuple(CE_HEADERS)),
            "description": "CloudEvents 1.0 in binary mode; the input record's own headers stand beside them.",
        },
    }
    schemas["emotion-result-headers.schema.json"]["properties"] |= {
        name: {"const": value} for name, value in CE_HEADERS.items() if value is not None
    }
    return {**schemas, "asyncapi.json": _asyncapi(input_topic, output_topic, dlq_topic)}


def write(directory: Path) -> list[Path]:
    """Write every document into *directory*; the same models always give the same bytes.

    Raises:
        OSError: it cannot be written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, document in documents().items():
        path = directory / name
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _schema(model: type[Any], name: str, *, mode: Any) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": f"urn:emotag:{name}:v1", **TypeAdapter(model).json_schema(mode=mode)}


def _headers(name: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "$id": f"urn:emotag:{name}:v1",
        "type": "object",
        "description": "Record headers, each a UTF-8 string.",
        "properties": {header: {"type": "string"} for header in names},
        "required": list(names),
    }


def _asyncapi(input_topic: str, output_topic: str, dlq_topic: str) -> dict[str, Any]:
    def channel(topic: str, message: str) -> dict[str, Any]:
        return {"address": topic, "messages": {message: {"$ref": f"#/components/messages/{message}"}}}

    def operation(action: str, name: str, message: str, summary: str) -> dict[str, Any]:
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
            "description": "Texts in, emotions out, exactly once for consumers with isolation.level=read_committed.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "texts": channel(input_topic, "text"),
            "emotions": channel(output_topic, "result"),
            "deadLetters": channel(dlq_topic, "deadLetter"),
        },
        "operations": {
            "readTexts": operation("receive", "texts", "text", "emotag reads texts."),
            "writeEmotions": operation("send", "emotions", "result", "One result for every good record."),
            "writeDeadLetters": operation("send", "deadLetters", "deadLetter", "What cannot be tagged, as it came."),
        },
        "components": {
            "messages": {
                "text": {"payload": {"$ref": "./text-message.schema.json"}},
                "result": {
                    "payload": {"$ref": "./emotion-result.schema.json"},
                    "headers": {"$ref": "./emotion-result-headers.schema.json"},
                },
                "deadLetter": {
                    "contentType": "application/octet-stream",
                    "payload": {"description": "The original value, byte for byte."},
                    "headers": {"$ref": "./dead-letter-headers.schema.json"},
                },
            }
        },
    }
