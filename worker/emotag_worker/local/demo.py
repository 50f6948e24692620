"""`emotag demo`: send sample texts through a real broker, a real cache and a real worker, and show the results."""

import contextlib
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from emotag_schemas.dead_letter import DeadLetterHeaders
from emotag_worker.kafka import clients, topics
from emotag_worker.kafka.output.sink import DeliveryFailures
from emotag_worker.settings import Settings, loader

from . import LocalWorker, run_kafka, run_valkey
from .demo_records import DemoRecord, Tally, plan_records
from .demo_view import DemoView
from .kafka import DOWNLOAD_NOTE, needs_download

PARTITIONS = 4
PATIENCE_S = 60.0
"""If no result arrives for this long, missing records count as lost."""


class Demo:
    """One run of the demo.

    Args:
        messages: number of sample texts to send.
        rate: records per second. None sends without pause; latency is then mostly the wait in the topic.
        as_json: print only the summary, and send only texts: no repeats on purpose and no broken records.
    """

    def __init__(self, *, messages: int, rate: float | None, as_json: bool) -> None:
        self._records = plan_records(messages, with_exceptions=not as_json)
        self._rate = rate
        self._as_json = as_json
        self._tally = Tally()
        self._sent: dict[str, DemoRecord] = {}
        self._view = DemoView(silent=as_json)

    def run(self, *, ask: bool) -> int:
        """Start the servers, send the records, and print the summary; with *ask*, also send texts that the user types.

        Returns:
            The exit code: 0 if every text has exactly one result and every broken record one dead letter, else 1.

        Raises:
            LocalError: a server does not start.
        """
        with contextlib.ExitStack() as stack:
            chosen = stack.enter_context(self._run_servers())
            self._producer = clients.create_plain_producer(chosen, DeliveryFailures())
            self._consumer = self._open_consumer(chosen)
            stack.callback(self._consumer.close)
            self._chosen = chosen
            self._view.show_header(len(self._records), self._rate)
            self._send_records()
            self._view.show_proof(self._tally, paced=self._rate is not None)
            if ask:
                self._prompt()
        if self._as_json:
            sys.stdout.write(json.dumps(self._tally.summarize()) + "\n")
        self._view.show_next_commands()
        return 0 if self._tally.exactly_once else 1

    @contextlib.contextmanager
    def _run_servers(self) -> Iterator[Settings]:
        """Run Kafka, Valkey and a worker. Servers that the environment names are used instead of local ones."""
        given = loader.load()
        unique = uuid.uuid4().hex[:8]  # unique topics: on a user's own Kafka, existing topics are not touched
        texts, emotions, dlq = (f"emotag-demo-{unique}.{name}" for name in ("texts", "emotions", "texts.dlq"))
        flags = {
            "kafka": {"bootstrap_servers": given.kafka.bootstrap_servers, "group_id": f"emotag-demo-{unique}"},
            "input": {"topic": texts, "format": "json", "text_path": "text"},
            "output": {"topic": emotions},
            "dlq": {"topic": dlq},
        }
        with contextlib.ExitStack() as stack:
            own = "EMOTAG_KAFKA__BOOTSTRAP_SERVERS" in os.environ
            if not own:
                if needs_download():
                    self._view.show_note(DOWNLOAD_NOTE)
                with self._view.show_duration("Apache Kafka", hint=""):
                    flags["kafka"]["bootstrap_servers"] = stack.enter_context(run_kafka()).bootstrap_servers
            if given.cache.url is None:
                with self._view.show_duration("Valkey", hint=""):
                    flags["cache"] = {"url": stack.enter_context(run_valkey()).url}
            chosen = loader.load(flags=flags)
            admin = stack.enter_context(clients.create_admin(chosen, polled=True))
            plan = topics.plan_topics(chosen, partitions=PARTITIONS, replication=-1)
            topics.create_topics(admin, plan, report=lambda name, how: None)
            if own:
                stack.callback(lambda: [f.result() for f in admin.delete_topics([texts, emotions, dlq]).values()])
            worker = stack.enter_context(LocalWorker(_name_variables(flags)))
            with self._view.show_duration("the worker", hint="the first start measures which engine is fastest here"):
                worker.start()
            yield chosen

    def _open_consumer(self, chosen: Settings) -> Consumer:
        consumer = clients.create_reader(chosen)
        consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (chosen.output.topic, chosen.dlq.topic)
                for partition in range(PARTITIONS)
            ]
        )
        return consumer

    def _send_records(self) -> None:
        began = time.monotonic()
        for number, record in enumerate(self._records):
            due = began + number / self._rate if self._rate else 0.0
            while (early_s := due - time.monotonic()) > 0:
                self._receive(early_s)
            self._send(record)
            self._receive(0)
        self._await_all()

    def _send(self, record: DemoRecord) -> None:
        name = f"demo-{len(self._sent)}"
        self._sent[name] = record
        self._tally.count_sent(name, record)
        self._producer.produce(self._chosen.input.topic, record.encode(name), key=name)
        self._producer.poll(0)

    def _receive(self, timeout_s: float) -> bool:
        """Read one record, and return whether one arrived in time."""
        message = self._consumer.poll(timeout_s)
        if message is None or message.error() is not None:
            return False
        value = message.value() or b""
        if message.topic() == self._chosen.dlq.topic:
            name = (message.key() or b"").decode()
            headers: Any = message.headers() or []
            self._tally.count_arrival(name, dead=True, cached=False)
            found = DeadLetterHeaders.from_headers(headers)
            self._view.show_dead_letter(self._sent[name], f"{found.exception_class}: {found.exception_message}")
        else:
            result = json.loads(value)
            name = result["id"]
            self._tally.count_arrival(name, dead=False, cached=result["cached"])
            self._view.show_result(self._sent[name], result)
        return True

    def _await_all(self) -> None:
        self._producer.flush(PATIENCE_S)
        quiet_since = time.monotonic()
        while self._tally.outstanding and time.monotonic() - quiet_since < PATIENCE_S:
            if self._receive(0.2):
                quiet_since = time.monotonic()
        # A duplicate would arrive soon after the first result.
        while self._receive(0.3):
            pass

    def _prompt(self) -> None:
        self._view.show_prompt()
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while text := self._view.read_text():
                self._send(DemoRecord(text, repeated=any(text == record.text for record in self._sent.values())))
                self._await_all()
        if not self._tally.exactly_once:
            self._view.show_proof(self._tally, paced=True)


def _name_variables(flags: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return settings as the environment of a worker."""
    return {
        f"EMOTAG_{section}__{name}".upper(): value for section, each in flags.items() for name, value in each.items()
    }
