"""Files that are named by a URL: weights and checkpoints."""

import hashlib
import http.client
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info
from tqdm.auto import tqdm

from runs.whole_file import write_atomically

_QUESTIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}  # the surer first
_LENGTH = "Content-Length"
_SECONDS = {False: 60, True: 15}  # without an answer; fewer where there is a copy


def is_url(name: str) -> bool:
    """Check whether a name is an http(s) URL.

    Args:
        name: What the user wrote.

    Returns:
        Whether it is one.
    """
    return name.startswith(("http://", "https://"))


def fetch(url: str, option: str) -> Path:
    """Copy a file into torch's cache (``TORCH_HOME``), for all runs and processes of a machine.

    It is fetched again when it has changed. A copy of which that can't be found out is taken, and a line says so.

    Args:
        url: The URL.
        option: The option that names it, for messages.

    Returns:
        The local file, under a name that ends like the URL's path.

    Raises:
        MisconfigurationException: If it can't be fetched completely, and there is no copy.
    """
    name = Path(unquote(re.split(r"[?#]", url)[0])).name[-100:]
    target = Path(torch.hub.get_dir()) / "checkpoints" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    with FileLock(f"{target}.lock"):
        try:
            _refresh(url, target, draft)
        except (URLError, http.client.HTTPException, OSError, ValueError) as error:
            draft.unlink(missing_ok=True)
            reason = str(error.reason if isinstance(error, URLError) else error).rstrip(".")
            if not target.is_file():
                raise MisconfigurationException(
                    f"Can't fetch {option} {url} ({reason}): check the address and the network, or give a local file."
                ) from error
            _say_kept(url, reason, target)
        return target


def _refresh(url: str, target: Path, draft: Path) -> None:
    """Fetch a file unless the copy is still the same."""
    notes = target.with_name(f"{target.name}.json")
    known = _read(notes) if target.is_file() else None
    headers = {"User-Agent": "carspotter"}
    headers |= {_QUESTIONS[name]: value for name, value in (known or {}).items() if name in _QUESTIONS}
    request = Request(url, headers=headers)  # noqa: S310 - the caller has looked at the scheme
    try:
        answer = urlopen(request, timeout=_SECONDS[target.is_file()])  # noqa: S310
    except HTTPError as error:
        if error.code == http.HTTPStatus.NOT_MODIFIED:
            return
        raise
    with answer:
        now = {name: value for name in (*_QUESTIONS, _LENGTH) if (value := answer.headers.get(name)) is not None}
        if known is not None:
            common = [name for name in _QUESTIONS if name in known and name in now]
            if common and known[common[0]] == now[common[0]]:  # some servers don't understand the question
                return
            if not common and not now.keys() & _QUESTIONS and known.get(_LENGTH) == now.get(_LENGTH):
                _say_kept(url, "the server doesn't say when it changes", target)
                return
        _receive(answer, now.get(_LENGTH), url, draft)
    draft.replace(target)
    write_atomically(notes, json.dumps(now, indent=1) + "\n")  # not before: they would be those of another file


def _receive(answer: Any, length: str | None, url: str, draft: Path) -> None:
    total = None if length is None else int(length)
    with (
        draft.open("wb") as file,
        tqdm.wrapattr(file, "write", total=total, desc=f"fetching {url.rpartition('/')[2]}") as sink,
    ):
        shutil.copyfileobj(answer, sink)
    if total is not None and draft.stat().st_size != total:  # a connection that breaks looks like the end to urllib
        raise ConnectionError(f"it broke off after {draft.stat().st_size} of {total} bytes")


def _read(notes: Path) -> dict[str, str] | None:
    """Read what the server said about a copy; None if that was never written down."""
    try:
        return {str(name): str(value) for name, value in json.loads(notes.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        return None


def _say_kept(url: str, reason: str, copy: Path) -> None:
    date = datetime.fromtimestamp(copy.stat().st_mtime, UTC).astimezone()
    rank_zero_info(f"{url} ({reason}): kept copy of {date:%Y-%m-%d %H:%M}: {copy}")
