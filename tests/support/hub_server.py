"""A local server that speaks the part of the Hugging Face hub's protocol that a download needs, and can misbehave."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """Serves files under ``/datasets/OWNER/NAME/resolve/REVISION/`` and plain ones under ``/``.

    Attributes:
        files: Content by path.
        drops: After so many bytes of a body the connection breaks, once for each entry, by path.
        busy: So many resumptions are answered by 503.
        requests: How often each path was fetched, and with which ranges.
    """

    def __init__(self, repository: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.files = files
        self.drops: dict[str, list[int]] = {}
        self.requests: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.busy = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/datasets/{self.server.repository}"):
            listing = [{"rfilename": name} for name in self.server.files]
            info = {"id": self.server.repository, "sha": COMMIT, "siblings": listing, "private": False, "gated": False}
            if "/tree/" in path:
                self._json(
                    [{"type": "file", "path": n, "size": len(d), "oid": _etag(d)} for n, d in self.server.files.items()]
                )
            else:
                self._json({**info, "tags": [], "downloads": 0, "likes": 0})
            return
        prefix = f"/datasets/{self.server.repository}/resolve/"
        name = path.removeprefix(prefix).partition("/")[2] if path.startswith(prefix) else path[1:]
        if name not in self.server.files:
            self.send_error(404)
            return
        self._file(name, self.server.files[name], body)

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _file(self, name: str, data: bytes, body: bool) -> None:
        wanted = self.headers.get("Range")
        if wanted and self.server.busy:
            self.server.busy -= 1
            self.send_error(503)
            return
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if body:  # counted before the headers, after which a client may be done
            self.server.requests[name] += 1
            self.server.ranges += [wanted] if wanted else []
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if not body:
            return
        drops = self.server.drops.get(name, [])
        if drops:
            self.wfile.write(data[start : start + drops.pop(0)])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(data[start:])

    def finish(self) -> None:
        with suppress(OSError, ValueError):  # where the connection was broken on purpose
            super().finish()


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def serve(repository: str, files: dict[str, bytes]) -> Iterator[HubServer]:
    server = HubServer(repository, files)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
