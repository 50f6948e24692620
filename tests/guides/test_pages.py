"""The guides do what they say: every command and every program on them runs, with the output that they show."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest
from confluent_kafka import Producer
from pydantic import BaseModel

from emotag_model import EmotionTagger, artifact
from emotag_schemas import EKMAN, LABELS, SENTIMENT, Emotion, EmotionResult
from emotag_schemas.result import CE_HEADERS, ModelVersion, Part, Reason, Scope, SourceRecord
from emotag_worker.kafka import clients
from emotag_worker.kafka.topics import create_topics, plan_topics
from emotag_worker.local import LocalKafka, LocalWorker
from emotag_worker.local.kafka import find_jars
from emotag_worker.local.server import run_server
from emotag_worker.settings import KafkaSettings, Settings
from tests.conftest import QUIET
from tests.contract.test_documents import RESULT

from .page import Shell, read_blocks, run_page

DOCS = Path(__file__).parents[2] / "docs"

PORT = {"EMOTAG_ADMIN__PORT": "0"}  # the tests run next to each other
ENVIRONMENT = {
    # The default on a machine with a C compiler: the pages show its scores.
    "EMOTAG_MODEL__ENGINE": "native",
    "EMOTAG_MODEL__PRECISION": "int8",
    **PORT,
}


@pytest.fixture
def kafka_environment(own_kafka: LocalKafka) -> dict[str, str]:
    """Variables that name a broker with the default topics."""
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=own_kafka.bootstrap_servers))
    create_topics(clients.create_admin(settings), plan_topics(settings, partitions=1, replication=1), report=print)
    return ENVIRONMENT | {"EMOTAG_KAFKA__BOOTSTRAP_SERVERS": own_kafka.bootstrap_servers}


@pytest.mark.timeout(500)
def test_the_readme(tmp_path: Path) -> None:
    """In a folder that looks like the clone, so that the page's files do not end up in the clone itself."""
    root = DOCS.parent
    outside_make = {"MAKEFLAGS": ""}  # `make test ARGS=…` would pass its arguments on to `make demo`
    subprocess.run(["make", ".venv/.demo"], cwd=root, env=os.environ | outside_make, check=True)
    for path in root.iterdir():
        (tmp_path / path.name).symlink_to(path)
    run_page(root / "README.md", PORT | outside_make, folder=tmp_path)  # the demo measures for `emotag tag`, too


def test_the_readme_stays_short() -> None:
    assert len((DOCS.parent / "README.md").read_text(encoding="utf-8").split()) <= 900


@pytest.mark.timeout(300)
def test_the_guide_for_consumers(kafka_environment: dict[str, str], tmp_path: Path) -> None:
    """It begins where a worker runs."""
    with run_server(LocalWorker(kafka_environment)):
        run_page(
            DOCS / "use-the-tags.md",
            kafka_environment,
            folder=tmp_path,
            not_run=[
                "pip install ./schemas confluent-kafka",
                "kcat -C -b $EMOTAG_KAFKA__BOOTSTRAP_SERVERS -t emotions -o beginning \\\n"
                "    -X isolation.level=read_committed",
                "pip install ./schemas . pandas",
            ],
        )


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")
def test_the_java_program_reads_a_result(kafka_environment: dict[str, str], tmp_path: Path) -> None:
    """With the jars of the local Kafka."""
    (block,) = [block for block in read_blocks(DOCS / "use-the-tags.md") if block.words == ("java", "Tags.java")]
    (tmp_path / "Tags.java").write_text(block.text, encoding="utf-8")
    servers = kafka_environment["EMOTAG_KAFKA__BOOTSTRAP_SERVERS"]
    producer = Producer({"bootstrap.servers": servers}, logger=QUIET)
    producer.produce("emotions", json.dumps(RESULT))
    assert 0 == producer.flush(30)
    shell = Shell({**os.environ, **kafka_environment, "CLASSPATH": find_jars()}, tmp_path)
    with shell.start(block.place, "java Tags.java", "m-1 [excitement, joy]"):
        pass


@pytest.mark.timeout(400)
def test_the_guide_for_producers(tmp_path: Path) -> None:
    """It begins with nothing, and starts its own servers."""
    run_page(
        DOCS / "send-texts.md",
        ENVIRONMENT,
        folder=tmp_path,
        not_run=[
            "python3 -m venv .venv",
            ". .venv/bin/activate",
            "pip install ./schemas '.[local]'",
            """echo 'customer-7:{"text": "Thank you!"}' |\n    """
            "kcat -P -b $EMOTAG_KAFKA__BOOTSTRAP_SERVERS -t texts -K : -X partitioner=murmur2_random",
        ],
    )


def test_the_page_of_the_schemas(tmp_path: Path) -> None:
    run_page(DOCS.parent / "schemas" / "README.md", {}, folder=tmp_path, not_run=["pip install ./schemas"])


def test_the_page_explains_every_field_and_header_of_a_result() -> None:
    page = (DOCS / "use-the-tags.md").read_text(encoding="utf-8")
    parts: dict[str, type[BaseModel]] = {
        "": EmotionResult,
        "emotions[].": Emotion,
        "emotions[].reasons[].": Reason,
        "parts[].": Part,
        "model.": ModelVersion,
        "source.": SourceRecord,
    }
    fields = {f"{prefix}{name}" for prefix, part in parts.items() for name in part.model_fields} - {"model", "source"}
    assert fields | {*CE_HEADERS, *get_args(Scope)} == set(
        re.findall(r"^\| `([\w.\[\]-]+)` \|", page, re.MULTILINE)
    ) - {*LABELS}


def test_the_table_of_labels_is_the_models() -> None:
    """Groups and thresholds are those of the code, and the shipped model gives each example its label."""
    page = (DOCS / "use-the-tags.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| (\w+) \| (\w+|–) \| ([\d.]+) \|$", page, re.MULTILINE)
    thresholds = artifact.load(artifact.DEFAULT).thresholds
    values = dict(zip(thresholds.labels, thresholds.values, strict=True))
    expected = [
        (label, group_of(label, SENTIMENT.items()), group_of(label, EKMAN.items()), f"{values[label]:.4f}")
        for label in LABELS
    ]
    assert expected == [(label, sentiment, ekman, value) for label, _, sentiment, ekman, value in rows]
    tagged = EmotionTagger.load(engine="native", precision="int8").tag([example for _, example, *_ in rows])
    for label, tagging in zip(LABELS, tagged, strict=True):
        assert label in [emotion.label for emotion in tagging.emotions]


def group_of(label: str, groups: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    return next((group for group, labels in groups if label in labels), "–")
