"""What each stage reads: the files that its rule names, and those that its settings name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from floodloom.acquire.catalogues import PRODUCT
from floodloom.acquire.item import read_asset
from floodloom.texts import is_address
from floodloom.workflow.plan import Plan

Files = dict[str, str | list[str]]
Inputs = Mapping[str, str | list[str] | bool | None]
_IMAGE = re.compile(r"(S1[A-Z])_.*?_(\d{8}T\d{6})_(\d{8}T\d{6})_", re.IGNORECASE)
_ORBIT = re.compile(r"(S1[A-Z])_OPER_AUX_.*V(\d{8}T\d{6})_(\d{8}T\d{6})", re.IGNORECASE)


def inputs(plan: Plan, stage: str, wildcards: Mapping[str, str]) -> Files:
    """Name the inputs of a job.

    Parameters
    ----------
    plan
        What the run is made of.
    stage
        Name of the stage, which is that of the rule.
    wildcards
        Wildcards of the job.

    Returns
    -------
    dict
        Path, or list of paths, by keyword of the stage; only what there is.
    """
    found = _INPUTS[stage](plan, wildcards) if stage in _INPUTS else {}
    return {name: value for name, value in found.items() if value and value is not True}


def named_by_settings(plan: Plan, stage: str, wildcards: Mapping[str, str]) -> list[Path]:
    """List the sources that a job reads beside its inputs.

    Parameters
    ----------
    plan, stage, wildcards
        As for `inputs`.

    Returns
    -------
    list
        Orbit files of a scene; STAC items that name what is fetched, and that, on disk.
    """
    orbit = plan.config.calibrate.orbit
    if stage == "calibrate" and isinstance(orbit, Path):
        return orbit_files(orbit, plan.scenes[wildcards["scene"]].source)
    if stage == "acquire":
        return files_on_disk(plan.scenes[wildcards["scene"]].source)
    if stage == "gather":
        of = (wildcards["event"], wildcards["layer"])
        assets = plan.fetched_assets(*of)
        tiles = plan.fetched_tiles(*of)
        found = (path for t in tiles for a in assets for path in files_on_disk(t, a))
        return list(dict.fromkeys(found))
    return []


def reads_data_set(plan: Plan, stage: str, wildcards: Mapping[str, str]) -> bool:
    """Whether a job reads the published data set itself, not a scene that was made of it."""
    if plan.config.dataset is None:
        return False
    return stage == "ingest" or (stage == "tile" and not inputs(plan, stage, wildcards))


def files_on_disk(source: str, asset: str = PRODUCT) -> list[Path]:
    """Return what of a source lies on disk: a STAC item, and the file that it names."""
    if is_address(source):
        return []
    product = read_asset(source, asset).source
    return [Path(source), *([] if is_address(product) else [Path(product)])]


def orbit_files(orbit: Path, source: str) -> list[Path]:
    """List the orbit files that may cover a product.

    Parameters
    ----------
    orbit
        A file, or a folder of them.
    source
        Path or URL of the product. Where its name doesn't hold mission and time, every orbit file
        may cover it.

    Returns
    -------
    list
        Paths in order; orbit files of other missions and times aren't among them, so that a new
        one redoes no other scene.
    """
    image = _IMAGE.search(Path(source).name)
    if orbit.is_file() or image is None:
        return [orbit]
    return [file for file in sorted(orbit.rglob("*")) if file.is_file() and _may_cover(file, image)]


def _may_cover(file: Path, image: re.Match[str]) -> bool:
    orbit = _ORBIT.match(file.name)
    if orbit is None:
        return True
    mission, start, stop = (text.upper() for text in orbit.groups())
    return mission == image[1].upper() and start <= image[3].upper() and stop >= image[2].upper()


def _calibrate(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    scene = wildcards["scene"]
    return {"safe": plan.product(scene), "orbit": plan.fetched_orbit(scene)}


def _orbit(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    return {"product": plan.product(wildcards["scene"])}


def _geocode(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    scene = plan.scenes[wildcards["scene"]]
    roles = ("after", *plan.dates_before(scene.event))
    others = (plan.calibrated(scene.event, role) for role in roles if role != scene.role)
    return {
        "scene": plan.calibrated(scene.event, scene.role),
        "companions": [store for date in others for store in date],
        "dem": plan.event_file(scene.event, "dem"),
    }


def _tile(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    event = wildcards["event"]
    scene = plan.geocoded(event, "after")
    labelled = plan.config.events[event].split != "target"
    return {
        "scene": [scene] if scene else [],
        "before": plan.seen_before(event, "after"),
        "dem": scene and plan.seen_dem(event),
        "checkpoint": scene and plan.checkpoint,
        "labels": labelled and plan.event_file(event, "labels"),
        "optical": plan.config.distill is not None and plan.event_file(event, "optical"),
    }


def _teach(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    return {"tiles": plan.labelled_tiles()}


def _distill(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    return {"tiles": plan.distilled_tiles(), "teacher": plan.teacher}


def _pretrain(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    return {"tiles": plan.tiles("train", "blocks", "target")}


def _train(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    number = int(wildcards["round"])
    if number == 0:
        init = plan.pretrains and plan.pretrained(wildcards["model"], wildcards["seed"])
        return {"tiles": plan.labelled_tiles(), "init": init}
    return {
        "tiles": plan.labelled_tiles(),
        "pseudo": [plan.pseudo_tiles(number)],
        "audit": plan.audit(number),
        "init": plan.weights(number - 1, wildcards["model"], wildcards["seed"]),
    }


def _relabel(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    previous = int(wildcards["round"]) - 1
    return {
        "tiles": plan.target_tiles(),
        "validation": plan.labelled_tiles(),
        "checkpoints": plan.members(previous),
        "previous": previous > 0 and plan.pseudo_tiles(previous),
    }


def _predict(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    event, role = wildcards["event"], wildcards["role"]
    if plan.baseline is not None:
        before = plan.compares_dates and plan.geocoded(event, "before")
        scene, dem = plan.geocoded(event, role), plan.event_file(event, "dem")
        water = plan.sees_reference and plan.event_file(event, "reference_water")
        return {"scene": scene, "before": before, "dem": dem, "reference_water": water}
    optical = plan.config.run.optical and role == "after" and plan.event_file(event, "optical")
    students = plan.members(plan.rounds)
    return {
        "scene": plan.geocoded(event, role),
        "before": plan.seen_before(event, role),
        "dem": plan.seen_dem(event),
        "optical": optical,
        "radar_checkpoint": students if optical else [],
        "checkpoint": [plan.teacher] if optical else students,
    }


def _delineate(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    event = wildcards["event"]
    after, dates = plan.mosaic(event, "after"), plan.dates_before(event)
    before = [path for role in dates if (path := plan.mosaic(event, role))]
    return {
        "probability": [after] if after else [],
        "scene": plan.geocoded(event, "after"),
        "before": before if plan.sees_before(event) else [],
        "before_scene": [path for role in dates if (path := plan.geocoded(event, role))],
        "reference_water": plan.event_file(event, "reference_water"),
        "land_cover": plan.event_file(event, "land_cover"),
        "dem": plan.event_file(event, "dem"),
        "zones": plan.config.events[event].zones,
    }


def _evaluate(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    return {
        "prediction": [f"{plan.folder}/maps/{event}/flood.tif" for event in plan.scored_events()],
        "truth": _truths(plan),
        "tiles": plan.test_tiles(),
        "checkpoint": plan.members(plan.rounds) if plan.test_tiles() else [],
    }


def _report(plan: Plan, wildcards: Mapping[str, str]) -> Inputs:
    events, rounds = plan.mapped_events(), range(plan.rounds + 1)
    return {
        "evaluation": plan.is_scored and f"{plan.folder}/evaluation/summary.json",
        "maps": [f"{plan.folder}/maps/{event}/flood.tif" for event in events],
        "stac_items": [f"{plan.folder}/maps/{event}/flood.json" for event in events],
        "scenes": [path for event in events if (path := plan.geocoded(event, "after"))],
        "before_scenes": [path for event in events if (path := plan.geocoded(event, "before"))],
        "probabilities": [path for event in events if (path := plan.mosaic(event, "after"))],
        "truth": _truths(plan),
        "checkpoints": [path for number in rounds for path in plan.trained(number)],
        "ensemble": plan.members(plan.rounds),
        "audits": [plan.audit(number) for number in rounds[1:]],
        "pseudo": [plan.pseudo_tiles(number) for number in rounds[1:]],
        "tiles": plan.example_tiles(),
    }


def _truths(plan: Plan) -> list[str]:
    found = (plan.event_file(event, "labels") for event in plan.scored_events())
    return [path for path in found if path]


_INPUTS: dict[str, Callable[[Plan, Mapping[str, str]], Inputs]] = {
    "orbit": _orbit,
    "calibrate": _calibrate,
    "geocode": _geocode,
    "tile": _tile,
    "teach": _teach,
    "distill": _distill,
    "pretrain": _pretrain,
    "train": _train,
    "relabel": _relabel,
    "predict": _predict,
    "delineate": _delineate,
    "evaluate": _evaluate,
    "report": _report,
}
"""Stages that read files of the run or of its events; the others begin from their settings."""
