"""A server that speaks S3, on this machine, and that can be told to fail."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

CUT = -1


class _Quiet(WSGIRequestHandler):
    def log(self, *args: Any) -> None:
        pass


class StorageServer:
    """S3 with one bucket.

    Attributes:
        url: Its address, for ``AWS_ENDPOINT_URL``.
        asked: Paths of what was read, in order.
        fault: Given the number of a reading, returns a status to answer with in its place, 0 for the right answer, or
            ``CUT`` for half of it.
        put_fault: The same of a writing, without ``CUT``.
        latency: Seconds before each answer.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fault: Callable[[int], int] = lambda _: 0
        self.put_fault: Callable[[int], int] = lambda _: 0
        self._written = 0
        self.latency = 0.0
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Answer, at the same address as before a stop."""
        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True, request_handler=_Quiet)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Be away; what was put there stays."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        time.sleep(self.latency)
        if environ["REQUEST_METHOD"] == "GET" and not environ["QUERY_STRING"]:
            self.asked.append(environ["PATH_INFO"])
            status = self.fault(len(self.asked))
            if status == CUT:
                content = b"".join(self._moto(environ, start))
                return [content[: len(content) // 2]]
            if status:
                return _fault(status, start)
        if environ["REQUEST_METHOD"] == "PUT":
            self._written += 1
            if status := self.put_fault(self._written):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                return _fault(status, start)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def client(self) -> Any:
        """Connect to it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="id",
            aws_secret_access_key="secret",  # noqa: S106 - moto takes any
        )

    def upload(self, folder: Path, prefix: str) -> None:
        """Put a folder's files below ``s3://cars/PREFIX``."""
        client = self.client()
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                client.upload_file(str(file), "cars", f"{prefix}/{file.relative_to(folder).as_posix()}")


def _fault(status: int, start: Callable[..., Any]) -> list[bytes]:
    start(f"{status} Fault", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"fault"]


@contextmanager
def storage_server() -> Iterator[StorageServer]:
    """Start one, with the bucket ``cars``, and stop it."""
    server = StorageServer()
    try:
        moto_api_backend.reset()  # its buckets belong to the process, not to the server
        server.client().create_bucket(Bucket="cars")
        yield server
    finally:
        server.stop()
