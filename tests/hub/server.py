"""A small Hub on loopback: the routes, headers and error codes that the real huggingface_hub client uses, and faults on order.

with HubServer() as hub:
    hub.add_repo("org/name", {"config.json": b"{}", "model.safetensors": Path("…")})
    os.environ["HF_ENDPOINT"] = hub.url
    hub.fail("model.safetensors", cut=1000)          # the next request for that file loses its connection
    …
    assert hub.downloads("model.safetensors") == ["bytes=1000-"]
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_test_token"
LARGE = 4096
"""Files of this size or more are served as LFS: by a redirect, with a sha256 as their ETag."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str | None
    status: int
    authorized: bool


@dataclass
class Fault:
    """What goes wrong with requests whose path ends so.

    Attributes:
        status: Answer this status.
        headers: With these headers.
        cut: Close the connection after so many bytes of content.
        stall: Send nothing more after so many bytes of content, and keep the connection open.
        drop: Headers to leave out of the answer.
        body: Answer this body instead of the content.
        times: How many requests it hits.
    """

    suffix: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    stall: int | None = None
    drop: tuple[str, ...] = ()
    body: bytes | None = None
    times: int = 1
    method: str | None = None


@dataclass
class Repo:
    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    private: bool = False
    gated: bool = False
    pipeline_tag: str | None = None
    library: str | None = None
    card: dict[str, Any] = field(default_factory=dict)
    sizes: bool = True


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class HubServer:
    """The server; everything it does can be read from :attr:`requests` afterwards."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.tokens = {TOKEN}
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def storage(self) -> str:
        """Where large files are redirected to: another host, as at the Hub, which must not see tokens."""
        return f"http://localhost:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_repo(
        self,
        name: str,
        files: dict[str, bytes | Path],
        *,
        private: bool = False,
        gated: bool = False,
        pipeline_tag: str | None = None,
        library: str | None = None,
        card: dict[str, Any] | None = None,
        revisions: dict[str, dict[str, bytes | Path]] | None = None,
        sizes: bool = True,
    ) -> str:
        """Add a repository, or a commit on top of one; returns the commit of ``main``.

        Args:
            revisions: Files of further branches and tags, by name.
            sizes: Whether listings say sizes and content addresses (a mirror may not).
        """
        repo = self.repos.setdefault(name, Repo({}, {}))
        repo.private, repo.gated, repo.pipeline_tag, repo.library = private, gated, pipeline_tag, library
        repo.card, repo.sizes = card or {}, sizes
        for ref, tree in {**(revisions or {}), "main": files}.items():
            content = {
                path: data if isinstance(data, bytes) else data.read_bytes() for path, data in tree.items()
            }
            sums = "".join(f"{path}{blob_id(data)}" for path, data in sorted(content.items()))
            commit = hashlib.sha1((name + sums).encode()).hexdigest()
            repo.commits[commit] = content
            repo.refs[ref] = commit
        return repo.refs["main"]

    def fail(self, suffix: str, **fault: Any) -> None:
        """Let the next request(s) whose path ends in ``suffix`` fail; see :class:`Fault`."""
        with self._guard:
            self.faults.append(Fault(suffix, **fault))

    def downloads(self, suffix: str) -> list[str | None]:
        """The Range header of every GET that was answered with content of files whose path ends so."""
        return [
            r.range
            for r in self.requests
            if r.method == "GET" and r.path.endswith(suffix) and r.status in {200, 206}
        ]

    def forget(self) -> None:
        """Empty the request log."""
        with self._guard:
            self.requests.clear()

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self._guard:
            for fault in self.faults:
                if path.endswith(fault.suffix) and fault.method in {None, method} and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def log(self, request: Request) -> None:
        with self._guard:
            self.requests.append(request)

    def stall(self) -> None:
        self._ended.wait(120)


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                super().handle()

        def do_HEAD(self) -> None:
            self.route()

        def do_GET(self) -> None:
            self.route()

        def route(self) -> None:
            parts = urlsplit(self.path)
            path, query = unquote(parts.path), parse_qs(parts.query)
            self.fault = hub.take_fault(self.command, path)
            if self.fault and self.fault.status:
                self.answer(self.fault.status, self.fault.body or b"", self.fault.headers)
                return None
            if self.fault and self.fault.body is not None and self.fault.cut is None:
                self.answer(200, self.fault.body, {"Content-Type": "text/html"})
                return None
            if path == "/api/whoami-v2":
                known = self.token() in hub.tokens
                return self.answer(
                    200 if known else 401, b'{"name": "tester", "type": "user"}' if known else b"{}"
                )
            if match := re.fullmatch(r"/api/models/(.+?)/tree/([^/]+)(?:/(.*))?", path):
                self.tree(match[1], match[2], query)
                return None
            if match := re.fullmatch(r"/api/models/(.+?)/refs", path):
                self.refs(match[1])
                return None
            if match := re.fullmatch(r"/api/models/(.+?)(?:/revision/(.+))?", path):
                self.info(match[1], match[2] or "main", query)
                return None
            if match := re.fullmatch(r"/lfs/(.+?)/([0-9a-f]{64})/(.*)", path):
                self.lfs(match[1], match[2])
                return None
            if match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
                self.resolve(match[1], match[2], match[3])
                return None
            self.refuse(404, "", "Not found")
            return None

        def token(self) -> str | None:
            header = self.headers.get("Authorization") or ""
            return header.removeprefix("Bearer ") or None

        def repo(self, name: str, *, content: bool) -> Repo | None:
            token, repo = self.token(), hub.repos.get(name)
            if token is not None and token not in hub.tokens:
                self.refuse(401, "", "Invalid credentials in Authorization header")
            elif repo is None or (repo.private and token is None):
                self.refuse(401 if token is None else 404, "RepoNotFound", "Repository not found")
            elif repo.gated and content and token is None:
                self.refuse(401, "GatedRepo", f"Access to model {name} is restricted")
            else:
                return repo
            return None

        def commit(self, repo: Repo, revision: str) -> str | None:
            commit = repo.refs.get(unquote(revision), revision)
            if commit not in repo.commits:
                self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
                return None
            return commit

        def info(self, name: str, revision: str, query: dict[str, list[str]]) -> None:
            if (repo := self.repo(name, content=False)) is None or (
                commit := self.commit(repo, revision)
            ) is None:
                return
            siblings = []
            for path, data in repo.commits[commit].items():
                sibling: dict[str, Any] = {"rfilename": path}
                if query.get("blobs") and repo.sizes:
                    sibling |= {"size": len(data), "blobId": blob_id(data)}
                    if len(data) >= LARGE:
                        sibling["lfs"] = {
                            "size": len(data),
                            "sha256": hashlib.sha256(data).hexdigest(),
                            "pointerSize": 134,
                        }
                siblings.append(sibling)
            record = {
                "_id": "1", "id": name, "modelId": name, "author": name.partition("/")[0], "sha": commit, "private": repo.private,
                "gated": "auto" if repo.gated else False, "disabled": False, "tags": [], "downloads": 0, "likes": 0,
                "siblings": siblings, "cardData": repo.card,
            }  # fmt: skip
            record |= {"pipeline_tag": repo.pipeline_tag} if repo.pipeline_tag else {}
            record |= {"library_name": repo.library} if repo.library else {}
            self.answer(200, json.dumps(record).encode(), {"Content-Type": "application/json"})

        def tree(self, name: str, revision: str, query: dict[str, list[str]]) -> None:
            if (repo := self.repo(name, content=False)) is None or (
                commit := self.commit(repo, revision)
            ) is None:
                return
            entries = []
            for path, data in repo.commits[commit].items():
                entry: dict[str, Any] = {
                    "type": "file",
                    "path": path,
                    "size": len(data),
                    "oid": blob_id(data),
                }
                if len(data) >= LARGE:
                    entry["lfs"] = {
                        "oid": hashlib.sha256(data).hexdigest(),
                        "size": len(data),
                        "pointerSize": 134,
                    }
                entries.append(entry)
            at, step = int(query.get("cursor", ["0"])[0]), 50
            headers = {"Content-Type": "application/json"}
            if at + step < len(entries):
                headers["Link"] = (
                    f'<{hub.url}/api/models/{name}/tree/{revision}?recursive=true&cursor={at + step}>; rel="next"'
                )
            self.answer(200, json.dumps(entries[at : at + step]).encode(), headers)

        def refs(self, name: str) -> None:
            if (repo := self.repo(name, content=False)) is None:
                return
            branches = [
                {"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": commit}
                for ref, commit in repo.refs.items()
            ]
            self.answer(200, json.dumps({"branches": branches, "tags": [], "converts": []}).encode())

        def resolve(self, name: str, revision: str, path: str) -> None:
            if (repo := self.repo(name, content=True)) is None or (
                commit := self.commit(repo, revision)
            ) is None:
                return
            data = repo.commits[commit].get(path)
            if data is None:
                self.refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
                return
            headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "ETag": f'"{blob_id(data)}"'}
            if len(data) < LARGE:
                self.content(data, headers)
                return
            digest = hashlib.sha256(data).hexdigest()
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
            self.answer(
                302, b"", {**headers, "Location": f"{hub.storage}/lfs/{name}/{digest}/{path}?signature=1"}
            )

        def lfs(self, name: str, digest: str) -> None:
            for content in hub.repos[name].commits.values():
                for data in content.values():
                    if len(data) >= LARGE and hashlib.sha256(data).hexdigest() == digest:
                        self.content(data, {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"})
                        return
            self.refuse(404, "EntryNotFound", "Entry not found")
            return

        def content(self, data: bytes, headers: dict[str, str]) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if not asked:
                self.answer(200, data, headers)
                return
            start = int(asked[1])
            if start >= len(data):
                self.answer(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
                return
            self.answer(
                206, data[start:], {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            )

        def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
            extra = {
                "X-Error-Message": message,
                **({"X-Error-Code": code} if code else {}),
                **(headers or {}),
            }
            self.answer(
                status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **extra}
            )

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            hub.log(
                Request(
                    self.command,
                    unquote(urlsplit(self.path).path),
                    self.headers.get("Range"),
                    status,
                    self.token() is not None,
                )
            )
            redirect = status == 302  # the fault belongs to the content behind it
            if redirect and self.fault:
                self.fault.times += 1
            fault = None if redirect else self.fault
            self.send_response(status)
            for name, value in (headers or {}).items():
                if not (fault and name in fault.drop):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            until = next((n for n in (fault.cut, fault.stall) if n is not None), None) if fault else None
            self.wfile.write(body[:until])
            self.wfile.flush()
            if fault and fault.stall is not None:
                hub.stall()
            if fault and until is not None:
                time.sleep(0.05)  # let the content arrive before the connection breaks
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

    return Handler
