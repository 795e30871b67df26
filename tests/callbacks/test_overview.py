"""What TensorBoard shows besides curves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PluginAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

Run = Callable[..., None]


def hparams_of(folder: Path) -> dict[str, HParamsPluginData]:
    events = EventAccumulator(str(folder))
    events.Reload()
    found = {}
    for tag in ("_hparams_/experiment", "_hparams_/session_start_info"):
        data = HParamsPluginData()
        data.ParseFromString(events.SummaryMetadata(tag).plugin_data.content)
        found[tag.rpartition("/")[2]] = data
    return found


@pytest.mark.drawn
def test_runs_can_be_compared_at_a_glance(run: Run, tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=1")
    run("test", "--ckpt_path=best", "--report.enabled=true", "--report.pictures=1")
    folder = tmp_path / "logs/demo/version_0"
    events = PluginAccumulator(str(folder))
    events.Reload()
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]
             if tag.endswith("text_summary")}  # fmt: skip
    assert "backbone: squeezenet1_1" in texts["config/text_summary"]
    assert "train.py" in texts["command/text_summary"]
    layout = Layout()
    layout.ParseFromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    assert [chart.title for chart in layout.category[0].chart] == ["losses", "scores", "learning rates"]
    for place in (folder, folder / "test"):
        found = hparams_of(place)
        settings = found["session_start_info"].session_start_info.hparams
        assert settings["learning_rate"].number_value == 0.0005
        assert settings["backbone"].string_value == "squeezenet1_1"
        assert settings["data.batch_size"].number_value == 16
        assert settings["seed_everything"].number_value == 42
        assert {"class_names", "ema.decay", "data.exclude"}.isdisjoint(settings)
        names = [metric.name.tag for metric in found["experiment"].experiment.metric_infos]
        assert {"val/accuracy", "test/accuracy", "test_tta/accuracy"} <= {*names}
    tested = EventAccumulator(str(folder / "test"))
    tested.Reload()
    assert "test/accuracy" in tested.Tags()["scalars"]
    assert {"test/mistakes", "test/confusion_matrix"} <= {*tested.Tags()["images"]}
    trained = EventAccumulator(str(folder))
    trained.Reload()
    for tag in {*trained.Tags()["scalars"]} - {"epoch"}:  # nothing is logged twice, but for what Lightning adds
        steps = [event.step for event in trained.Scalars(tag)]
        assert len(steps) == len(set(steps)), tag


def test_it_can_be_left_out(run: Run, tmp_path: Path) -> None:
    run("fit", "--trainer.max_epochs=1", "--overview.enabled=false")
    events = EventAccumulator(str(tmp_path / "logs/demo/version_0"))
    events.Reload()
    assert not [tag for tag in events.Tags()["tensors"] if "text_summary" in tag]
