"""A search that several processes may work on, and that continues after they were killed."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callbacks.score_direction import mode_of
from command_line.sweeping.claims import Claims, FileClaims
from command_line.sweeping.database import DatabaseClaims
from command_line.sweeping.new_values import REPEATS, ask_for_new_values
from command_line.sweeping.space import Space, values_in, written
from command_line.sweeping.study_name import RUN, refuse_folder_of_database
from command_line.sweeping.trial import Ending, train_trial
from results.run_table import scores_of
from runs.curves import Curve
from runs.run import Run

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial


class Search:
    """A search by the tree-structured Parzen estimator (Bergstra et al., 2011).

    Each trial is a run of its own, and ends at an epoch at which it is worse than the median of the trials before. The
    process that trains a trial claims it; a trial without a claim was left behind by a process that was killed.

    Args:
        config: The config of the trials, flat.
        options: Options of ``fit`` that all trials have.
        space: What is tried.
        pruning: Whether to end trials early.
        output: The folder of the search; that of a database is one which all machines share.
        database: The URL of a database that several machines share; None takes a file in ``output``.

    Raises:
        MisconfigurationException: If the database can't be used, or holds another search than the folder.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        options: Sequence[str],
        space: Space,
        pruning: bool,
        output: Path,
        database: str | None = None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.options, self.space, self.output = [*options], space, output
        self.experiment: str | None = config.get("experiment")
        self.claims: Claims
        if database is None:
            refuse_folder_of_database(output)
            self.claims = FileClaims(output, self._put_back)
        else:
            self.claims = DatabaseClaims(database, output, self._put_back)
        self.seed = int(config["seed_everything"] or 0)
        self.seeded = not isinstance(config["seed_everything"], bool | None)  # else a repetition tells something
        self.exhausted = False
        self.score = str(config["checkpoint.monitor"])
        self.mode = mode_of("checkpoint", self.score, config["checkpoint.mode"])
        with self.claims.alone():
            self.study: Study = optuna.create_study(
                storage=self.claims.storage,
                study_name=self.claims.study_name,
                direction=f"{self.mode}imize",
                pruner=optuna.pruners.MedianPruner() if pruning else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
            start = values_in(space, config)
            if len(start) == len(space) and not self.study.get_trials(deepcopy=False):
                # so that the search never ends below where it began
                self.study.enqueue_trial(start, skip_if_exists=True)
        self._failed = [trial.number for trial in self.trials() if _has_failed(trial)]
        self._fails = False  # whether the last training did

    def take(self, trials: int) -> "Trial | None":
        """Take the next trial: one that was left behind, one that failed in an earlier command, or a new one.

        After a failure a new one is tried first, if there are to be more: neither do trials that always fail keep a
        search from going on, nor does what made all of them fail use them up.

        Args:
            trials: How many there are to be.

        Returns:
            The trial, which is this process's alone; None if there are enough, or no values are left to be tried.
        """
        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        with self.claims.alone():
            self.claims.find_left(self.study)
            waiting = bool(self.study.get_trials(states=[TrialState.WAITING]))
            enough = len(self.trials()) >= trials
            while not waiting and self._failed and (enough or not self._fails):
                waiting = self._try_again(self._failed.pop(0))
            if not waiting and enough:
                return None
            known = len(self.study.get_trials(deepcopy=False))
            with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                seed = None if self.claims.several_machines else self.seed + known  # or they might try the same at once
                self.study.sampler = TPESampler(seed=seed, constant_liar=True)
            trial = ask_for_new_values(self.study, self.space, known) if self.seeded else self.study.ask(self.space)
            if trial is None:
                self.exhausted = True
                return None
            if RUN not in trial.user_attrs:
                number = trial.number + 1 if self.claims.several_machines else len(self.trials())
                trial.set_user_attr(RUN, f"trial-{number}")
            self.claims.take(trial.number)
            return trial

    def _try_again(self, number: int) -> bool:
        """Put a failed trial back, unless another process has done so."""
        failed = [trial for trial in self.trials() if trial.number == number]
        try:
            (self.output / ".again" / str(number)).mkdir(parents=True)  # one machine only succeeds in that
        except FileExistsError:
            return False
        for trial in failed:
            self._put_back(self.study, trial)
        return bool(failed)

    def _put_back(self, study: "Study", left: "FrozenTrial") -> None:
        """Have a trial taken up again that its process has left behind."""
        if RUN in left.user_attrs:
            study.enqueue_trial(left.params, user_attrs={RUN: self.run_of(left).name})

    def run_of(self, trial: "Trial | FrozenTrial") -> Run:
        """Name the run of a trial.

        Args:
            trial: The trial.

        Returns:
            Its run, which needn't have begun.
        """
        return Run(self.output / trial.user_attrs.get(RUN, f"unnamed-{trial.number}"))

    def train(self, trial: "Trial") -> Ending:
        """Train a trial that was taken, to its end or until it falls behind.

        Args:
            trial: The trial.

        Returns:
            How it ended.

        Raises:
            SystemExit: If the process was asked to end; the trial is continued by the next command.
        """
        from optuna.trial import TrialState

        reported = 0

        def falls_behind(curve: Curve) -> bool:
            nonlocal reported
            self.claims.show_life(trial.number)
            values = [*curve.values()]
            for epoch in range(reported, len(values)):
                trial.report(values[epoch], epoch)
            behind = len(values) > reported and trial.should_prune()
            reported = len(values)
            return behind

        run = self.run_of(trial)
        options = [*self.options, *(written(key, value) for key, value in trial.params.items())]
        ending = train_trial(run, options, self.score, falls_behind)
        score = scores_of(run, [self.score]).get(self.score)
        if ending == "finished" and score is None:
            ending = "failed"
        self._fails = ending == "failed"
        states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        with self.claims.alone():  # another process could see a running trial that nobody claims any more
            # one that took too long to answer for its trial may find it taken up by another machine
            value = score if ending == "finished" else None
            self.study.tell(trial, value, states[ending], skip_if_finished=self.claims.several_machines)
            self.claims.release()
        return ending

    def trials(self) -> "list[FrozenTrial]":
        """List the trials, each run once: of those that were continued the last part.

        Returns:
            The trials that have begun, in their order.
        """
        from optuna.trial import TrialState

        known = (trial for trial in self.study.get_trials() if REPEATS not in trial.user_attrs)
        begun = [trial for trial in known if trial.state != TrialState.WAITING]
        by_run = {self.run_of(trial).name: trial for trial in begun}
        again = {self.run_of(trial).name for trial in self.study.get_trials(states=[TrialState.WAITING])}
        return [trial for name, trial in by_run.items() if name not in again]

    def best(self) -> "FrozenTrial | None":
        """Find the best trial that was trained to its end; None if there is none."""
        from optuna.trial import TrialState

        finished = self.study.get_trials(states=[TrialState.COMPLETE])
        return self.study.best_trial if finished else None


def _has_failed(trial: "FrozenTrial") -> bool:
    return trial.state.name == "FAIL" and RUN in trial.user_attrs
