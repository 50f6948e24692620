"""`emotag demo`: sample texts through a real broker, a real cache and a real worker process, watched as they go."""

import contextlib
import json
import os
import statistics
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from rich.console import Console
from rich.text import Text

from schemas.dead_letter import DeadLetterHeaders
from schemas.message import TextMessage

from . import clients, settings, topics
from .delivery import DeliveryFailures
from .local import LocalWorker, kafka, valkey
from .settings import Settings
from .show import coloured, shortened

PARTITIONS = 4
TEXT_WIDTH = 56
PATIENCE_S = 60.0
"""Without a result for so long, what is missing counts as lost."""


@dataclass
class Tally:
    """What was sent and what came back.

    Attributes:
        sent: when each text left, by id; seconds of the monotonic clock.
        results, dead: how often each id came back as a result, as a dead letter.
        latencies_s: from leaving to being read from the output topic, first arrivals only.
    """

    sent: dict[str, float] = field(default_factory=dict)
    results: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    cached: int = 0
    latencies_s: list[float] = field(default_factory=list)
    last: float = 0.0

    @property
    def outstanding(self) -> int:
        """Texts that nothing has come back for yet."""
        return sum(1 for name in self.sent if not self.results[name] and not self.dead[name])

    @property
    def exactly_once(self) -> bool:
        """Whether every text has come out once, as a result: none lost, duplicated or dead-lettered."""
        return not self.dead and all(self.results[name] == 1 for name in self.sent)

    def arrived(self, name: str, *, dead: bool, cached: bool) -> None:
        """One record of the output or the dead-letter topic."""
        self.last = time.monotonic()
        if not self.results[name] and not self.dead[name]:
            self.latencies_s.append(self.last - self.sent[name])
        (self.dead if dead else self.results)[name] += 1
        self.cached += cached

    def summary(self) -> dict[str, Any]:
        """The figures of the contract."""
        seconds = max(self.last - min(self.sent.values(), default=self.last), 1e-9)
        came_back = sum((self.results + self.dead).values())
        return {
            "in": len(self.sent),
            "out": sum(self.results.values()),
            "dead_lettered": sum(self.dead.values()),
            "lost": self.outstanding,
            "duplicated": came_back - (len(self.sent) - self.outstanding),
            "cached": self.cached,
            "seconds": round(seconds, 3),
            "messages_per_s": round(came_back / seconds, 1),
            "p50_ms": self._percentile_ms(50),
            "p99_ms": self._percentile_ms(99),
        }

    def _percentile_ms(self, percent: int) -> float | None:
        if len(self.latencies_s) < 2:
            return None
        cuts = statistics.quantiles(self.latencies_s, n=100, method="inclusive")
        return round(1000 * cuts[percent - 1], 1)


