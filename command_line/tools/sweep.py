"""The command ``sweep``: a search for the best options of a training, by Optuna."""

from collections.abc import Sequence
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.sweeping.database import answering
from command_line.sweeping.report import report
from command_line.sweeping.search import Search
from command_line.sweeping.space import Space, brief, corners, read_space
from command_line.trainings.member_runs import be_the_only_process
from command_line.trainings.plan import keep_plan
from command_line.trainings.refused_options import refuse_options, refuse_space
from command_line.trainings.typed import Typed
from datamodules import ImageDataModule
from runs.commands import shown

_SPACE = Path(__file__).parent.parent / "sweeping/default_space.yaml"
_FAILURES = 3  # in a row, after which a search isn't continued


def sweep(
    data: ImageDataModule,
    typed: Typed,
    options: Sequence[str],
    file: Path | None,
    trials: int,
    pruning: bool,
    output: Path,
    database: str | None = None,
) -> None:
    """Search for the best options of a training.

    Args:
        data: The data, which is prepared once, before trials that may run side by side.
        typed: What was typed.
        options: Options of ``fit`` that all trials have.
        file: The search space; None takes that of this project.
        trials: Number of trials in all, those of earlier and of other commands on the same search included.
        pruning: Whether to end trials early that fall behind.
        output: Folder for the runs, ``study.db``, ``trials.csv``, ``sweep.png`` and ``best.yaml``.
        database: URL of a database in the place of ``study.db``, for several machines that share the folder.

    Raises:
        MisconfigurationException: If the space is wrong, the folder is for another search, trainings fail, or the
            database doesn't answer.
    """
    be_the_only_process()
    refuse_options("sweep", typed)
    space = read_space(file or _SPACE)
    refuse_space(space, typed)
    if trials < 1:
        raise MisconfigurationException(f"--trials is {trials}: it has to be 1 or more.")
    for chosen in corners(space):
        typed.parse(chosen)
    if lacking := typed.not_validated(data):
        raise MisconfigurationException(f"There is no score to search by: {lacking}.")
    data.prepare_data()
    tried = {key: repr(values) for key, values in space.items()}
    keep_plan({"options": [*options], "settings": typed.settings, "space": tried}, output)
    with answering(database):
        _train_trials(Search(typed.config, options, space, pruning, output, database), space, trials)


def _train_trials(search: Search, space: Space, trials: int) -> None:
    failures = 0
    while (trial := search.take(trials)) is not None:
        if search.best():
            report(search, space)  # of the trials before
        run = search.run_of(trial)
        print(f"\n{run.name} of {trials}: {shown(run.folder)}", flush=True)  # noqa: T201
        print("\n".join(f"  {key}: {brief(value)}" for key, value in trial.params.items()), flush=True)  # noqa: T201
        ending = search.train(trial)
        failures = failures + 1 if ending == "failed" else 0
        if failures and (failures == _FAILURES or not search.best()):
            raise MisconfigurationException(
                f"The training {run.folder} failed, for the reason above: correct it, and repeat the command."
                if failures == 1
                else f"{failures} trainings failed in a row: correct what they report, and repeat the command."
            )
    if search.exhausted:
        print("\nNo values are left that haven't been tried.", flush=True)  # noqa: T201
    report(search, space, final=True)
