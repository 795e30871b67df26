"""A tiny Stanford Cars, laid out in each of the ways in which copies come."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet
from scipy.io import savemat

from datamodules.layouts import CAR_NAMES
from datamodules.layouts.annotation_files import write_class_names, write_samples
from datamodules.samples import Samples

# Their sorted folder names are in another order; one has a slash, one begins in lower case.
CLASSES = [CAR_NAMES.index(name) for name in ("Acura RL Sedan 2012", "Acura Integra Type R 2001")] + [173, 195, 77]


@dataclass
class Car:
    part: str
    label: int
    box: tuple[int, int, int, int]
    pixels: bytes


def cars() -> list[Car]:
    random = np.random.default_rng(0)
    drawn = []
    for part, each in (("train", 10), ("test", 4)):
        for label in np.repeat(CLASSES, each):
            box = (int(random.integers(0, 9)), 2, int(random.integers(20, 30)), 18)
            drawn.append(Car(part, int(label), box, random.bytes(3 * 20 * 30)))
    random.shuffle(drawn)
    return drawn


def save(car: Car, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", (30, 20), car.pixels).save(path, format="PNG")


def devkit(root: Path, images: str = "cars_{part}", boxes: bool = True) -> Path:
    (root / "devkit").mkdir(parents=True)
    write_class_names(root, CAR_NAMES)
    for part in ("train", "test"):
        rows = [car for car in cars() if car.part == part]
        names = [f"{number:05d}.jpg" for number in range(1, len(rows) + 1)]
        for car, name in zip(rows, names, strict=True):
            save(car, root / images.format(part=part) / name)
        where = np.array([car.box for car in rows]) if boxes else None
        write_samples(root, part, Samples(np.array(names), np.array([car.label for car in rows]), where))
    return root


def torchvision(root: Path) -> Path:
    devkit(root / "stanford_cars")
    return root


def flat(root: Path) -> Path:
    devkit(root)
    for name in ("cars_train_annos.mat", "cars_meta.mat"):
        (root / "devkit" / name).rename(root / name)
    (root / "devkit").rmdir()
    return root


def without_meta(root: Path) -> Path:
    (flat(root) / "cars_meta.mat").unlink()
    return root


def kaggle(root: Path) -> Path:
    devkit(root, images="cars_{part}/cars_{part}")
    (root / "car_devkit").mkdir()
    (root / "devkit").rename(root / "car_devkit/devkit")
    (root / "cars_test_annos_withlabels.mat").rename(root / "cars_test_annos_withlabels (1).mat")
    return root


def mmpretrain(root: Path) -> Path:
    devkit(root)
    (root / "cars_test_annos_withlabels.mat").rename(root / "devkit/cars_test_annoswithlabels.mat")
    return root


def other_class_order(root: Path) -> Path:
    """A devkit whose own list of classes is sorted otherwise, with labels to match."""
    names = sorted(CAR_NAMES)
    devkit(root)
    write_class_names(root, names)
    for part in ("train", "test"):
        rows = [car for car in cars() if car.part == part]
        labels = np.array([names.index(CAR_NAMES[car.label]) for car in rows])
        files = np.array([f"{number:05d}.jpg" for number in range(1, len(rows) + 1)])
        write_samples(root, part, Samples(files, labels, np.array([car.box for car in rows])))
    return root


def car_ims(root: Path) -> Path:
    fields = ("relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test")
    rows = np.empty(len(cars()), dtype=[(field, object) for field in fields])
    for number, car in enumerate(sorted(cars(), key=lambda car: car.label)):
        name = f"car_ims/{number + 1:06d}.jpg"
        save(car, root / name)
        x1, y1, x2, y2 = car.box
        rows[number] = (name, x1 + 1, y1 + 1, x2, y2, car.label + 1, int(car.part == "test"))
    savemat(root / "cars_annos.mat", {"annotations": rows, "class_names": np.array(CAR_NAMES, dtype=object)})
    return root


def class_folders(root: Path, top: str = "", slash: str = "-") -> Path:
    for number, car in enumerate(cars()):
        save(car, root / top / car.part / CAR_NAMES[car.label].replace("/", slash) / f"{number:05d}.jpg")
    return root


def jutrera(root: Path) -> Path:
    class_folders(root, top="car_data/car_data")
    (root / "names.csv").write_text("".join(f"{name}\n" for name in CAR_NAMES))
    (root / "anno_train.csv").write_text("00001.jpg,1,2,3,4,14\n")
    return root


def unpacked_slash(root: Path) -> Path:
    return class_folders(root, slash="/")


def table(root: Path) -> Path:
    with (root / "cars.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "x1", "y1", "x2", "y2", "note"])
        for number, car in enumerate(cars()):
            save(car, root / f"images/{number}.png")
            writer.writerow([f"images/{number}.png", CAR_NAMES[car.label], car.part, *car.box, "a, b"])
    return root


def table_file(root: Path) -> Path:
    return table(root) / "cars.csv"


def parquet_file(root: Path) -> Path:
    columns: dict[str, list[object]] = {name: [] for name in ("path", "label", "split")}
    for number, car in enumerate(cars()):
        save(car, root / f"images/{number}.png")
        for name, value in (("path", f"images/{number}.png"), ("label", CAR_NAMES[car.label]), ("split", car.part)):
            columns[name].append(value)
    parquet.write_table(pa.table(columns), root / "cars.parquet")
    return root / "cars.parquet"


DIVIDED: list[Callable[[Path], Path]] = [
    *(devkit, torchvision, flat, without_meta, kaggle, mmpretrain, other_class_order, car_ims),
    *(class_folders, jutrera, unpacked_slash, table, table_file, parquet_file),
]
