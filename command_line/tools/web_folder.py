"""Writes a classifier as a static web page: the network runs in the browser, photographs stay on the device."""

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from results.report.templates import template

NETWORK = "classifier.onnx"
RUNTIME = "onnxruntime-web@1.30.0"
_RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_MAX_BYTES = 64 * 2**20
_TOP = 5


def runtime_files() -> dict[str, bytes]:
    """Get the part of onnxruntime-web that a page needs, through npm, which checks what it gets.

    Returns:
        Contents by file name.

    Raises:
        MisconfigurationException: If npm is missing, or can't get the package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MisconfigurationException(
            f"--format web takes {RUNTIME} through npm, which is missing: install Node.js (https://nodejs.org)."
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", RUNTIME, f"--pack-destination={folder}", "--prefer-offline", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603 - npm, by its full path
        packed = sorted(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or not packed:
            reason = " ".join(done.stderr.split())[:200] or "no file came"
            raise MisconfigurationException(f"npm can't get {RUNTIME} for --format web: {reason}")
        with tarfile.open(packed[0]) as archive:
            found = {name: archive.extractfile(f"package/dist/{name}") for name in _RUNTIME_FILES}
            return {name: file.read() for name, file in found.items() if file is not None}


def web_files(
    network: bytes, class_names: Sequence[str], title: str, subtitle: str, runtime: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Write a page that classifies photographs in the browser, to be served from any static host.

    Args:
        network: The classifier, as ``to_onnx`` writes it.
        class_names: Names of the classes, in the order of its outputs.
        title: What the page is called.
        subtitle: A line below.
        runtime: What ``runtime_files`` returned.

    Returns:
        Contents by file name; ``index.html`` is the page.
    """
    page = template("web.html").render(
        title=title, subtitle=subtitle, classes=list(class_names), limit=_MAX_BYTES, top=_TOP
    )
    worker = template("worker.mjs").render(network=NETWORK)
    return {"index.html": page.encode(), "worker.mjs": worker.encode(), NETWORK: network, **runtime}
