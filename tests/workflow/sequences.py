"""Random changes, failures, kills and losses between runs: what a run leaves must be true.

`python -m tests.workflow.sequences FIRST COUNT FOLDER` plays sequences with the real rules and
stages that only say what they were made of. After each run that ends well, what it made must equal
what a run from nothing makes of the same sources, settings and modules.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.workflow.stubs import (
    SHARED,
    copy_sources,
    lay_modules,
    module,
    preload,
    snakemake,
)

STAGES = [stage for stages in SHARED.values() for stage in stages]
SOURCES = (
    "A.SAFE/measurement.tiff",
    "A.SAFE/manifest.safe",
    "B.zip",
    "dem.tif",
    "labels.tif",
    "land.tif",
    "zones.gpkg",
    "orbit.EOF",
    "data/scene/vv.tif",
)
SETTINGS: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("calibrate", "remove_noise"): (True, False),
    ("geocode", "resolution"): (10.0, 20.0),
    ("tile", "size"): (64, 128),
    ("train", "learning_rate"): (0.001, 0.002),
    ("relabel", "tta"): (True, False),
    ("predict", "tta"): (False, True),
    ("delineate", "threshold"): (40, 50),
    ("run", "rounds"): (0, 1),
    ("events", "flood", "dem"): ("dem.tif", "other-dem.tif"),
}
TARGETS = {
    "calibrated": ("calibrated/*.zarr",),
    "geocoded": ("geocoded/*.zarr",),
    "trained": ("models/round-0/*",),
    "delineated": ("maps/*/*",),
    "all": ("report.html", "map.html", "collection.json", "maps/*/*", "evaluation/*"),
}


@dataclass
class Project:
    """A folder with sources, settings and stub modules."""

    folder: Path
    chance: random.Random
    config: dict[str, Any] = field(default_factory=dict)
    url: str = "C"
    done: list[str] = field(default_factory=list)

    def lay(self) -> None:
        lay_modules(self.folder)
        for name in (*SOURCES, "other-dem.tif", "served/C.zip", "served/D.zip"):
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{name} 0")
        self.configure()
        self.write()

    def configure(self) -> None:
        self.config = {
            "run": {"name": "r"},
            "scenes": "scenes.tsv",
            "dataset": "folder",
            "data_root": "data",
            "calibrate": {"orbit": "orbit.EOF"},
            "events": {
                "flood": {"split": "target", "land_cover": "land.tif", "zones": "zones.gpkg"},
                "past": {"split": "train", "labels": "labels.tif"},
                "held": {"split": "validation"},
            },
        }
        for key, values in SETTINGS.items():
            self.set(key, values[0])

    def set(self, key: tuple[str, ...], value: Any) -> None:
        place = self.config
        for name in key[:-1]:
            place = place.setdefault(name, {})
        place[key[-1]] = value

    def write(self) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        rows = [
            ("one", "flood", "after", "A.SAFE"),
            ("two", "flood", "after", "B.zip"),
            ("three", "flood", "before", f"http://served/{self.url}.zip?token=t"),
            ("four", "past", "after", "A.SAFE"),
            ("five", "held", "after", "dataset"),
        ]
        lines = ["scene\tevent\trole\tsource", *("\t".join(row) for row in rows)]
        (self.folder / "scenes.tsv").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str, kill_after: float | None = None) -> int:
        return snakemake(
            self.folder, *arguments, "--configfile", "config.yaml", kill_after=kill_after
        )


def change_source(project: Project) -> None:
    file = project.folder / project.chance.choice((*SOURCES, "other-dem.tif"))
    before = file.stat()
    text = f"{file.name} {project.chance.randrange(3)}"
    times = project.chance.choice(("now", "old", "kept"))
    if project.chance.random() < 0.5:
        file.unlink()  # replaced, not written over
    file.write_text(text)
    if times == "old":
        os.utime(file, (1e9, 1e9 + project.chance.randrange(3)))
    elif times == "kept":
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    project.done.append(f"{file.name}: {text} ({times})")


def touch_source(project: Project) -> None:
    file = project.folder / project.chance.choice(SOURCES)
    os.utime(file)
    project.done.append(f"touched {file.name}")


def change_setting(project: Project) -> None:
    key = project.chance.choice(list(SETTINGS))
    value = project.chance.choice(SETTINGS[key])
    project.set(key, value)
    project.write()
    project.done.append(f"{'.'.join(key)} = {value}")


def change_module(project: Project) -> None:
    shared = [f"{kind}/shared" for kind in SHARED]
    name = project.chance.choice([*(f"stages/{stage}" for stage in STAGES), *shared])
    file = module(project.folder, name)
    lines = file.read_text().splitlines()
    lines[-1] = f"VALUE = {project.chance.randrange(3)}"
    file.write_text("\n".join(lines) + "\n")
    project.done.append(f"{name}: {lines[-1]}")


def change_url(project: Project) -> None:
    project.url = project.chance.choice("CD")
    project.write()
    project.done.append(f"fetches {project.url}")


def lose_results(project: Project) -> None:
    """Delete results, mostly those between sources and maps."""
    share = project.chance.random()
    made = [
        p for p in project.folder.glob("results/r/**/*") if p.suffix not in ("", ".log", ".tsv")
    ]
    made += list(project.folder.glob("resources/*.zip"))
    for path in sorted(made):
        if project.chance.random() < share:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    project.done.append(f"lost {share:.0%} of the results")


def lose_records(project: Project) -> None:
    """Delete what Snakemake recorded: of everything, or of some results."""
    if project.chance.random() < 0.3:
        shutil.rmtree(project.folder / ".snakemake", ignore_errors=True)
        project.done.append("lost all records")
        return
    for record in sorted((project.folder / ".snakemake/metadata").glob("*")):
        if record.is_file() and project.chance.random() < 0.3:
            record.unlink()
    project.done.append("lost some records")


CHANGES: tuple[Callable[[Project], None], ...] = (
    *(change_source, change_source, touch_source, change_setting, change_setting),
    *(change_module, change_url, lose_results, lose_results, lose_records),
)


def play(seed: int, base: Path, project: Project) -> list[str]:
    """Play one sequence from a finished run on; return what went wrong."""
    shutil.rmtree(project.folder)
    shutil.copytree(base, project.folder)
    chance = project.chance
    faults: list[str] = []
    for last in (False, chance.random() < 0.5, True):
        for change in chance.choices(CHANGES, k=chance.randint(1, 4)):
            change(project)
        hindrance = "none" if last else chance.choice(("failure", "failure", "kill", "none"))
        faults += _run_and_judge(project, hindrance)
        if last:
            break
    return [f"sequence {seed}: {fault}; {'; '.join(project.done)}" for fault in faults]


def _run_and_judge(project: Project, hindrance: str) -> list[str]:
    chance = project.chance
    target = chance.choice(list(TARGETS)) if chance.random() < 0.4 else "all"
    failing = chance.choice(STAGES)
    mark = project.folder / f"fails-{failing}"
    if hindrance == "failure":
        mark.touch()
    kill_after = chance.uniform(0.3, 4) if hindrance == "kill" else None
    status = project.run(target, kill_after=kill_after)
    mark.unlink(missing_ok=True)
    hindered = {"failure": f" in which {failing} fails", "kill": f" killed at {kill_after} s"}
    project.done.append(f"run of {target}{hindered.get(hindrance, '')}: {status}")
    if hindrance == "none" and status != 0:
        return [f"the run of {target} ended with {status}"]
    return [f"{name} isn't true" for name in wrong(project, target)] if status == 0 else []


def wrong(project: Project, target: str) -> list[str]:
    """Results of a target that a run from nothing would have made otherwise."""
    clean = project.folder.with_name(f"{project.folder.name}-clean")
    copy_sources(project.folder, clean)
    if snakemake(clean, target, "--configfile", "config.yaml") != 0:
        return ["the run from nothing failed"]
    expected, found = (_results(folder / "results/r", target) for folder in (clean, project.folder))
    return [name for name in expected if found.get(name) != expected[name]]


def _results(run: Path, target: str) -> dict[str, str]:
    paths = [path for pattern in TARGETS[target] for path in sorted(run.glob(pattern))]
    files = [path / "data" if path.is_dir() else path for path in paths]
    return {str(file.relative_to(run)): file.read_text() for file in files}


def main(first: int, count: int, folder: Path) -> int:
    """Play `count` sequences from the seed `first` on; print what went wrong."""
    folder = folder.resolve()
    work, base = folder / "work", folder / "base"
    shutil.rmtree(folder, ignore_errors=True)
    Project(work, random.Random(0)).lay()
    if snakemake(work, "--configfile", "config.yaml") != 0:
        print((work / "log.txt").read_text())
        return 1
    preload(work)
    shutil.copytree(work, base)
    bad, began = 0, time.monotonic()
    for seed in range(first, first + count):
        project = Project(work, random.Random(seed))
        project.configure()
        faults = play(seed, base, project)
        bad += bool(faults)
        print(*faults, sep="\n", end="\n" if faults else "", flush=True)
        if faults:
            shutil.copytree(work, folder / f"sequence-{seed}", dirs_exist_ok=True)
    print(f"{count - bad} of {count} sequences true, {time.monotonic() - began:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
