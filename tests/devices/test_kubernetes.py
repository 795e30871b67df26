"""The manifest of the documentation, against Kubeflow's published schema and this project's options."""

from typing import Any

import pytest
import yaml
from kubeflow_trainer_api.models.trainer_v1alpha1_train_job import TrainerV1alpha1TrainJob

from tests.command_line.test_configs import resolved
from tests.support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs/devices.md"


@pytest.fixture
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(PAGE.read_text().partition("```yaml\n")[2].partition("```")[0])
    return found


def test_the_manifest_fits_the_schema(manifest: dict[str, Any]) -> None:
    job = TrainerV1alpha1TrainJob.from_dict(manifest)
    assert job is not None
    assert job.to_dict() == manifest  # what the schema doesn't know is left out of it


def test_unknown_keys_would_be_found(manifest: dict[str, Any]) -> None:
    manifest["spec"]["trainer"]["processesPerNode"] = 4
    job = TrainerV1alpha1TrainJob.from_dict(manifest)
    assert job is not None
    assert job.to_dict() != manifest


def test_its_command_is_understood(manifest: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    trainer = manifest["spec"]["trainer"]
    fit, *arguments = trainer["args"]
    assert trainer["command"][-1] == "train.py"
    assert fit == "fit"
    config = resolved(capsys, *arguments)
    assert config["data"]["class_path"].endswith("StreamingDataModule")
    assert config["trainer"]["strategy"] == "ddp"
    assert (config["trainer"]["num_nodes"], config["trainer"]["devices"]) == (1, "auto")  # as torchrun starts them
    assert config["logs"] == "s3://BUCKET/logs"
