"""The DAG itself: what runs when, and what it leaves."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import rasterio
import yaml

from tests.privacy import USER, host, telling
from tests.workflow.conftest import planned, project, snakemake, write_config

pytestmark = pytest.mark.xdist_group("workflow")
MAPS = {"predict", "delineate", "evaluate", "report"}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change(folder: Path, **sections: dict[str, object]) -> None:
    content = yaml.safe_load((folder / "config" / "config.yaml").read_text())
    for name, values in sections.items():
        content[name] = {**(content.get(name) or {}), **values}
    write_config(folder, content)


def said(run: CompletedProcess[str]) -> list[str]:
    """What a run printed, without Snakemake's own line about its profile."""
    lines = (run.stdout + run.stderr).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("Using workflow")]


def test_run_leaves_what_it_promises(finished: Path) -> None:
    run = finished / "results" / "tiny"
    for name in (
        "report.html",
        "map.html",
        "collection.json",
        "maps/c/flood.tif",
        "maps/c/flood.gpkg",
        "maps/c/flood.fgb",
        "maps/c/flood.json",
        "evaluation/summary.json",
        "relabel/round-1.json",
    ):
        assert (run / name).stat().st_size > 0, name
    summary = json.loads((run / "evaluation/summary.json").read_text())
    for water in ("flood", "water"):
        scores = summary[water]
        assert set(scores) >= {"iou", "f1", "precision", "recall", "tp", "fp", "fn", "tn"}
        union = scores["tp"] + scores["fp"] + scores["fn"]
        assert scores["iou"] == pytest.approx(scores["tp"] / union if union else 0.0, abs=1e-6)
    assert set(summary["by_event"]) == {"c"}
    logs = {path.parent.name for path in (run / "logs").rglob("*.log")} | {
        path.stem for path in (run / "logs").glob("*.log")
    }
    assert logs >= {"simulate", "calibrate", "geocode", "tile", "train", "relabel", *MAPS}


def test_no_product_tells_where_or_by_whom_it_was_made(finished: Path) -> None:
    secrets = [str(finished), finished.name, USER, *host()]
    assert telling(finished / "results", secrets, leave_out=["logs"]) == []
    assert telling(finished / "resources", secrets, leave_out=["logs"]) == []


def test_nothing_touched_runs_nothing(finished: Path) -> None:
    run = snakemake(finished, "--dry-run")
    assert run.returncode == 0, run.stderr
    assert planned(run) == set()
    assert "Nothing to be done" in run.stdout + run.stderr


def test_editing_mapping_redoes_prediction_and_what_follows(copied: Path) -> None:
    module = copied / "src/floodloom/mapping/predict.py"
    module.write_text(module.read_text() + "\nEDITED = True\n")
    assert planned(snakemake(copied, "--dry-run")) == {*MAPS, "all"}


def test_editing_a_comment_a_docstring_or_another_network_redoes_nothing(copied: Path) -> None:
    package = copied / "src/floodloom"
    windows = package / "raster/windows.py"
    windows.write_text("# a comment\n" + windows.read_text())
    training = package / "learning/training/loop.py"
    assert training.read_text().startswith('"""')
    training.write_text('"""Another docstring."""' + training.read_text().split('"""', 2)[2])
    hourglass = package / "models/architectures/hourglass.py"
    hourglass.write_text(hourglass.read_text() + "\nEDITED = True\n")
    assert planned(snakemake(copied, "--dry-run")) == set()


def test_editing_a_network_redoes_what_uses_it(copied: Path) -> None:
    network = copied / "src/floodloom/models/architectures/unet.py"
    network.write_text(network.read_text() + "\nEDITED = True\n")
    assert planned(snakemake(copied, "--dry-run")) == {
        *("teach", "distill", "relabel", "train", *MAPS, "all")
    }


def test_training_parameter_redoes_no_scene(copied: Path) -> None:
    change(copied, train={"fine_tune_learning_rate": 0.00321})
    assert planned(snakemake(copied, "--dry-run")) == {"train", *MAPS, "all"}


def test_a_value_that_another_setting_has_as_well_is_a_change(copied: Path) -> None:
    change(copied, distill={"logit_weight": 2.0})  # which the temperature is, too
    assert {"distill", *MAPS, "all"} <= planned(snakemake(copied, "--dry-run"))


def test_calibration_parameter_redoes_calibration_and_what_follows(copied: Path) -> None:
    change(copied, calibrate={"remove_noise": False})
    rules = planned(snakemake(copied, "--dry-run"))
    assert {"calibrate", "geocode", "tile", "train", "report"} <= rules
    assert "simulate" not in rules


