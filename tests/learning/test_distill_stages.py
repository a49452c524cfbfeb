"""The stages teach and distill on tiny tile stores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from floodloom.arrays import IGNORE
from floodloom.config.load import load_config
from floodloom.errors import InputError
from floodloom.learning.checkpoint import load_checkpoint, read_metadata
from floodloom.learning.data.optical import unlabelled_pairs
from floodloom.learning.data.samples import radar_samples
from floodloom.learning.data.zarr_tiles import load_tiles, locate_tiles
from floodloom.learning.distillation.presets import PRESETS as DISTILLATIONS
from floodloom.learning.distillation.settings import DistillSettings, TeachSettings
from floodloom.learning.inference import load_ensemble
from floodloom.stages.distill import distill
from floodloom.stages.teach import teach
from floodloom.tiles.store import concatenate_tiles, open_tiles, write_tiles
from floodloom.workflow.plan import Plan
from tests.learning.conftest import QUICK


def test_teach_then_distill(stores, tmp_path):
    tiles = [stores["train"], stores["validation"]]
    teacher = teach(
        tiles=tiles, out=tmp_path / "teacher.safetensors", settings=TeachSettings(**QUICK)
    )
    metadata = read_metadata(teacher)
    assert metadata["inputs"] == "fused"
    assert metadata["channels"] == ["vv", "vh", "green", "red", "nir", "ndwi"]
    bytes_before = teacher.read_bytes()
    student = distill(
        tiles=tiles,
        teacher=teacher,
        out=tmp_path / "s.safetensors",
        settings=DistillSettings(**QUICK),
    )
    assert teacher.read_bytes() == bytes_before
    assert read_metadata(student)["inputs"] == "radar"
    assert read_metadata(student)["scores"]["iou"] > 0.8
    assert load_ensemble(student).probabilities(np.zeros((1, 2, 32, 32), np.float32)).shape[1] == 2


def test_a_teacher_of_chosen_channels_and_one_without_labels(stores, tmp_path):
    tiles, quick = [stores["train"], stores["validation"]], {**QUICK, "epochs": 1}
    out = tmp_path / "teacher.safetensors"
    chosen = read_metadata(
        teach(tiles=tiles, out=out, settings=TeachSettings(radar=False, channels=("nir",), **quick))
    )
    assert (chosen["inputs"], chosen["channels"]) == ("optical", ["nir"])
    blind = teach(tiles=tiles, out=out, settings=TeachSettings(labels="water_index", **quick))
    student = distill(
        tiles=tiles,
        teacher=blind,
        out=tmp_path / "s.safetensors",
        settings=DistillSettings(labels="water_index", feature_weight=0.1, **quick),
    )
    assert read_metadata(student)["training"]["feature_weight"] == 0.1
    with pytest.raises(ValidationError, match="labels"):
        teach(tiles=tiles, out=out, settings=TeachSettings(labels="none", **quick))


def test_unlabelled_pairs_are_learnt_from(stores, make_tiles, tmp_path):
    """The labels of target tiles change nothing, their optical images do."""
    tiles, quick = [stores["train"], stores["validation"]], {**QUICK, "epochs": 1}
    teacher = teach(
        tiles=tiles, out=tmp_path / "teacher.safetensors", settings=TeachSettings(**quick)
    )

    def student(target, name, unlabelled=1.5):
        write_tiles(target, tmp_path / f"{name}.zarr")
        out = tmp_path / f"{name}.safetensors"
        both = [*tiles, tmp_path / f"{name}.zarr"]
        learnt = distill(
            tiles=both,
            teacher=teacher,
            out=out,
            settings=DistillSettings(unlabelled=unlabelled, **quick),
        )
        return load_checkpoint(learnt).weights

    target = make_tiles(8, "target", seed=3, optical=True, event="target")
    one = student(target, "one")
    other = student(target.assign(label=1 - target.label), "other")
    clouded = student(target.assign(optical=target.optical * np.nan), "clouded")
    without = student(target, "without", unlabelled=0.0)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], clouded[name]) for name in one)
    assert all(torch.equal(without[name], clouded[name]) for name in one)


def test_teach_needs_optical_images(stores, tmp_path):
    with pytest.raises(InputError, match="none has an optical image"):
        teach(tiles=[stores["target"]], out=tmp_path / "t.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("teaching", "distilling"),
    [
        ({}, {"unlabelled": 1.0}),
        ({"radar": False}, {"labels": "water_index", "feature_weight": 1.0}),
    ],
)
def test_where_pairs_lie_changes_nothing(stores, tmp_path, teaching, distilling):
    """Not even beside a store without optical images, and nothing is left behind."""
    tiles = [stores[name] for name in ("train", "validation", "target", "pairs")]
    quick = {**QUICK, "epochs": 2}

    def weights(name, **change):
        teacher = teach(
            tiles=tiles,
            out=tmp_path / f"t{name}.st",
            settings=TeachSettings(**teaching, **change, **quick),
        )
        out = tmp_path / f"s{name}.st"
        student = distill(
            tiles=tiles,
            teacher=teacher,
            out=out,
            settings=DistillSettings(**distilling, **change, **quick),
        )
        return [load_checkpoint(path).weights for path in (teacher, student)]

    held, read = weights("held"), weights("read", memory_gib=0.0)
    for first, second in zip(held, read, strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(list(tmp_path.iterdir())) == 8


def test_hidden_labels_stay_hidden_on_disk(stores):
    tiles = locate_tiles(open_tiles(stores["pairs"]), stores["pairs"])
    training = locate_tiles(open_tiles(stores["train"]), stores["train"])
    both = concatenate_tiles([training, unlabelled_pairs(tiles, 5)])
    drawn = load_tiles(both, 0.0, radar_samples).take(torch.tensor([28, 3]))
    assert (drawn.label[0] == IGNORE).all()
    assert torch.equal(drawn.label[1], radar_samples(training).label[3])


@pytest.mark.parametrize("name", DISTILLATIONS.names)
def test_every_preset_of_distillation_runs(stores, tmp_path, name):
    content = {"run": {"name": "r"}, "scenes": "s.tsv", "teach": {}, "distill": {"preset": name}}
    plan = Plan(load_config(content), {})
    quick = {**QUICK, "epochs": 1, "model": "unet"}
    tiles = [stores["train"], stores["validation"], stores["pairs"]]
    model = plan.config.run.models[0]
    teacher = teach(
        tiles=tiles[:2],
        out=tmp_path / "teacher.safetensors",
        settings=TeachSettings(**{**quick, **_of_preset(plan, "teach"), "width": 4}),
    )
    assert read_metadata(teacher)["inputs"] == ("fused" if name == "logits" else "optical")
    settings = DistillSettings(**{**quick, **_of_preset(plan, "distill"), "model": model})
    student = distill(
        tiles=tiles, teacher=teacher, out=tmp_path / "s.safetensors", settings=settings
    )
    assert read_metadata(student)["architecture"] == model
    assert read_metadata(student)["inputs"] == "radar"


def _of_preset(plan, stage):
    values = DISTILLATIONS.load(plan.config.distill.preset).get(stage, {})
    assert {key: plan.settings(stage)[key] for key in values} == dict(values)
    return values
