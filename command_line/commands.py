"""The commands: Lightning's, and those that look at the data alone."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException

from command_line.arguments.request import only_run, run_named
from command_line.remote_runs.places import fetched_runs, in_storage
from command_line.strict_trainer import StrictTrainer
from command_line.tools.list_runs import list_runs
from command_line.trainings.typed import Typed
from datamodules import ImageDataModule
from datamodules.check import check_data
from datamodules.chunks.conversion import convert
from lightning_modules.prediction.certainty import AnswerRule, Certainty
from results.figures.figure_file import is_figure, write_figure
from results.figures.preview_figure import preview_figure


class Commands(StrictTrainer):
    """Lightning's trainer, and the commands that look at the data alone."""

    @staticmethod
    def check(datamodule: ImageDataModule, output: str = "logs/check") -> None:
        """Decode every image and report all that is wrong with a data set; exit code 1 if training would be wrong.

        Args:
            datamodule: The data.
            output: Folder for report.html, problems.csv and exclude.txt.
        """
        if not check_data(datamodule, output):
            sys.exit(1)

    @staticmethod
    def doubts(
        datamodule: ImageDataModule,
        typed: Typed,
        folds: int = 5,
        output: str = "logs/doubts",
        pictures: int = 200,
    ) -> None:
        """Find labels that are probably wrong, by networks that haven't seen the images in training (k folds).

        Args:
            datamodule: The data.
            typed: The options as they were typed, those of the trainings among them.
            folds: Number of folds; a training on the others answers for each.
            output: Folder for the runs, doubts.html, out_of_fold.csv, exclude.txt and relabel.csv.
            pictures: How many doubtful labels the page shows.
        """
        from command_line.tools.doubts import doubts

        doubts(datamodule, typed, folds, Path(output), pictures)

    @staticmethod
    def repeat(
        datamodule: ImageDataModule,
        typed: Typed,
        seeds: list[int] | None = None,
        folds: int | None = None,
        test: bool = False,
        output: str = "logs/repeat",
    ) -> None:
        """Train several times, with other seeds or on other folds, and report mean, interval and spread of the scores.

        Args:
            datamodule: The data.
            typed: The options as they were typed, those of the trainings among them.
            seeds: Seeds of the trainings, as in --seeds 1 2 3; without any, the config's.
            folds: Number of folds, each of which validates a training on all others.
            test: Test each run as well.
            output: Folder for the runs, repeat.csv, repeat.json, repeat.png and, with folds, out_of_fold.csv.
        """
        from command_line.tools.repeat import repeat

        repeat(datamodule, typed, seeds or [], folds, test, Path(output))

    @staticmethod
    def sweep(
        datamodule: ImageDataModule,
        typed: Typed,
        space: str | None = None,
        trials: int = 30,
        pruning: bool = True,
        storage: str | None = None,
        output: str = "logs/sweep",
    ) -> None:
        """Search for the best options of a training (Optuna); several of these commands may work on one search.

        Args:
            datamodule: The data.
            typed: The options as they were typed, those of the trainings among them.
            space: YAML file with the options to try and their ranges; null tries learning rate, decays, label smoothing
                and MixUp.
            trials: Number of trainings in all, earlier ones of the same search included.
            pruning: End trainings early that are worse than the others were at the same epoch.
            storage: Database through which several machines share the search and its folder, such as
                postgresql+psycopg://USER@HOST/DATABASE; null keeps study.db in the folder, for one machine.
            output: Folder for the runs, study.db, trials.csv, sweep.png and best.yaml.
        """
        from command_line.tools.sweep import sweep

        options = typed.without("space", "trials", "pruning", "storage", "output")
        file = Path(space) if space else None
        sweep(datamodule, typed, options, file, trials, pruning, Path(output), storage)

    @staticmethod
    def runs(words: Sequence[str], folder: str = "logs", sort: str = "begun", output: str | None = None) -> None:
        """List all runs: how far they are, their scores, and what differs in their configs.

        Args:
            words: The folder, if it isn't given by its option.
            folder: Where to look; folders below it too.
            sort: Column to sort by; with a minus before it, the largest first.
            output: CSV file to write, with all columns.

        Raises:
            MisconfigurationException: If there is no run, or no such column.
        """
        if len(words) > 1:
            raise MisconfigurationException(f"runs takes one folder, but there are {len(words)}: {', '.join(words)}.")
        place = words[0] if words else folder
        found = fetched_runs(place) if in_storage(place) else Path(place)
        list_runs(found, sort, None if output is None else Path(output))

    @staticmethod
    def explain(words: Sequence[str], output: str = "explanation.png", eval_scale: float | None = None) -> None:
        """Draw photographs beside what a run answers, and where in them its network looked (Grad-CAM).

        Args:
            words: The run, and photographs, folders or patterns.
            output: The PNG file to write; an earlier figure is replaced.
            eval_scale: Side of evaluated images as a multiple of the training size; null keeps that of the run.
        """
        from command_line.tools.explain import explain  # here and below: what no other command needs

        explain(run_named("explain", words), words[1:], Path(output), eval_scale)

    @staticmethod
    def export(
        words: Sequence[str],
        output: str | None = None,
        format: Literal["onnx", "torch", "hub", "web"] = "onnx",  # noqa: A002 - the option's name
        int8: bool = False,
        eval_scale: float | None = None,
    ) -> None:
        """Write a run's classifier for other programs: it takes pixels of any size and returns probabilities.

        Args:
            words: The run.
            output: The file or folder to write, which must not exist; null names it after the run.
            int8: Write ONNX with eight bits, if that costs no more than one of a hundred right answers.
            format: ``onnx``, ``torch`` for ``torch.export.load``, ``hub``, a folder with weights, config and card, or
                ``web``, a folder with a page whose network runs in the browser.
            eval_scale: Side of evaluated images as a multiple of the training size; null keeps that of the run.

        Raises:
            MisconfigurationException: If more than one run is named.
        """
        from command_line.tools.export import export

        export(only_run("export", words), None if output is None else Path(output), format, int8, eval_scale)

    @staticmethod
    def compare(words: Sequence[str], output: str = "comparison") -> None:
        """Compare tested runs: scores with intervals, configs, curves, pictures won and lost against the first run.

        Args:
            words: The runs.
            output: Folder for comparison.html and comparison.csv; if it exists, the new one gets a number.
        """
        from command_line.tools.compare import compare

        compare([run_named("compare", [word]) for word in words], Path(output))

    @staticmethod
    def app(
        words: Sequence[str],
        port: int = 8000,
        min_confidence: float | None = None,
        coverage: float | None = None,
        score: Certainty = "probability",
        eval_scale: float | None = None,
    ) -> None:
        """Open a local page on which photographs can be tried; it can be reached from this computer alone.

        Args:
            words: The run.
            port: The port of the page; 0 takes a free one.
            min_confidence: Answer unknown below this probability; null answers always.
            coverage: The same with the probability that this share of the validation images reached, 0.9 for instance.
            score: What coverage goes by: probability, max_logit or normalized_logit.
            eval_scale: Side of evaluated images as a multiple of the training size; null keeps that of the run.

        Raises:
            MisconfigurationException: If more than one run is named.
        """
        from command_line.tools.app import app

        app(only_run("app", words), port, AnswerRule(score, min_confidence, coverage, prefix="--"), eval_scale)

    @staticmethod
    def convert(datamodule: ImageDataModule, output: str = "data/stream", max_side: int | None = None) -> None:
        """Write a data set as chunks of many images, to be trained on with configs/streaming.yaml.

        Args:
            datamodule: The data.
            output: Folder to write, which must not exist, or its URL in object storage (s3://BUCKET/FOLDER).
            max_side: Longer side in pixels to which larger images are shrunk; null keeps all files as they are.
        """
        convert(datamodule, output, max_side)

    @staticmethod
    def preview(datamodule: ImageDataModule, output: str = "preview.png", images: int = 6, views: int = 5) -> None:
        """Draw training images beside their augmented views, to tune a pipeline without training.

        Args:
            datamodule: The data.
            output: The PNG file to write; an earlier figure is replaced.
            images: Number of images.
            views: Number of views of each.

        Raises:
            MisconfigurationException: If something else than a figure has that name.
        """
        if Path(output).exists() and not is_figure(Path(output)):
            raise MisconfigurationException(
                f"--output is {output}, which exists and is no preview: choose another name, or remove it."
            )
        datamodule.prepare_data()
        datamodule.setup("fit")
        write_figure(Path(output), preview_figure(datamodule.preview(images, views)))
        print(f"preview: {output}")  # noqa: T201 - the result
