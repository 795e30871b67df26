"""Tells failures of object storage that last from those that pass, and says what to do."""

import errno
import re
from urllib.parse import quote, quote_plus

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_LASTING = (FileNotFoundError, PermissionError, ImportError, ValueError, TypeError)
_CREDENTIALS = re.compile(r"credential|signature|access ?key|profile|token|forbidden", re.IGNORECASE)


def lasting_reason(url: str, error: Exception) -> str | None:
    """Say why it is of no use to try again.

    Args:
        url: The file in the storage.
        error: What fsspec or the library of the storage raised.

    Returns:
        A sentence for the user; None if the failure may pass.
    """
    if isinstance(error, _LASTING) or _of_credentials(url, error):
        return _no_access(url, error)
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        return (
            f"Can't keep {url} on this machine: {error.strerror}. Free space, lower data.cache_gb or choose another "
            "cache (data.cache_dir; of runs, XDG_CACHE_HOME)."
        )
    return None


def in_brief(error: Exception) -> str:
    """Describe an error in one line.

    Args:
        error: The error.

    Returns:
        Its type, and the beginning of its message.
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160].rstrip('.')}"


def _of_credentials(url: str, error: Exception) -> bool:
    """Check what an error is about, whatever the names are that its message repeats."""
    message = str(error)
    for name in sorted({*url.split("/")} - {""}, key=len, reverse=True):
        for spelling in (name, quote(name), quote_plus(name)):
            message = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", "", message)
    message = re.sub(r"\w+://\S+", "", message)
    return _CREDENTIALS.search(f"{type(error).__name__} {message}") is not None


def _no_access(url: str, error: Exception) -> str:
    scheme = url.partition("://")[0]
    if isinstance(error, ImportError | ValueError) and ("s3fs" in str(error) or "Protocol not known" in str(error)):
        return f"{url} needs a package for {scheme}://, for S3: pip install 'carspotter[s3]' ({in_brief(error)})."
    if isinstance(error, FileNotFoundError):
        return f"There is no {url}, or no such bucket."
    advice = "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL, or ~/.aws" if scheme == "s3" else ""
    return f"No access to {url} ({in_brief(error)}): check its name and your credentials{f'; {advice}' * bool(advice)}."
