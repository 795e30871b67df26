"""What was seen of pictures is kept, and a torn record of it costs only the time to look again."""

from pathlib import Path

import pytest

from datamodules.dividing import equal_pictures as module
from datamodules.dividing.equal_pictures import equal_pictures
from tests.support.photos import picture


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_torn_cache_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    files = [str(picture(tmp_path / f"{number}.png", seed=number // 2)) for number in range(8)]
    expected = [(first, first + 1) for first in range(0, 8, 2)]
    assert equal_pictures(files, tmp_path) == expected
    cache = module._cache_file(tmp_path)
    whole = cache.read_bytes()
    cache.write_bytes(whole[: int(share * len(whole))])
    assert equal_pictures(files, tmp_path) == expected
    monkeypatch.setattr(module, "_look_at", lambda file: pytest.fail(f"looked at {file} again"))
    assert equal_pictures(files, tmp_path) == expected
    assert not [path for path in cache.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("start", [100, 400])
def test_a_garbled_cache_is_written_anew(tmp_path: Path, start: int) -> None:
    files = [str(picture(tmp_path / f"{number}.png", seed=number // 2)) for number in range(8)]
    expected = equal_pictures(files, tmp_path)
    cache = module._cache_file(tmp_path)
    data = bytearray(cache.read_bytes())
    data[start : start + 60] = bytes(60)
    cache.write_bytes(data)
    assert equal_pictures(files, tmp_path) == expected


def test_what_could_not_be_read_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [str(picture(tmp_path / name, size=(80, 60))) for name in ("a.png", "b.png")]
    with monkeypatch.context() as once:
        once.setattr(module, "_look_at", lambda _: None)  # a disk that fails, a decoder that isn't installed
        assert equal_pictures(files, tmp_path) == []
    assert equal_pictures(files, tmp_path) == [(0, 1)]
