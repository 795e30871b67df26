"""Gets Stanford Cars from a mirror into a folder, whole or not at all."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from filelock import FileLock
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_info

from datamodules.download.archives import fetch_archives
from datamodules.download.hub import fetch_from_hub
from datamodules.layouts import CAR_NAMES, Part, in_official_order, recognise_layout
from datamodules.layouts.official_annotations import COUNTS

DEFAULT_SOURCE = "tanganke/stanford_cars"
TERMS = """\
Stanford Cars (Krause, Stark, Deng, Fei-Fei: 3D Object Representations for Fine-Grained Categorization, 2013) has no
formal licence. It is commonly taken to be for non-commercial research; its photographs belong to their authors, and
what a mirror says about licences doesn't change that. Use it only if your purpose allows for that.
"""
_ARCHIVES = (".tgz", ".tar.gz", ".tar", ".zip")


def download_stanford_cars(root: Path, source: str = DEFAULT_SOURCE) -> None:
    """Fetch Stanford Cars, verify it, and put it in place.

    Everything is gathered in a hidden folder beside ``root``, which takes its place when complete. After an
    interruption the same call continues with what is there.

    Args:
        root: Folder that doesn't exist yet, or is empty.
        source: A data set on the Hugging Face hub in Parquet (``OWNER/NAME``), or archives as URLs or local files,
            separated by commas.

    Raises:
        MisconfigurationException: If the source can't be read, isn't Stanford Cars, or the disk can't be written to.
    """
    draft = root.parent / f".{root.name}.download"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{draft}.lock"):
            if root.is_dir() and any(root.iterdir()):
                return  # another process was faster
            if not draft.is_dir():
                rank_zero_info(TERMS)
                draft.mkdir()
            archives = [part.strip() for part in source.split(",")]
            if all((urlsplit(part).path if "://" in part else part).endswith(_ARCHIVES) for part in archives):
                content = fetch_archives(archives, draft)
            else:
                content = fetch_from_hub(source, draft)
            _verify(content, source)
            (content / "TERMS.txt").write_text(TERMS, encoding="utf-8")
            if root.is_dir():
                root.rmdir()
            content.rename(root)
            shutil.rmtree(draft)
        Path(f"{draft}.lock").unlink(missing_ok=True)
    except OSError as error:
        raise MisconfigurationException(
            f"Can't put Stanford Cars into {root}: {error}. What has been fetched stays in {draft}; the same command "
            "goes on from there."
        ) from error


def _verify(content: Path, source: str) -> None:
    layout = in_official_order(recognise_layout(content))
    parts: dict[Part, int] = {}
    for part, expected in COUNTS.items():
        samples = layout.read(part)
        assert samples.labels is not None
        missing = [str(file) for file in samples.files if not Path(str(file)).is_file()]
        if missing:
            raise MisconfigurationException(f"{source} lacks {len(missing)} images, {Path(missing[0]).name} the first.")
        parts[part] = len(samples)
        classes = len(np.unique(samples.labels))
        if len(samples) != expected or classes != len(CAR_NAMES):
            raise MisconfigurationException(
                f"{source} has {len(samples)} {part} images of {classes} classes, but Stanford Cars has {expected} of "
                f"{len(CAR_NAMES)}: it is no complete copy."
            )
    rank_zero_info(f"Stanford Cars is complete: {parts['train']} training and {parts['test']} test images.")
