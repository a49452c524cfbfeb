"""Which jobs several dates before a flood make."""

from collections import Counter
from pathlib import Path

import yaml

from floodloom.config.load import Scene
from floodloom.workflow.inputs import inputs
from floodloom.workflow.lock import FOLDER
from floodloom.workflow.plan import targets
from floodloom.workflow.resources import mem_mb
from tests.workflow.conftest import project, snakemake
from tests.workflow.plans import Wildcards, plan

DATES = [
    Scene("now", "flood", "after", "now.SAFE"),
    Scene("a1", "flood", "before", "a1.SAFE"),
    Scene("a2", "flood", "before", "a2.SAFE"),
    Scene("b1", "flood", "before-2", "b1.SAFE"),
    Scene("b2", "flood", "before-2", "b2.SAFE"),
    Scene("c1", "flood", "before-3", "c1.SAFE"),
]
EVENTS = {"flood": {"split": "target"}}
AFTER = {"event": "flood", "role": "after"}


def asked(scenes: list[Scene], **changes: object):
    return plan(scenes, dataset=None, data_root=None, events=EVENTS, **changes)


def calibrated(*names: str) -> list[str]:
    return [f"results/r/calibrated/{name}.zarr" for name in names]


def test_each_date_is_geocoded_by_itself_on_the_grid_of_all() -> None:
    found = asked(DATES)
    names = {"now", "a1", "a2", "b1", "b2", "c1"}
    for scene, own in (("now", ["now"]), ("a1", ["a1", "a2"]), ("b1", ["b1", "b2"])):
        read = inputs(found, "geocode", {"scene": scene})
        assert read["scene"] == calibrated(*own)
        assert sorted(read["companions"]) == sorted(calibrated(*names - set(own)))
    stores = [f"results/r/geocoded/{name}.zarr" for name in ("now", "a1", "b1", "c1")]
    assert targets(found)["geocoded"] == stores


def test_each_date_is_predicted_by_itself_and_the_map_reads_all() -> None:
    found = asked(DATES)
    assert inputs(found, "predict", {"event": "flood", "role": "before-2"})["scene"] == (
        "results/r/geocoded/b1.zarr"
    )
    read = inputs(found, "delineate", {"event": "flood"})
    folder = "results/r/mosaics/flood"
    assert read["before"] == [
        f"{folder}/{role}.probability.tif" for role in ("before", "before-2", "before-3")
    ]
    assert read["before_scene"] == [f"results/r/geocoded/{n}.zarr" for n in ("a1", "b1", "c1")]


def test_one_date_reads_what_it_did() -> None:
    found = asked(DATES[:3])
    read = inputs(found, "delineate", {"event": "flood"})
    assert read["before"] == ["results/r/mosaics/flood/before.probability.tif"]
    assert read["before_scene"] == ["results/r/geocoded/a1.zarr"]
    companions = {"now": calibrated("a1", "a2"), "a1": calibrated("now")}
    for scene, expected in companions.items():
        assert inputs(found, "geocode", {"scene": scene})["companions"] == expected


def test_a_network_that_compares_sees_the_first_date_and_none_is_predicted() -> None:
    found = asked(DATES, tile={"bands": ["vv", "before_vv"]})
    assert inputs(found, "predict", AFTER)["before"] == "results/r/geocoded/a1.zarr"
    read = inputs(found, "delineate", {"event": "flood"})
    assert "before" not in read
    assert len(read["before_scene"]) == 3


def test_more_dates_take_more_memory() -> None:
    job = Wildcards(event="flood")
    one, several = (mem_mb(asked(n), "delineate")(job, 1, 1) for n in (DATES[:3], DATES))
    assert several > one


def test_a_dry_run_plans_every_date(tmp_path: Path) -> None:
    """Two slices of each of three dates, told apart by the names of the products."""
    folder = project(tmp_path / "p")
    days = {"after": ["20230514"], "before": ["20230502", "20230420", "20230408"]}
    rows = ["scene\tevent\trole\tsource"]
    for role, dates in days.items():
        for day in dates:
            for time in ("165821", "165846"):
                name = f"S1A_IW_GRDH_1SDV_{day}T{time}_x.zip"
                (folder / name).write_bytes(b"PK\3\4")
                rows.append(f"{day}-{time}\te\t{role}\t{name}")
    (folder / "config" / "scenes.tsv").write_text("\n".join(rows) + "\n")
    (folder / "m.safetensors").touch()
    content = {
        "run": {"name": "r", "checkpoint": "m.safetensors"},
        "scenes": "config/scenes.tsv",
        "events": {"e": {"split": "target"}},
    }
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(content))
    run = snakemake(folder, "--dry-run", "delineated")
    assert run.returncode == 0, run.stderr
    assert not (folder / FOLDER / "sources.json").exists(), "it read the sources"
    printed = run.stdout + run.stderr
    words = [line.split() for line in printed.splitlines() if line.startswith("rule ")]
    jobs = Counter(line[1].rstrip(":") for line in words)
    del jobs["delineated"]
    assert jobs == {"calibrate": 8, "geocode": 4, "predict": 4, "delineate": 1}
    for role in ("after", "before", "before-2", "before-3"):
        assert f"results/r/mosaics/e/{role}.probability.tif" in printed
