"""Data sets from archives: fetched with resumption, unpacked without leaving the folder."""

import hashlib
import http.client
import lzma
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.progress import progress

# The archives of the vanished original site, as torchvision used to check them.
_MD5 = {
    "cars_train.tgz": "065e5b463ae28d29e77c1b4b166cfe61",
    "cars_test.tgz": "4ce7ebf6a94d07f1952d94dd34c4d501",
    "car_devkit.tgz": "c3b158d763b6e2245038c8ad08e45376",
}
_ATTEMPTS = 5
_PAUSE = 1.0  # seconds after the first answer that asks to come again later; then twice as long each time
_CHUNK = 1 << 20


def fetch_archives(sources: Sequence[str], draft: Path) -> Path:
    """Fetch archives and unpack them into one folder.

    Args:
        sources: URLs (http, https) or local files: ``.tgz``, ``.tar.gz``, ``.tar`` or ``.zip``.
        draft: Folder to work in; what an interrupted call has fetched there is kept.

    Returns:
        The folder in it that holds what was in the archives.

    Raises:
        MisconfigurationException: If an archive can't be fetched, is damaged, or wants to write outside of the folder.
    """
    content = draft / "unpacked"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    for source in sources:
        archive = _fetch(source, draft) if "://" in source else Path(source)
        if not archive.is_file():
            raise MisconfigurationException(f"There is no archive {source}.")
        expected = _MD5.get(archive.name)
        if expected and _md5(archive) != expected:
            if archive.parent == draft:
                archive.unlink()
            raise MisconfigurationException(f"{source} is damaged: its MD5 sum is not {expected}.")
        try:
            _unpack(archive, content)
        except MisconfigurationException:
            if archive.parent == draft:
                archive.unlink()  # else the next attempt would take it for complete
            raise
    return content


def _fetch(url: str, folder: Path) -> Path:
    """Fetch a URL, continuing where an interrupted call or a broken connection has stopped."""
    if not url.startswith(("http://", "https://")):
        raise MisconfigurationException(f"data.source is {url}: archives come from http(s) URLs or local files.")
    target = folder / urlsplit(url).path.rpartition("/")[2]
    if target.is_file():
        return target
    partial = target.with_name(f"{target.name}.part")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            if _fetch_rest(url, partial):
                return partial.rename(target)
        except urllib.error.HTTPError as error:
            if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{partial.stat().st_size}":
                return partial.rename(target)  # only the renaming was missing
            if error.code == 416:
                partial.unlink(missing_ok=True)
            elif attempt == _ATTEMPTS or not (error.code == 429 or error.code >= 500):
                raise MisconfigurationException(f"Can't fetch {url}: {error}.") from error
            else:
                time.sleep(_PAUSE * 2 ** (attempt - 1))
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if attempt == _ATTEMPTS:
                raise MisconfigurationException(f"Can't fetch {url}: {reason}.") from error
    raise MisconfigurationException(
        f"Can't fetch {url}: the connection broke {_ATTEMPTS} times. What has arrived is kept; try again."
    )


def _fetch_rest(url: str, partial: Path) -> bool:
    """Append what is missing; tell whether that is all of it."""
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - checked
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        resumed = response.status == 206
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        with (
            partial.open("ab" if resumed else "wb") as file,
            progress(total=total, initial=have, desc=partial.stem, unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    return total is None or partial.stat().st_size == total


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(archive: Path, content: Path) -> None:
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as members:
                for member in progress(members.infolist(), desc=f"unpacking {archive.name}", unit=" files"):
                    if not (content / member.filename).resolve().is_relative_to(content.resolve()):
                        raise MisconfigurationException(
                            f"{archive} wants to write outside of its folder: {member.filename}."
                        )
                    members.extract(member, content)
        else:
            with tarfile.open(archive) as members:
                for entry in progress(members, desc=f"unpacking {archive.name}", unit=" files"):
                    members.extract(entry, content, filter="data")
                _require_end(members)
    except tarfile.FilterError as error:
        raise MisconfigurationException(f"{archive} wants to write outside of its folder: {error}.") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the archive's
        raise MisconfigurationException(f"{archive} is damaged or no archive: {error}.") from error


def _require_end(members: tarfile.TarFile) -> None:
    """Read to the end, where checksums are: ``tarfile`` stops before, and also where a member's head is damaged."""
    assert members.fileobj is not None
    members.fileobj.seek(members.offset)
    while rest := members.fileobj.read(_CHUNK):
        if rest.strip(b"\0"):
            raise tarfile.ReadError("a member can't be read")
