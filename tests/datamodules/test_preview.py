from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from datamodules import ToyCarsDataModule
from datamodules.loading.sampler_key import SamplerKey
from results.figures.preview_figure import preview_figure

ToyData = Callable[..., ToyCarsDataModule]


def test_the_command_draws_without_training(run: Callable[..., None], tmp_path: Path) -> None:
    run("preview", f"--output={tmp_path / 'views.png'}", "--images=3", "--views=4")
    width, height = Image.open(tmp_path / "views.png").size
    assert width / height == pytest.approx(5 * 2.1 / (3 * 2.3), rel=0.02)
    assert not (tmp_path / "logs").exists()


def test_a_photograph_is_not_drawn_over(run: Callable[..., None], mistake: Callable[..., str], tmp_path: Path) -> None:
    photo, drawn = tmp_path / "photo.png", tmp_path / "drawn.png"
    Image.new("RGB", (9, 9)).save(photo)
    before = photo.read_bytes()
    assert f"--output is {photo}, which exists and is no preview" in mistake("preview", f"--output={photo}")
    assert photo.read_bytes() == before
    run("preview", f"--output={drawn}", "--images=1", "--views=1")
    first = drawn.read_bytes()
    run("preview", f"--output={drawn}", "--images=2", "--views=1")
    assert drawn.read_bytes() != first


@pytest.mark.drawn
def test_every_run_begins_with_a_preview(run: Callable[..., None], tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=1")
    folder = tmp_path / "logs/demo/version_0"
    assert (folder / "preview.png").is_file()
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Images("preview")] == [0]
    run("fit", "--trainer.max_epochs=1", "--previews.enabled=false")
    assert not (tmp_path / "logs/demo/version_1/preview.png").exists()


def test_it_shows_what_training_sees(toy_data: ToyData) -> None:
    data = toy_data(seed=5)
    data.setup("fit")
    rows, dataset = data.preview(images=8, views=2), data.datasets["train"]
    assert {name for name, _, _ in rows} == set(data.class_names)
    originals = {dataset.read(index).tobytes(): index for index in range(len(dataset))}
    labels = data.labels("train")
    for name, original, views in rows:
        index = originals[original.tobytes()]
        assert name == data.class_names[labels[index]]
        for epoch, view in enumerate(views):
            np.testing.assert_array_equal(view, dataset[SamplerKey(epoch, index)][0].numpy().transpose(1, 2, 0))
    assert len(data.preview(images=10**6, views=1)) == len(dataset)


def test_numbers_have_to_be_positive(mistake: Callable[..., str]) -> None:
    assert "it takes one image" in mistake("preview", "--images=0")


def test_a_single_picture_can_be_drawn() -> None:
    black = np.zeros((10, 20, 3), np.uint8)
    assert len(preview_figure([("car", black, [black])]).axes) == 2
