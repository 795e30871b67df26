"""What an error of object storage is about, whatever a bucket is called."""

from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem  # type: ignore[import-untyped]
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules.remote.storage import Storage

URL = "memory://user-profiles/credential tokens/forbidden"


def answer(storage: Storage, error: Exception, monkeypatch: pytest.MonkeyPatch) -> str:
    calls: list[int] = []

    def fail() -> Any:
        calls.append(1)
        raise error

    monkeypatch.setattr(storage, "_connected", fail)
    monkeypatch.setattr("datamodules.remote.storage._PATIENCE", 0.3)
    with pytest.raises(MisconfigurationException) as raised:
        storage.read("signature.csv")
    return f"{len(calls)} {raised.value}"


@pytest.mark.parametrize("spelling", ["/user-profiles/credential tokens", "user-profiles/credential%20tokens"])
def test_a_server_that_is_away_is_waited_for_whatever_its_buckets_are_called(
    spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ConnectionError(f"No connection to {spelling}/forbidden/signature.csv: http://token-store:1{spelling}")
    found = answer(Storage(URL), error, monkeypatch)
    assert not found.startswith("1 ")
    assert "can't be reached; tried for" in found


def test_wrong_credentials_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (
        type("NoCredentialsError", (Exception,), {})("Unable to locate them"),
        OSError("The security token included in the request is expired"),
        PermissionError("Access Denied"),
        OSError("The provided token is malformed"),
    ):
        found = answer(Storage("memory://bucket"), error, monkeypatch)
        assert found.startswith("1 No access to memory://bucket/signature.csv")
        assert "check its name and your credentials" in found


def test_names_that_no_folder_can_hold_are_told() -> None:
    storage = MemoryFileSystem()
    for name in ("a/1.png", "a//2.png", "a//3.png"):
        storage.store[f"/odd/{name}"] = MemoryFile(storage, f"/odd/{name}", b"1")
    with pytest.warns(UserWarning, match="memory://odd has 2 files whose names no folder can hold, such as a//2.png"):
        assert [*Storage("memory://odd").sizes()] == ["a/1.png"]
