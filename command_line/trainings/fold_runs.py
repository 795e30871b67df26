"""Trainings on all folds but one at a time."""

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.trainings.member_runs import Member
from datamodules import ImageDataModule, ImageFolderDataModule


def divide_in_folds(data: ImageDataModule, folds: int, command: str) -> ImageFolderDataModule:
    """Divide a data set in folds, and refuse what can't be.

    Args:
        data: The data.
        folds: Number of folds.
        command: What asks for them, for messages.

    Returns:
        The same data, prepared, whose validation part is the first fold.

    Raises:
        MisconfigurationException: If its kind has no folds, or there are too few.
    """
    if not isinstance(data, ImageFolderDataModule):
        raise MisconfigurationException(
            f"{command} divides folders and tables in folds, which {type(data).__name__} doesn't read: choose another "
            "--data."
        )
    if folds < 2:
        raise MisconfigurationException(f"--folds is {folds}: it has to be 2 or more.")
    data.prepare_data()
    data.folds = folds
    return data


def fold_members(folds: int) -> list[Member]:
    """List a training for each fold, which it validates on.

    Args:
        folds: Number of folds.

    Returns:
        The trainings.
    """
    return [Member(f"fold-{fold + 1}", (f"--data.folds={folds}", f"--data.fold={fold}")) for fold in range(folds)]