class Demo:
    """One run.

    Args:
        messages: how many sample texts are sent.
        rate: texts a second; None sends them as fast as they go, and then latency is mostly waiting in the topic.
        as_json: print nothing but the summary.
    """

    def __init__(self, *, messages: int, rate: float | None, as_json: bool) -> None:
        self._messages = messages
        self._rate = rate
        self._as_json = as_json
        self._tally = Tally()
        self._texts: dict[str, str] = {}
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)

    def run(self, *, ask: bool) -> int:
        """Everything from the first server to the summary; *ask* for typed texts in between.

        Returns:
            The exit code: 0 only if every text came out exactly once, as a result.

        Raises:
            LocalError: a server does not start; says why.
        """
        with contextlib.ExitStack() as stack:
            chosen = stack.enter_context(self._servers())
            self._producer = clients.plain_producer(chosen, DeliveryFailures())
            self._consumer = self._reader(chosen)
            stack.callback(self._consumer.close)
            self._chosen = chosen
            self._send_samples()
            if ask:
                self._ask()
        self._print(self._tally.summary())
        return 0 if self._tally.exactly_once else 1

    @contextlib.contextmanager
    def _servers(self) -> Iterator[Settings]:
        """Kafka, Valkey and a worker; servers named in the environment are used instead of local ones."""
        given = settings.load()
        unique = uuid.uuid4().hex[:8]  # on somebody's own Kafka, no topic of theirs is touched
        texts, emotions, dlq = (f"emotag-demo-{unique}.{name}" for name in ("texts", "emotions", "texts.dlq"))
        environment = {
            "EMOTAG_INPUT__TOPIC": texts,
            "EMOTAG_OUTPUT__TOPIC": emotions,
            "EMOTAG_DLQ__TOPIC": dlq,
            "EMOTAG_KAFKA__GROUP_ID": f"emotag-demo-{unique}",
            "EMOTAG_INPUT__FORMAT": "json",
            "EMOTAG_INPUT__TEXT_PATH": "text",
        }
        with contextlib.ExitStack() as stack:
            own = "EMOTAG_KAFKA__BOOTSTRAP_SERVERS" in os.environ
            if own:
                bootstrap_servers = given.kafka.bootstrap_servers
            else:
                with self._timed("Apache Kafka"):
                    bootstrap_servers = stack.enter_context(kafka()).bootstrap_servers
            environment["EMOTAG_KAFKA__BOOTSTRAP_SERVERS"] = bootstrap_servers
            if given.cache.url is None:
                with self._timed("Valkey"):
                    environment["EMOTAG_CACHE__URL"] = stack.enter_context(valkey()).url
            chosen = settings.load(
                flags={
                    "kafka": {
                        "bootstrap_servers": bootstrap_servers,
                        "group_id": environment["EMOTAG_KAFKA__GROUP_ID"],
                    },
                    "input": {"topic": texts, "format": "json", "text_path": "text"},
                    "output": {"topic": emotions},
                    "dlq": {"topic": dlq},
                }
            )
            admin = clients.admin(chosen)
            plan = topics.planned(chosen, partitions=PARTITIONS, replication=-1)
            topics.create(admin, plan, told=lambda name, how: None)
            if own:
                stack.callback(lambda: [f.result() for f in admin.delete_topics([texts, emotions, dlq]).values()])
            worker = stack.enter_context(LocalWorker(environment))
            with self._timed("the worker, its model and its group"):
                worker.start()
            yield chosen

    def _reader(self, chosen: Settings) -> Consumer:
        consumer = clients.reader(chosen)
        consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (chosen.output.topic, chosen.dlq.topic)
                for partition in range(PARTITIONS)
            ]
        )
        return consumer

    def _send_samples(self) -> None:
        samples = sample_texts()
        began = time.monotonic()
        for number in range(self._messages):
            due = began + number / self._rate if self._rate else 0.0
            while (early_s := due - time.monotonic()) > 0:
                self._receive(early_s)
            self._send(samples[number % len(samples)])
            self._receive(0)
        self._await_all()

    def _send(self, text: str) -> str:
        name = f"demo-{len(self._tally.sent)}"
        self._texts[name] = text
        self._tally.sent[name] = time.monotonic()
        self._producer.produce(self._chosen.input.topic, TextMessage(text=text, id=name).to_json(), key=name)
        self._producer.poll(0)
        return name

    def _receive(self, timeout_s: float) -> bool:
        """Take in one record, if one comes in time."""
        message = self._consumer.poll(timeout_s)
        if message is None or message.error() is not None:
            return False
        value = message.value() or b""
        if message.topic() == self._chosen.dlq.topic:
            name = (message.key() or b"").decode()
            why: Any = message.headers() or []
            self._tally.arrived(name, dead=True, cached=False)
            self._show(name, f"dead letter: {DeadLetterHeaders.from_headers(why).exception_message}")
        else:
            result = json.loads(value)
            name = result["id"]
            self._tally.arrived(name, dead=False, cached=result["cached"])
            self._show(name, coloured(result))
        return True

    def _await_all(self) -> None:
        self._producer.flush(PATIENCE_S)
        quiet_since = time.monotonic()
        while self._tally.outstanding and time.monotonic() - quiet_since < PATIENCE_S:
            if self._receive(0.2):
                quiet_since = time.monotonic()
        # A duplicate would follow its original within moments.
        while self._receive(0.3):
            pass

    def _ask(self) -> None:
        self._out.print("\nType a text and press Enter; an empty line ends.", style="bold")
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while text := self._out.input("› ").strip():
                self._send(text)
                self._await_all()

    def _show(self, name: str, what: str | Text) -> None:
        if self._as_json:
            return
        text = Text(f"{shortened(self._texts[name], TEXT_WIDTH):<{TEXT_WIDTH}}  ")
        self._out.print(text.append(what), soft_wrap=True)

    def _print(self, summary: dict[str, Any]) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(summary) + "\n")
            return
        self._out.print(
            f"\n[bold]{summary['in']} in, {summary['out']} out[/bold], {summary['dead_lettered']} dead-lettered, "
            f"{summary['lost']} lost, {summary['duplicated']} duplicated, {summary['cached']} from the cache\n"
            f"{summary['seconds']} s, {summary['messages_per_s']} messages/s, "
            f"p50 {summary['p50_ms']} ms and p99 {summary['p99_ms']} ms from produced to read as committed\n"
            + (
                "[green]every text came out exactly once[/green]"
                if self._tally.exactly_once
                else "[red]not every text came out exactly once[/red]"
            ),
            soft_wrap=True,
        )

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        if not self._as_json:
            self._err.print(f"starting {what} …", end=" ")
        yield
        if not self._as_json:
            self._err.print(f"{time.monotonic() - began:.1f} s")


def sample_texts() -> list[str]:
    """The texts that ship with the demo, in order."""
    lines = resources.files("worker").joinpath("samples.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
