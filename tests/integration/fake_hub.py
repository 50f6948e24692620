"""A model hub on loopback: as much of its HTTP interface as pushing and downloading a model takes, with one commit."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "c" * 40


class FakeHub(ThreadingHTTPServer):
    """Keeps what is pushed, and gives it out again.

    Attributes:
        repos: {repo: {file: content}}.
        tokens: every token that came with what changes something.
        asked: every method and path, in order.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.tokens: set[str] = set()
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub that listens until the block is left."""
    with FakeHub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Requests(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = self.path.split("?")[0]
        if path == "/api/repos/create":
            wanted = json.loads(body)
            repo = "/".join(part for part in (wanted.get("organization"), wanted["name"]) if part)
            self.server.repos.setdefault(repo, {})
            self._json({"url": f"{self.server.endpoint}/{repo}", "name": repo})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            self._json(
                {"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]}
            )
        elif "/commit/" in path:
            repo = path.removeprefix("/api/models/").split("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.repos[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._json({"commitUrl": f"{self.server.endpoint}/{repo}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self._missing()

    def do_HEAD(self) -> None:
        self._note()
        self._file(send=False)

    def do_GET(self) -> None:
        self._note()
        if self.path.startswith("/api/models/"):
            repo = (
                unquote(self.path.removeprefix("/api/models/").split("?")[0]).split("/revision/")[0].split("/tree/")[0]
            )
            if repo not in self.server.repos:
                return self._missing()
            files = self.server.repos[repo]
            if "/tree/" in self.path:
                return self._json(
                    [{"type": "file", "path": n, "size": len(c), "oid": _digest(c)} for n, c in files.items()]
                )
            siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
            return self._json({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings})
        return self._file(send=True)

    def _file(self, *, send: bool) -> None:
        repo, _, rest = unquote(self.path).strip("/").partition("/resolve/")
        content = self.server.repos.get(repo, {}).get(rest.partition("/")[2])
        if content is None:
            return self._missing()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_digest(content)}"'}
        return self._answer(200, content, headers, send=send)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, send=True)

    def _missing(self) -> None:
        self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no such model"}, send=True)

    def _answer(self, status: int, content: bytes, headers: dict[str, str], *, send: bool) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if send and self.command != "HEAD":
            self.wfile.write(content)

    def _note(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/api/repos/") or "/commit/" in self.path:
            self.server.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's own name)
        """Say nothing: a test's output is not a server's log."""


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
