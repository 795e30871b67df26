"""Serves the page and answers the photographs that are sent from it, on the loopback address alone."""

import logging
import socket
from contextlib import suppress

import uvicorn
from lightning.fabric.utilities.exceptions import MisconfigurationException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from command_line.app.app_classifier import AppClassifier
from datamodules.reading.image_reader import UnreadableImageError

HOST = "127.0.0.1"
MAX_BYTES = 64 * 2**20
_POLICY = (
    "default-src 'none'; img-src data: blob:; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
)


def make_app(classifier: AppClassifier, page: str) -> Starlette:
    """Make the application.

    Args:
        classifier: Answers.
        page: The page.

    Returns:
        An application with ``GET /`` and ``POST /classify``, whose body is an image file and whose answer is JSON:
        what ``AppClassifier.answer`` returns, or ``error``.
    """

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    async def classify(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return JSONResponse({"error": "Only this program's own page may send requests."}, 403)
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > MAX_BYTES:
                return JSONResponse({"error": f"The file is larger than {MAX_BYTES >> 20} MB."}, 413)
        try:
            answer = await run_in_threadpool(classifier.answer, bytes(data), "file")
        except UnreadableImageError as error:
            return JSONResponse({"error": f"This can't be read: {error.reason}."}, 422)
        return JSONResponse(answer)

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=[Route("/", show), Route("/classify", classify, methods=["POST"])], middleware=[hosts])


def serve(app: Starlette, port: int) -> None:
    """Serve an application until the process is interrupted.

    Args:
        app: The application.
        port: The port; 0 takes a free one.

    Raises:
        MisconfigurationException: If the port is taken, or may not be used.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()  # from here on, who asks early waits
        except OSError as error:
            raise MisconfigurationException(
                f"Can't listen at port {port}: {error.strerror}. Give another one by --port; 0 takes a free one."
            ) from error
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        print(f"{address}  (Ctrl-C ends it)", flush=True)  # noqa: T201 - where to look
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        with suppress(KeyboardInterrupt):  # the usual way to end it
            server.run(sockets=[listening])
