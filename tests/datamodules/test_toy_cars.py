from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from datamodules import ToyCarsDataModule
from datamodules.image_dataset import ImageDataset


def pixels(dataset: ImageDataset) -> np.ndarray:
    small = [cv2.resize(dataset.read(index), (24, 18), interpolation=cv2.INTER_AREA) for index in range(len(dataset))]
    return np.stack(small).reshape(len(small), -1) / 255 - 0.5


def test_the_same_seed_draws_the_same_files(tmp_path: Path) -> None:
    folders = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        data = ToyCarsDataModule(root=str(tmp_path / name), train_images=2, test_images=1, toy_seed=seed)
        data.prepare_data()
        folders.append({path.name: path.read_bytes() for path in sorted(data.folder.rglob("*.jpg"))})
    assert folders[0] == folders[1]
    assert folders[0] != folders[2]
    assert len(folders[0]) == 16  # train and test share file names


def test_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = ToyCarsDataModule(root=str(tmp_path), train_images=2, test_images=1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("datamodules.toy_cars.annotation_files.write_samples", interrupt)
        with pytest.raises(KeyboardInterrupt):
            data.prepare_data()
    assert list(tmp_path.iterdir()) == []
    data.prepare_data()
    assert [path.name for path in tmp_path.iterdir()] == [data.folder.name]


@pytest.mark.slow
def test_a_linear_model_on_pixels_fails(tmp_path: Path) -> None:
    data = ToyCarsDataModule(root=str(tmp_path), train_images=80, test_images=40)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    train, test = data.datasets["train"], data.datasets["test"]
    linear = LogisticRegression(C=0.01, max_iter=300).fit(pixels(train), train.samples.labels)
    accuracy = linear.score(pixels(test), test.samples.labels)
    assert accuracy < 0.60
    assert accuracy > 0.15  # better than chance, so the comparison is fair
