"""Every stage as small as it can be: the inputs of all, and what each is called with."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from floodloom.stages import STAGES
from tests.sentinel1.test_product import DAY, orbit_file

Arguments = dict[str, Any]
PRECISE = f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}.EOF"
_SIZE = 128
_LOGS = (".history.jsonl", ".state.safetensors")  # how far a training is, for the next run
_NETWORK = {"width": 2, "epochs": 1, "precision": "float32"}


def arguments(stage: str, have: Path, out: Path) -> Arguments:
    """Arguments of a stage that reads what lies in `have` and writes into `out`."""
    event = {"dem": out / "dem.tif", "optical": out / "optical.tif", "truth": out / "truth.tif"}
    return {
        "simulate": {
            "out_before": out / "before.SAFE", "out_after": out / "after.SAFE", **event,
            "size": _SIZE,
        },
        "acquire": {"source": have / "after.zip", "out": out / "fetched.zip"},
        "gather": {"tiles": [have / "tile.json"], "out": out / "elevations"},
        "orbit": {
            "product": have / "after.SAFE", "source": have / "orbits", "out": out / "orbit",
        },
        "calibrate": {"safe": have / "after.SAFE", "out": out / "calibrated.zarr"},
        "geocode": {
            "scene": [have / "calibrated.zarr"], "dem": have / "dem.tif",
            "out": out / "geocoded.zarr",
        },
        "ingest": {
            "dataset": "folder", "root": have / "folder", "scene": "a",
            "out": out / "ingested.zarr", "labels": out / "labels.tif",
        },
        "tile": {
            "scene": [have / "geocoded.zarr"], "labels": have / "truth.tif",
            "optical": have / "optical.tif", "size": 32, "stride": 32, "split": "train",
            "out": out / "tiles.zarr",
        },
        "teach": {"tiles": [have / "tiles.zarr"], "out": out / "teacher.safetensors", **_NETWORK},
        "distill": {
            "tiles": [have / "tiles.zarr"], "teacher": have / "teacher.safetensors",
            "out": out / "student.safetensors", **_NETWORK,
        },
        "pretrain": {
            "tiles": [have / "tiles.zarr", have / "target.zarr"], "encoder_weights": "masked",
            "out": out / "pretrained.safetensors", **_NETWORK,
        },
        "train": {"tiles": [have / "tiles.zarr"], "out": out / "model.safetensors", **_NETWORK},
        "relabel": {
            "tiles": [have / "target.zarr"], "validation": [have / "tiles.zarr"],
            "checkpoints": [have / "model.safetensors"], "out": out / "pseudo.zarr",
            "audit": out / "audit.json", "tta": False, "acceptance": False,
        },
        "predict": {
            "scene": have / "geocoded.zarr", "checkpoint": [have / "model.safetensors"],
            "out": out / "p.tif", "precision": "float32", "backend": "torch",
        },
        "delineate": {
            "probability": [have / "p.tif"], "scene": have / "geocoded.zarr",
            "dem": have / "dem.tif", "out": out / "flood.tif", "vectors": out / "flood.gpkg",
            "item": out / "flood.json", "flatgeobuf": out / "flood.fgb",
            "likelihood": out / "likelihood.tif",
            "depth": out / "depth.tif", "areas": out / "areas.csv",
        },
        "evaluate": {
            "prediction": [have / "flood.tif"], "truth": [have / "truth.tif"],
            "out": out / "scores.json",
        },
        "report": {
            "maps": [have / "flood.tif"], "stac_items": [have / "flood.json"],
            "evaluation": have / "scores.json", "out": out / "report.html",
            "map_page": out / "map.html",
        },
    }[stage]  # fmt: skip


def command(stage: str, given: Arguments) -> list[str]:
    """Return the command line that calls a stage with some arguments."""
    words = [stage]
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, list) else [value])]
    return words


def prepare(have: Path, run: Any) -> None:
    """Make the inputs of all stages; `run` takes a stage and its arguments."""
    have.mkdir()
    _folder(have / "folder")
    for stage in STAGES:
        if stage != "acquire":
            run(stage, arguments(stage, have, have))
        if stage == "simulate":
            _zip(have / "after.SAFE", have / "after.zip")
            orbit_file(have / "after.SAFE", have / "orbits", PRECISE)
            (have / "tile.json").write_text('{"assets": {"data": {"href": "dem.tif"}}}')
        if stage == "tile":
            target = arguments(stage, have, have) | {"split": "target", "out": have / "target.zarr"}
            del target["labels"]
            run(stage, target)


def _folder(root: Path) -> None:
    """A data set of one scene."""
    rng = np.random.default_rng(0)
    for kind, dtype in (("vv", "float32"), ("vh", "float32"), ("labels", "uint8")):
        (root / kind).mkdir(parents=True)
        values = rng.integers(0, 2, (64, 64)) if kind == "labels" else rng.normal(-12, 3, (64, 64))
        place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
        facts = {"height": 64, "width": 64, "count": 1, "dtype": dtype, **place}
        with rasterio.open(root / kind / "a.tif", "w", driver="GTiff", **facts) as raster:
            raster.write(values.astype(dtype), 1)


def _zip(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))


def names(folder: Path) -> set[str]:
    """Names of results in a folder, and of what was left there."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(_LOGS)}


def lay_old(folder: Path, names: list[str]) -> None:
    """Lay what looks like results of an earlier run into a folder that is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        path = folder / name
        kind = {"calibrated": '"geometry" ', "tiles": '"classes" ', "pseudo": '"classes" '}
        marks = {".zarr": ("zarr.json", f'"fingerprint" {kind.get(path.stem, "")}old'),
                 ".SAFE": ("manifest.safe", "floodloom simulator old"),
                 "": ("gathered.json", '"gathered" old')}  # fmt: skip
        inside, text = marks.get(path.suffix, ("", "old"))
        (path / inside).parent.mkdir(parents=True, exist_ok=True)
        (path / inside).write_text(text)
