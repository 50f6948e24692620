"""`--data goemotions` is downloaded once, checked against the published sums, and never left in part.

The server is on loopback.
"""

import errno
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emotag_training.data import sources
from emotag_training.data.goemotions import SHA256
from emotag_training.data.sources import find_data_set
from emotag_training.errors import DataError, Unreachable

PUBLISHED = {
    "train.tsv": b"so happy\t0\tx\n" * 2000,
    "dev.tsv": b"so sad\t1\tx\n",
    "test.tsv": b"so so\t0,1\tx\n",
    "emotions.txt": b"joy\nsadness",
}


class Origin(ThreadingHTTPServer):
    """A server of `files`, whose Content-Length is `missing` bytes too large."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.files = dict(PUBLISHED)
        self.missing: dict[str, int] = {}
        self.asked: list[str] = []


class _Requests(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        name = self.path.removeprefix("/data/")
        self.server.asked.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + self.server.missing.get(name, 0)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    with Origin() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(sources, "ORIGIN", f"http://127.0.0.1:{server.server_address[1]}/data/")
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in PUBLISHED.items()}
        monkeypatch.setattr(sources, "SHA256", sums)
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_downloaded_whole_and_once(origin: Origin, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    data = find_data_set("goemotions", cache=cache)
    assert ("joy", "sadness") == data.read("dev").labels
    assert 2000 == len(data.read("train").texts)
    assert files(cache) == PUBLISHED
    find_data_set("goemotions", cache=cache)
    assert sorted(PUBLISHED) == sorted(origin.asked)


def test_a_download_that_is_cut_short_is_refused_and_the_next_one_goes_on(origin: Origin, tmp_path: Path) -> None:
    origin.missing["dev.tsv"] = 10
    with pytest.raises(
        Unreachable, match=r"cannot download http:.*/dev\.tsv: IncompleteRead.*10 more expected.*--data F"
    ):
        find_data_set("goemotions", cache=tmp_path)
    assert {"train.tsv"} == set(files(tmp_path))
    origin.missing.clear()
    find_data_set("goemotions", cache=tmp_path)
    assert files(tmp_path) == PUBLISHED


def test_a_file_that_is_gone_is_refused(origin: Origin, tmp_path: Path) -> None:
    del origin.files["train.tsv"]
    with pytest.raises(Unreachable, match=r"cannot download http:.*/train\.tsv: HTTP Error 404"):
        find_data_set("goemotions", cache=tmp_path)
    assert {} == files(tmp_path)


def test_a_file_that_is_not_the_published_one_is_not_taken(origin: Origin, tmp_path: Path) -> None:
    origin.files["train.tsv"] += b"one more\t0\tx\n"
    other = hashlib.sha256(origin.files["train.tsv"]).hexdigest()
    with pytest.raises(
        DataError, match=rf"/train\.tsv has changed: its sha256 is {other}, as published it is .*--data FOLDER"
    ):
        find_data_set("goemotions", cache=tmp_path)
    assert {} == files(tmp_path)


def test_a_file_that_is_there_and_not_the_published_one_is_to_be_deleted(origin: Origin, tmp_path: Path) -> None:
    """For example, an incomplete download of an earlier version. emotag deletes no file of the user."""
    (tmp_path / "train.tsv").write_bytes(PUBLISHED["train.tsv"][:-5])
    with pytest.raises(DataError, match=rf"Delete {tmp_path}/train\.tsv to download it again"):
        find_data_set("goemotions", cache=tmp_path)
    assert [] == origin.asked
    (tmp_path / "train.tsv").unlink()
    find_data_set("goemotions", cache=tmp_path)
    assert files(tmp_path) == PUBLISHED


def test_a_write_that_fails_leaves_nothing(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match="No space left on device"):
            find_data_set("goemotions", cache=tmp_path)
    assert {} == files(tmp_path)
    find_data_set("goemotions", cache=tmp_path)
    assert files(tmp_path) == PUBLISHED


def test_several_that_download_at_once_are_not_in_each_others_way(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each writes a half before any writes the other half: the file with the final name is complete."""
    together = threading.Barrier(4, timeout=60)
    parts: list[str] = []
    write_bytes = Path.write_bytes

    def slowly(path: Path, content: bytes) -> int:
        write_bytes(path, content[: len(content) // 2])
        together.wait()
        parts.extend(name for name, found in files(tmp_path).items() if name in PUBLISHED and found != PUBLISHED[name])
        together.wait()
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    monkeypatch.setattr(sources, "SHA256", {"train.tsv": hashlib.sha256(PUBLISHED["train.tsv"]).hexdigest()})
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda _: find_data_set("goemotions", cache=tmp_path), range(4)))
    assert [] == parts
    assert {"train.tsv": PUBLISHED["train.tsv"]} == files(tmp_path)


def test_the_sums_are_those_of_the_published_files(goemotions: Path) -> None:
    found = {
        name: hashlib.sha256((goemotions / name).read_bytes()).hexdigest()
        for name in sorted(SHA256)
        if (goemotions / name).is_file()
    }
    assert {"dev.tsv", "emotions.txt", "train.tsv"} <= set(found)
    assert found == {name: SHA256[name] for name in found}
