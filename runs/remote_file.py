"""Files that are named by a URL: weights and checkpoints."""

import hashlib
import http.client
import re
import shutil
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from lightning.fabric.utilities.exceptions import MisconfigurationException
from tqdm.auto import tqdm


def is_url(name: str) -> bool:
    """Check whether a name is an http(s) URL.

    Args:
        name: What the user wrote.

    Returns:
        Whether it is one.
    """
    return name.startswith(("http://", "https://"))


def fetch(url: str, option: str) -> Path:
    """Fetch a file into torch's cache (``TORCH_HOME``), once for all runs and all processes of a machine.

    Args:
        url: The URL.
        option: The option that names it, for messages.

    Returns:
        The local file, under a name that ends like the URL's path.

    Raises:
        MisconfigurationException: If it can't be fetched completely.
    """
    name = Path(unquote(re.split(r"[?#]", url)[0])).name[-100:]
    target = Path(torch.hub.get_dir()) / "checkpoints" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    with FileLock(f"{target}.lock"):
        if target.is_file():
            return target
        try:
            _download(url, draft)
        except (URLError, http.client.HTTPException, OSError, ValueError) as error:
            draft.unlink(missing_ok=True)
            reason = error.reason if isinstance(error, URLError) else error
            raise MisconfigurationException(
                f"Can't fetch {option} {url} ({str(reason).rstrip('.')}): check the address and the network, or give "
                "a local file."
            ) from error
        return draft.replace(target)


def _download(url: str, draft: Path) -> None:
    request = Request(url, headers={"User-Agent": "carspotter"})  # noqa: S310 - the caller has looked at the scheme
    with urlopen(request, timeout=60) as response, draft.open("wb") as file:  # noqa: S310
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length)
        with tqdm.wrapattr(file, "write", total=total, desc=f"fetching {url.rpartition('/')[2]}") as sink:
            shutil.copyfileobj(response, sink)
    if total is not None and draft.stat().st_size != total:  # a connection that breaks looks like the end to urllib
        raise ConnectionError(f"it broke off after {draft.stat().st_size} of {total} bytes")
