"""What the rules ask about their jobs, without Snakemake's DAG around it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.io import is_flagged

from floodloom.settings import arguments_of
from floodloom.stages import STAGES
from floodloom.workflow.jobs import Jobs, chosen_modules, one_of, read_plan
from floodloom.workflow.plan import targets
from floodloom.workflow.resources import mem_mb
from floodloom.workflow.sources import Sources
from tests.workflow.plans import Wildcards, plan


class Output:
    """A pattern of a rule's output."""

    def __init__(self, pattern: str) -> None:
        self.prefix = pattern.partition("{")[0]
        self.regex = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))

    def constant_prefix(self) -> str:
        return self.prefix

    def match(self, path: str) -> re.Match[str] | None:
        return self.regex.fullmatch(path)


class Workflow:
    """Two rules, and a count of how often parameters were asked for."""

    dryrun = False
    storage_settings = SimpleNamespace(default_storage_provider=None)

    def __init__(self) -> None:
        values = {"digest": str, "settings": str, "scale": lambda wildcards: wildcards.scene}
        self.parts = {
            "calibrate": self.rule("calibrate", "results/r/calibrated/{scene}.zarr", values),
            "geocode": self.rule("geocode", "results/r/geocoded/{scene}.zarr", {"fixed": 1}),
        }

    def rule(self, name: str, pattern: str, values: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(name=name, output=[Output(pattern)], params=values)

    @property
    def rules(self) -> Iterator[SimpleNamespace]:
        return iter(self.parts.values())

    def get_rule(self, name: str) -> SimpleNamespace:
        return self.parts[name]


@pytest.fixture
def make(tmp_path: Path, monkeypatch) -> Callable[..., Jobs]:
    """Makes the jobs of a run whose sources lie in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("one.SAFE", "two.SAFE", "dem.tif"):
        Path(name).write_text(name)

    def jobs(workflow: Workflow | None = None, **changes: Any) -> Jobs:
        return Jobs(plan(**changes), Sources(Path("memory.json")), workflow or Workflow())

    return jobs


def test_sources_have_no_times_and_results_do(make: Callable[..., Jobs]) -> None:
    found = make().inputs("geocode")(Wildcards(scene="one"))
    assert found["scene"] == [f"results/r/calibrated/{name}.zarr" for name in ("one", "two")]
    assert not any(is_flagged(path, "ancient") for path in found["scene"])
    assert is_flagged(found["dem"], "ancient")
    calibrated = make().inputs("calibrate")(Wildcards(scene="one"))
    assert is_flagged(calibrated["safe"], "ancient")


def test_settings_are_those_of_the_section_without_what_a_job_sets(
    make: Callable[..., Jobs],
) -> None:
    found = make(geocode={"resolution": 20}).settings("geocode")
    assert found["resolution"] == 20.0
    assert make().settings("acquire") == {}
    assert "model" not in make().settings("train")


def test_a_prediction_with_an_optical_image_pairs_it_as_tiles_do(make: Callable[..., Jobs]) -> None:
    with_optical = {"run": {"name": "r", "optical": True}, "teach": {}, "distill": {}}
    tile = {"optical_gap_days": 3.0}
    assert make(**with_optical, tile=tile).settings("predict")["optical_gap_days"] == 3.0
    assert "optical_gap_days" not in make(tile=tile).settings("predict")


def test_teacher_and_students_are_trained_as_train_says(make: Callable[..., Jobs]) -> None:
    train = {"batch": 4, "epochs": 3, "width": 8, "loss": "focal"}
    jobs = make(train=train, teach={"epochs": 9, "labels": "water_index"}, distill={})
    taught, distilled = (jobs.settings(stage) for stage in ("teach", "distill"))
    assert (taught["batch"], taught["epochs"], taught["width"]) == (4, 9, 8)
    assert (distilled["batch"], distilled["epochs"], distilled["width"]) == (4, 15, 8)
    assert taught["loss"] == distilled["loss"] == "focal"
    assert taught["labels"] == distilled["labels"] == "water_index"


def test_what_is_shared_chooses_modules_and_memory() -> None:
    common = {"teach": {}, "distill": {}}
    focal = plan(**common, train={"loss": "focal"})
    for stage in ("teach", "distill", "train"):
        assert "floodloom.learning.losses.focal" in chosen_modules(focal, stage, {})
    few, many = (plan(**common, train={"batch": size}) for size in (4, 8))
    for stage in ("teach", "distill"):
        assert mem_mb(few, stage)(None, 1, 1) < mem_mb(many, stage)(None, 1, 1)


def test_a_key_of_another_section_holds_in_prediction_and_training(
    make: Callable[..., Jobs],
) -> None:
    jobs = make(delineate={"mixed_orbits": True}, relabel={"batch_statistics": 0.25})
    assert jobs.settings("predict")["mixed_orbits"]
    assert jobs.settings("train")["batch_statistics"] == 0.25


def test_a_digest_follows_settings_parameters_and_sources_above(make: Callable[..., Jobs]) -> None:
    def digests(**changes: Any) -> dict[str, str]:
        jobs = make(**changes)
        return {
            f"{stage} {scene}": jobs.digest(stage)(Wildcards(scene=scene))
            for stage, scene in [("calibrate", "one"), ("calibrate", "two"), ("geocode", "one")]
        }

    def changed(after: dict[str, str]) -> set[str]:
        return {name for name, value in before.items() if after[name] != value}

    before = digests()
    assert len(set(before.values())) == 3
    assert changed(digests()) == set()
    assert changed(digests(geocode={"resolution": 20})) == {"geocode one"}
    assert changed(digests(calibrate={"remove_noise": False})) == set(before)
    Path("two.SAFE").write_text("another product")
    assert changed(digests()) == {"calibrate two", "geocode one"}


@pytest.mark.parametrize("there", ["results/r", "resources"])
def test_a_dry_run_reads_sources_where_there_is_something_to_compare_with(
    make: Callable[..., Jobs], there: str
) -> None:
    def digest(*, dryrun: bool, provider: str | None = None) -> str:
        workflow = Workflow()
        workflow.dryrun = dryrun
        workflow.storage_settings = SimpleNamespace(default_storage_provider=provider)
        return make(workflow=workflow).digest("calibrate")(Wildcards(scene="one"))

    of_run = digest(dryrun=False)
    assert of_run
    assert digest(dryrun=True) == ""
    assert digest(dryrun=True, provider="s3") == of_run
    Path(there).mkdir(parents=True)
    assert digest(dryrun=True) == of_run


def test_snakemake_compares_the_digest(make: Callable[..., Jobs]) -> None:
    """It leaves out what a function of outputs or of other parts of a job gives."""
    assert list(inspect.signature(make().digest("calibrate")).parameters) == ["wildcards"]


@pytest.mark.parametrize(
    "names",
    [
        ["a.b", "c"],
        ["a", "ab", "abc", "b"],
        ["x-1", "x]1", "x^1", "x (1)"],
        [f"{place}_{day:02}" for place in ("Pô", "Rhône") for day in range(31)],
        [],
    ],
)
def test_one_of_matches_its_names_only(names: list[str]) -> None:
    pattern = re.compile(one_of(names))
    near = {name[:n] + other + name[n:] for name in names for n in (0, 1, 9) for other in "x.1-"}
    near |= {name[:n] + name[n + 1 :] for name in names for n in range(9)} | {"", "axb"}
    assert all(pattern.fullmatch(name) for name in names)
    assert not [name for name in near - set(names) if pattern.fullmatch(name)]


def test_a_pattern_of_many_names_is_short() -> None:
    names = [f"event{n:04}_{role}" for n in range(1000) for role in ("before", "after")]
    assert len(one_of(names)) < 100


def test_every_target_asks_for_its_stage() -> None:
    found = targets(plan())
    assert found["calibrated"] == [f"results/r/calibrated/{n}.zarr" for n in ("one", "two", "past")]
    assert found["geocoded"] == [f"results/r/geocoded/{n}.zarr" for n in ("one", "past", "seen")]
    assert found["tiled"] == [f"results/r/tiles/{n}.zarr" for n in ("flood", "train", "chips")]
    assert found["taught"] == found["distilled"] == []
    assert found["trained"] == ["results/r/models/round-0/unet-0.safetensors"]
    assert found["predicted"] == ["results/r/mosaics/flood/after.probability.tif"]
    assert "results/r/maps/flood/flood.tif" in found["delineated"]
    distilled = targets(plan(teach={}, distill={}))
    assert distilled["taught"] == ["results/r/models/teacher.safetensors"]
    assert distilled["distilled"] == ["results/r/models/distilled/unet-0.safetensors"]


def test_a_mistake_ends_in_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"run": {"name": "r"}, "scenes": "none.tsv"}
    Path("config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit) as end:
        read_plan(content, ["config.yaml"])
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("floodloom: scenes: none.tsv not found")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_takes_the_settings_that_it_is_given(stage: str) -> None:
    function = getattr(import_module(f"floodloom.stages.{stage}"), stage)
    found = plan(run={"name": "r", "optical": True}, teach={}, distill={}).settings(stage)
    inspect.signature(function).bind_partial(**arguments_of(function, found))


def test_a_dry_run_imports_no_library_of_rasters_or_networks() -> None:
    modules = "floodloom.workflow.jobs, floodloom.workflow.resources, floodloom.workflow.plan"
    heavy = {"torch", "xarray", "rasterio", "scipy", "odc"}
    text = f"import {modules}, sys; sys.exit(bool({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0
