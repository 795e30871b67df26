"""Memory that loading processes fill again and again holds no two batches at once."""

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.loading.collate import collate
from datamodules.loading.deferred_loader import DeferredLoader
from datamodules.loading.shared_slots import AHEAD, SharedSlots

SIDE, BATCH = 16, 4


class Numbered(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    def __len__(self) -> int:
        return 160

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((SIDE, SIDE, 3), index, dtype=torch.uint8).permute(2, 0, 1), index


def loader(**options: Any) -> DeferredLoader:
    made = DeferredLoader(Numbered(), batch_size=BATCH, collate_fn=collate, **options)
    made.slot_size = BATCH * 3 * SIDE * SIDE
    return made


def check(batches: Any, held: list[Any] | None = None) -> int:
    seen = 0
    for images, labels in batches:
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(images.amax(dim=(1, 2, 3)).long(), labels)
        assert torch.equal(images.amin(dim=(1, 2, 3)).long(), labels)
        if held is not None:
            held.append((images[1:3], labels[1:3]))  # a part keeps the whole
        seen += len(labels)
    return seen


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.parametrize("persistent", [False, True])
def test_every_batch_is_right(method: str, persistent: bool) -> None:
    few = method == "spawn"  # whose processes import everything anew
    batches = loader(num_workers=1 if few else 2, persistent_workers=persistent, multiprocessing_context=method)
    for _ in range(2 if few else 3):
        assert check(batches) == 160


def test_batches_that_somebody_keeps_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Any] = []
    check(loader(num_workers=2), held)
    for images, labels in held:
        assert torch.equal(images.amax(dim=(1, 2, 3)).long(), labels)


def test_slots_are_used_again() -> None:
    batches = loader(num_workers=1, persistent_workers=True)
    places = {images.data_ptr() for images, _ in batches} | {images.data_ptr() for images, _ in batches}
    assert len(places) <= AHEAD


def test_an_epoch_that_is_left_frees_its_slots() -> None:
    batches = loader(num_workers=1, persistent_workers=True)
    places: set[int] = set()
    for _ in range(6):
        iterator = iter(batches)
        for _ in range(3):
            places.add(next(iterator)[0].data_ptr())
        del iterator
    gc.collect()
    assert len(places) <= AHEAD


def test_a_slot_is_free_when_all_views_are_gone() -> None:
    slots = SharedSlots(1, 12)
    taken = [slots.take(0, (1, 2, 2, 3)) for _ in range(AHEAD)]
    assert all(taken)
    assert slots.take(0, (1, 2, 2, 3)) is None
    whole = slots.received(2, (1, 2, 2, 3))
    part = whole[0, :1]
    del whole
    assert slots.take(0, (1, 2, 2, 3)) is None
    del part
    assert slots.take(0, (1, 2, 2, 3)) is not None
    assert slots.take(0, (2, 2, 2, 3)) is None  # too large


def test_a_forked_process_frees_nothing() -> None:
    slots = SharedSlots(1, 12)
    for _ in range(AHEAD):
        slots.take(0, (1, 2, 2, 3))
    batch = slots.received(0, (1, 2, 2, 3))
    process = os.fork()
    if not process:
        del batch
        os._exit(0)
    os.waitpid(process, 0)
    assert slots.take(0, (1, 2, 2, 3)) is None
    del batch
    assert slots.take(0, (1, 2, 2, 3)) is not None


def test_too_little_shared_memory_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("unable to allocate shared memory(shm)")

    monkeypatch.setattr("datamodules.loading.deferred_loader.SharedSlots", refuse)
    assert check(loader(num_workers=1)) == 160


def test_the_data_module_gives_slots(toy_data: Callable[..., Any]) -> None:
    data = toy_data(num_workers=1, batch_size=8)
    data.prepare_data()
    data.setup("fit")
    made = data.train_dataloader()
    assert isinstance(made, DataLoader)
    places = {images.data_ptr() for images, _ in made} | {images.data_ptr() for images, _ in made}
    assert len(places) <= AHEAD
