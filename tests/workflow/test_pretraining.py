"""Pretraining in the DAG: what it reads, what redoes it, and a run with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from floodloom.errors import ConfigError
from floodloom.learning.checkpoint import read_metadata
from floodloom.learning.training.settings import TrainSettings
from floodloom.workflow.inputs import inputs
from floodloom.workflow.jobs import chosen_modules
from floodloom.workflow.plan import targets
from tests.workflow.conftest import snakemake, write_config
from tests.workflow.plans import plan
from tests.workflow.test_workflow import planned

JOB = {"model": "unet", "seed": "0"}
WEIGHTS = "results/r/models/pretrained/unet-0.safetensors"


def asked(**train: Any):
    return plan(train={"encoder_weights": "masked", **train})


def test_training_starts_from_what_is_learnt_of_all_tiles_without_labels() -> None:
    stores = [f"results/r/tiles/{event}.zarr" for event in ("flood", "train", "chips")]
    assert inputs(asked(), "pretrain", JOB) == {"tiles": stores}
    assert inputs(asked(), "train", {"round": "0", **JOB})["init"] == WEIGHTS
    assert inputs(asked(), "train", {"round": "1", **JOB})["init"] != WEIGHTS
    assert targets(asked())["pretrained"] == [WEIGHTS]
    assert asked().transductive_events() == ["flood"]


@pytest.mark.parametrize("weights", [None, "imagenet.safetensors"])
def test_nothing_is_pretrained_unless_a_task_is_named(weights: str | None) -> None:
    usual = plan(train={"encoder_weights": weights})
    assert not usual.pretrains
    assert "init" not in inputs(usual, "train", {"round": "0", **JOB})
    assert targets(usual)["pretrained"] == []


def test_only_what_decides_it_redoes_it() -> None:
    same = asked(loss="dice", patience=3, fine_tune_epochs=2, balance=0.1)
    assert same.settings("pretrain") == asked().settings("pretrain")
    assert same.settings("train") != asked().settings("train")
    assert asked(epochs=3).settings("pretrain") != asked().settings("pretrain")
    own = "floodloom.learning.unsupervised.tasks.masked"
    assert own in chosen_modules(asked(), "pretrain", JOB)
    assert own in chosen_modules(asked(), "train", {"round": "0", **JOB})
    assert "floodloom.learning.losses.ce_dice" not in chosen_modules(asked(), "pretrain", JOB)


def test_settings_keep_their_order_which_snakemake_records() -> None:
    for stage in ("pretrain", "train"):
        found = list(asked().settings(stage))
        assert found == [key for key in TrainSettings.model_fields if key in found]


@pytest.mark.parametrize(
    ("other", "name"),
    [({"teach": {}, "distill": {}}, "distill"), ({"run": {"name": "r", "checkpoint": "m"}}, "run")],
)
def test_weights_have_one_origin(other: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"train.encoder_weights: masked .*{name}.*one of both"):
        plan(train={"encoder_weights": "masked"}, **other)


@pytest.mark.xdist_group("workflow")
def test_a_run_begins_with_a_pretraining(copied: Path) -> None:
    content = yaml.safe_load((copied / "config/config.yaml").read_text())
    del content["teach"], content["distill"]
    content["train"] |= {"encoder_weights": "masked"}
    write_config(copied, content)
    run = snakemake(copied, "trained")
    assert run.returncode == 0, run.stderr
    models = copied / "results/tiny/models"
    first = read_metadata(models / "pretrained/unet-0.safetensors")
    assert first["training"]["pretraining"] == "masked"
    last = read_metadata(models / "round-0/unet-0.safetensors")
    assert last["notes"]["pretrained"] == first["training"]
    content["train"]["loss"] = "dice"
    write_config(copied, content)
    again = planned(snakemake(copied, "--dry-run", "trained"))
    assert "train" in again
    assert "pretrain" not in again
