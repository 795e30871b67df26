"""Asks a search for values that it hasn't tried."""

from typing import TYPE_CHECKING

from command_line.sweeping.space import Space
from command_line.sweeping.study_name import RUN

if TYPE_CHECKING:
    from optuna import Study, Trial

REPEATS = "repeats"  # attribute of trials that were asked for and aren't trained
_DRAWS = 50


def ask_for_new_values(study: "Study", space: Space, seed: int) -> "Trial | None":
    """Ask for a trial whose values no other has been trained with: with the same seed, it would end the same.

    Of few combinations a sampler proposes the best again and again; then others are drawn at random.

    Args:
        study: The study.
        space: What is tried.
        seed: Seed of the draws.

    Returns:
        The trial; None if none of many draws was new, as where all combinations have been tried.
    """
    from optuna.samplers import RandomSampler
    from optuna.trial import TrialState

    for draw in range(_DRAWS):
        trial = study.ask(space)
        others = (other for other in study.get_trials(deepcopy=False) if other.number != trial.number)
        if RUN in trial.user_attrs or all(
            other.state == TrialState.FAIL or other.params != trial.params for other in others
        ):
            return trial
        trial.set_user_attr(REPEATS, True)
        study.tell(trial, state=TrialState.FAIL)
        study.sampler = RandomSampler(seed=seed + draw)
    return None
