"""`make bench-vegetation`: maps with and without flooded vegetation, simulated and real.

Simulated events are mapped by `floodloom map` from their products, simulated chips from their
images, with the model that floodloom brings; then the same probabilities are delineated without the
scene before. The chips have other landscapes, sensors and weather, and nearly half of them no
flood. The real pairs, of Copernicus EMS activation 763, are display values, which floodloom doesn't
compare; here they are taken for backscatter of a guessed stretch, to see false alarms on real
ground. Its masks are of open water, so that what is called under plants there counts as false.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.record import record
from benchmarks.seasonal import DefaultModel
from benchmarks.two_dates import read_pairs
from floodloom.arrays import NODATA, Bytes, Floats, Mask
from floodloom.learning.metrics.pixels import Counts, count
from floodloom.mapping.brightening import Backscatter, Pair
from floodloom.mapping.delineate import Evidence, delineate_flood
from floodloom.mapping.evidence import DelineateFiles
from floodloom.mapping.exclusion import Reason
from floodloom.mapping.product_set import FloodProducts
from floodloom.mapping.settings import DelineateSettings, PredictFiles
from floodloom.mapping.sources import read_percent
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.raster.product import FloodClass
from floodloom.raster.store import write_store
from floodloom.simulate.chips import make_chip
from floodloom.stages.delineate import delineate
from floodloom.stages.predict import predict

EVENTS = (7, 11, 23, 31, 37, 41)
CHIPS = range(900_000, 900_080)
SIZE = 1024
STRETCH_DB = 25.0
"""What 255 values of the display are taken to span: -25 to 0 dB."""

Layers = tuple[Bytes, Bytes]
"""Classes and reasons of a map."""


def main() -> None:
    """Take the figures."""
    rows = [_row(f"event {seed}", *_event(seed)) for seed in EVENTS]
    for name, maps in (("80 chips", _chips(False)), ("chips without flood", _chips(True)),
                       ("EMSR763, 3 tiles", _real())):  # fmt: skip
        rows.append(_pooled(name, maps))
    record(
        "vegetation",
        {"rows": rows, "size": SIZE},
        command="make bench-vegetation",
        seeds=[*EVENTS, CHIPS[0]],
    )


def _event(seed: int) -> tuple[Layers, Layers, Bytes, Mask]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {key: folder / key for key in ("before.SAFE", "after.SAFE", "dem.tif", "truth.tif")}
        _run("simulate", "--seed", seed, "--size", SIZE, "--out-before", paths["before.SAFE"],
             "--out-after", paths["after.SAFE"], "--dem", paths["dem.tif"],
             "--optical", folder / "optical.tif", "--truth", paths["truth.tif"])  # fmt: skip
        _run("map", "--scenes", paths["after.SAFE"], paths["before.SAFE"],
             "--dem", paths["dem.tif"], "--out", folder / "map")  # fmt: skip
        results = folder / "map" / "results" / "map"
        mosaics = [results / "mosaics/map" / f"{d}.probability.tif" for d in ("after", "before")]
        plain = folder / "flood.tif"
        products = FloodProducts(
            out=plain, vectors=folder / "flood.gpkg", item=folder / "flood.json"
        )
        scene = next((results / "geocoded").glob("after*.zarr"))
        delineate(
            probability=mosaics[:1],
            products=products,
            files=DelineateFiles(scene=scene, before=tuple(mosaics[1:])),
        )
        without, found = (_layers(path) for path in (plain, results / "maps/map/flood.tif"))
        with rasterio.open(paths["truth.tif"]) as raster:
            truth: Bytes = raster.read(1)
    return without, found, truth, found[0] != NODATA


def _run(verb: str, *arguments: object) -> None:
    command = [sys.executable, "-c", "from floodloom.cli import main; main()", verb]
    subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True)


def _layers(path: Path) -> Layers:
    with rasterio.open(path) as raster:
        classes, reasons = raster.read()
    return classes, reasons


def _chips(dry: bool) -> Iterator[tuple[Layers, Layers, Bytes, Mask]]:
    """Chips with two polarisations; all, or those without flood."""
    model = DefaultModel.load()
    for seed in CHIPS:
        chip = make_chip(seed)
        if len(chip.polarisations) < 2 or (dry and (chip.label == FloodClass.FLOOD.value).any()):
            continue
        after, before = (
            np.where(chip.valid, image, np.nan).astype(np.float32)
            for image in (chip.after, chip.before)
        )
        percent = model.percent(after, before), model.percent(before)
        unseen = [np.where(chip.valid, values, NODATA).astype(np.uint8) for values in percent]
        yield *_both(*unseen, after, before), chip.label, chip.valid


def _real() -> Iterator[tuple[Layers, Layers, Bytes, Mask]]:
    for tile in read_pairs():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            before = write_store(tile.before, folder / "before.zarr")
            after = write_store(tile.after, folder / "after.zarr")
            percents = [
                read_percent(predict(scene=scene, checkpoint=[DEFAULT_CHECKPOINT],
                                     out=folder / "p.tif", files=files)).percent[:]
                for scene, files in (
                    (after, PredictFiles(before=before)), (before, PredictFiles())
                )
            ]  # fmt: skip
        power = [
            np.stack([10 ** ((scene[band].values / 255 - 1) * STRETCH_DB / 10) for band in scene])
            for scene in (tile.after, tile.before)
        ]
        label = np.where(tile.flood, FloodClass.FLOOD.value, 0).astype(np.uint8)
        yield *_both(*percents, *power), label, tile.known


def _both(
    after: Bytes, before: Bytes, power_after: Floats, power_before: Floats
) -> tuple[Layers, Layers]:
    """Delineate percents (y, x), without and with images (2, y, x)."""
    evidence = Evidence(after, before)
    pair = Pair(*(Backscatter(*image.astype(np.float32)) for image in (power_after, power_before)))
    without, found = (
        delineate_flood(one, DelineateSettings()).read()
        for one in (evidence, Evidence(after, before, pair=pair))
    )
    return without, found


def _row(name: str, without: Layers, found: Layers, truth: Bytes, known: Mask) -> dict[str, Any]:
    return _pooled(name, iter([(without, found, truth, known)]))


def _pooled(name: str, maps: Iterator[tuple[Layers, Layers, Bytes, Mask]]) -> dict[str, Any]:
    was, now, true, false, pixels = Counts(), Counts(), 0, 0, 0
    for without, found, truth, known in maps:
        flood = truth == FloodClass.FLOOD.value
        was += count(without[0] == FloodClass.FLOOD.value, flood, known)
        now += count(found[0] == FloodClass.FLOOD.value, flood, known)
        called = known & (found[1] == Reason.UNDER_PLANTS.value)
        true += int((called & flood).sum())
        false += int((called & ~flood).sum())
        pixels += int(known.sum())
    flooded = was.tp + was.fn > 0
    row = {
        "of": name,
        "iou_before": round(was.iou, 4) if flooded else None,
        "iou_after": round(now.iou, 4) if flooded else None,
        "true": true,
        "false": false,
        "pixels": pixels,
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