@pytest.mark.parametrize(
    ("target", "last", "absent"),
    [
        ("calibrated", "calibrate", "geocode"),
        ("trained", "distill", "relabel"),
        ("evaluated", "evaluate", "report"),
        ("all", "report", "nothing"),
    ],
)
def test_single_stage_is_a_target(fresh: Path, target: str, last: str, absent: str) -> None:
    """Of the others, `test_jobs` knows what they ask for; all are rules of one loop."""
    run = snakemake(fresh, "--dry-run", target)
    assert run.returncode == 0, run.stderr
    rules = planned(run)
    assert last in rules
    assert absent not in rules


def test_without_distillation_round_0_is_trained(fresh: Path) -> None:
    content = yaml.safe_load((fresh / "config" / "config.yaml").read_text())
    del content["distill"], content["teach"]
    write_config(fresh, content)
    rules = planned(snakemake(fresh, "--dry-run", "trained"))
    assert "train" in rules
    assert not rules & {"teach", "distill"}


@pytest.mark.parametrize("unlabelled", [None, 0])
def test_unlabelled_pairs_are_tiled_for_the_student_alone(
    fresh: Path, unlabelled: int | None
) -> None:
    change(fresh, distill={} if unlabelled is None else {"unlabelled": unlabelled})
    run = snakemake(fresh, "--dry-run", "results/tiny/models/distilled/unet-0.safetensors")
    inputs = [line for line in run.stdout.splitlines() if "input: " in line]
    student = [line for line in inputs if "teacher." in line]
    others = [line for line in inputs if "teacher." not in line and ".zarr" in line]
    assert student, run.stdout + run.stderr
    assert others
    target = "results/tiny/tiles/c.zarr"
    assert any(target in line for line in student) == (unlabelled is None)
    assert not any(target in line for line in others)


def test_the_teacher_maps_what_has_an_optical_image(copied: Path) -> None:
    change(copied, run={"optical": True})
    assert planned(snakemake(copied, "--dry-run")) == {*MAPS, "all"}
    mosaics = copied / "results/tiny/mosaics/c"
    run = snakemake(copied, "predicted", "results/tiny/mosaics/c/before.probability.tif")
    assert run.returncode == 0, run.stderr[-3000:]
    with rasterio.open(mosaics / "after.probability.tif") as raster:
        after = raster.tags()
    with rasterio.open(mosaics / "before.probability.tif") as raster:
        before = raster.tags()
    assert after["FLOODLOOM_CHECKPOINT"] == "teacher"
    assert after["FLOODLOOM_OPTICAL"] == "optical"
    assert 0.3 < float(after["FLOODLOOM_OPTICAL_CLEAR"]) < 1  # clouds and what lies outside
    assert before["FLOODLOOM_CHECKPOINT"] == "unet-0"
    assert "FLOODLOOM_OPTICAL" not in before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tile:", "tiles:", "tiles: unknown key, did you mean `tile`?"),
        ("size: 64", "size: many", "tile.size:"),
        ("scenes.tsv", "none.tsv", "scenes: config/none.tsv not found"),
    ],
)
def test_config_mistake_is_one_line(fresh: Path, old: str, new: str, message: str) -> None:
    edit(fresh / "config" / "config.yaml", old, new)
    before = sorted(fresh.rglob("*"))
    run = snakemake(fresh)
    assert run.returncode != 0
    lines = said(run)
    assert len(lines) == 1
    assert message in lines[0]
    written = {p for p in sorted(fresh.rglob("*")) if p not in before}
    assert not {p for p in written if "__pycache__" not in p.parts and ".snakemake" not in p.parts}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\trole\t", "\tpart\t", "column 'role' is missing"),
        ("c_after\t", "c_before\t", "scene 'c_before' is there twice"),
    ],
)
def test_scene_sheet_mistake_is_one_line(fresh: Path, old: str, new: str, message: str) -> None:
    edit(fresh / "config" / "scenes.tsv", old, new)
    run = snakemake(fresh)
    assert run.returncode != 0
    lines = said(run)
    assert len(lines) == 1
    assert message in lines[0]
    assert not (fresh / "results").exists()


def test_a_baseline_trains_nothing(tmp_path: Path) -> None:
    """`teach`, `distill` and the rounds of the configuration are left out, not refused."""
    folder = project(tmp_path / "project")
    change(folder, predict={"baseline": "hsba"}, report={"baseline": "otsu"})
    scenes = {"simulate", "calibrate", "geocode"}
    assert planned(snakemake(folder, "--dry-run")) == {*scenes, *MAPS, "all"}
    run = snakemake(folder, "--dry-run", "trained", "predicted")
    assert planned(run) == {*scenes, "predict", "predicted", "trained"}
