from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.fabric.utilities.exceptions import MisconfigurationException

from datamodules import ImageDataModule, RandomRelativeCrop, ToyCarsDataModule
from datamodules.pipelines import as_plain_dict, compose, default_eval_steps, default_train_steps
from tests.support.checkout import CHECKOUT


def test_the_spelt_out_default_is_the_default() -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(ImageDataModule, "data")
    spelt_out = yaml.safe_load((CHECKOUT / "configs/augmentation/standard.yaml").read_text())["data"]["init_args"]
    parsed = parser.parse_object({"data": {"class_path": "datamodules.ToyCarsDataModule", "init_args": spelt_out}})
    data = parser.instantiate(parsed).data
    train, evaluation = compose(default_train_steps(400)), compose(default_eval_steps(400))
    assert (
        as_plain_dict(data.train_pipeline)["transform"]["transforms"][:-1]
        == as_plain_dict(train)["transform"]["transforms"]
    )
    assert (
        as_plain_dict(data.eval_pipeline)["transform"]["transforms"]
        == as_plain_dict(evaluation)["transform"]["transforms"]
    )


def test_a_pipeline_survives_as_plain_values() -> None:
    pipeline = compose(default_train_steps(32))
    again = A.from_dict(as_plain_dict(pipeline))
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    pipeline.set_random_seed(5)
    again.set_random_seed(5)
    np.testing.assert_array_equal(pipeline(image=image)["image"], again(image=image)["image"])


def test_crops_are_relative_to_the_picture() -> None:
    options: dict[str, Any] = {"size": (40, 40), "scale": (0.5, 1.0), "ratio": (0.75, 4 / 3)}
    relative, reference = RandomRelativeCrop(**options), A.RandomResizedCrop(**options)
    for seed in range(50):
        relative.set_random_seed(seed)
        reference.set_random_seed(seed)
        wide = relative.get_params_dependent_on_data({"shape": (400, 1200, 3)}, {})["crop_coords"]
        square = reference.get_params_dependent_on_data({"shape": (400, 400, 3)}, {})["crop_coords"]
        assert np.abs(np.array(wide) / [3, 1, 3, 1] - np.array(square)).max() <= 1
    assert relative.ratio == (0.75, 4 / 3)


def test_crops_without_a_size_take_that_of_the_training_images(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    crop = RandomRelativeCrop(scale=(0.5, 1.0), area_for_downscale="image")
    picture = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
    with pytest.raises(MisconfigurationException, match="needs a size"):
        compose([crop])(image=picture)
    for size in (32, 48):
        data = toy_data(image_size=size, train_transforms=[A.OneOf([A.Sequential([crop])], p=1)])
        assert data.train_pipeline.transforms[0].transforms[0].transforms[0].size == (size, size)
        assert data.train_pipeline(image=picture)["image"].shape == (size, size, 3)
    assert crop.size is None


def test_a_typo_in_a_step_is_an_error_not_a_default(mistake: Callable[..., str], tmp_path: Path) -> None:
    # Albumentations itself only warns of unknown arguments, and continues with its defaults
    steps = [{"class_path": "albumentations.CoarseDropout", "init_args": {"num_holes_rang": [1, 3]}}]
    (tmp_path / "typo.yaml").write_text(yaml.safe_dump({"data": {"init_args": {"train_transforms": steps}}}))
    answer = mistake("fit", "--config", str(tmp_path / "typo.yaml"))
    assert "'num_holes_rang' of CoarseDropout is not accepted. Did you mean 'num_holes_range'?" in answer


def test_shrinking_does_not_alias() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    shrunk = compose(default_eval_steps(100))(image=noise)["image"]
    assert shrunk.std() < 30  # 60 without averaging over the area


def test_images_reach_the_network_at_the_configured_size(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    data = toy_data(image_size=48, train_transforms=[A.HorizontalFlip(p=1)], eval_transforms=[])
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        assert next(iter(loader))[0].shape[-2:] == (48, 48)


def test_float_images_are_refused(toy_data: Callable[..., ToyCarsDataModule]) -> None:
    data = toy_data(eval_transforms=[A.Normalize()])
    data.setup("validate")
    with pytest.raises(MisconfigurationException, match="leave Normalize and ToTensorV2 out"):
        next(iter(data.val_dataloader()))
