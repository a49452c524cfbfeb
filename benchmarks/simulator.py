"""`make bench-simulator`: simulated chips beside real ones.

Backscatter by class, cross-polarisation ratio, speckle and structure of simulated chips are
compared with real Sentinel-1 chips, and drawn for docs/simulator.md. FLOODLOOM_DATA names the
folder of the real chips. The labelled chips of STAC Overflow are a test set: no number was fitted
to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import wasserstein_distance

from benchmarks.data import data_root
from benchmarks.record import record
from benchmarks.simulator_statistics import describe, homogeneous
from floodloom.arrays import Floats, Mask
from floodloom.sentinel1.decibel import power_to_decibel
from floodloom.simulate.chips import Chip, make_chip
from floodloom.simulate.place import Cover

CHIPS = 400
SIZE = 256
SAMPLE = 2000
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"

COVERS = {
    "trees": (2, (Cover.FOREST,)),
    "crops": (4, (Cover.CROP, Cover.PADDY)),
    "town": (5, (Cover.TOWN,)),
    "bare": (6, (Cover.SAND, Cover.SOIL, Cover.FLAT)),
    "snow": (7, (Cover.SNOW,)),
    "rangeland": (9, (Cover.GRASS, Cover.SHRUB)),
}
"""Classes of TerraMesh's land cover, and the simulator's that they are compared with."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Scene:
    """A chip: `decibel` (2, y, x) float32, VV and VH, NaN = no data; `classes` masks (y, x)."""

    name: str
    decibel: Floats
    classes: dict[str, Mask]


def main() -> None:
    """Take the figures and draw the pictures."""
    real = {"terramesh": terramesh(), "unlabelled": unlabelled(), "stac_overflow": labelled()}
    simulated = [scene_of(chip) for chip in chips(range(CHIPS))]
    figures = {
        "chips": len(simulated),
        "size": SIZE,
        "classes": {
            name: compared(simulated, real[group], name)
            for group, names in (
                ("terramesh", ("water", *COVERS)), ("stac_overflow", ("labelled water", "dry")),
            ) for name in names
        },
        "texture": {
            "simulated": [describe(scene.decibel) for scene in simulated],
            "real": {s.name: describe(s.decibel) for group in real.values() for s in group},
        },
    }  # fmt: skip
    figures["texture"] = summarised(figures["texture"])
    record("simulator", rounded(figures), command="make bench-simulator", seeds=[0])
    draw_chips(real["terramesh"], simulated, IMAGES / "simulator-chips.png")
    draw_statistics(real, simulated, IMAGES / "simulator-statistics.png")


def chips(seeds: Iterable[int]) -> Iterable[Chip]:
    """Yield the chips that real ones can be compared with: both bands, 10 m, not filtered."""
    for seed in seeds:
        chip = make_chip(seed, SIZE)
        sensor = chip.sensor
        if len(chip.polarisations) == 2 and sensor.spacing == 10 and not sensor.filtered:
            yield chip


def scene_of(chip: Chip) -> Scene:
    """Return a simulated chip in decibel."""
    known = chip.valid & (chip.after > 0).all(axis=0)
    decibel = np.where(known, power_to_decibel(np.maximum(chip.after, 1e-5)), np.nan)
    dry = known & (chip.label == 0)
    water = known & (chip.label > 0) & chip.visible
    classes = {"water": water, "labelled water": water, "dry": dry}
    for name, (_, covers) in COVERS.items():
        classes[name] = dry & np.isin(chip.cover, covers)
    return Scene(chip.biome, decibel.astype(np.float32), classes)


def terramesh() -> list[Scene]:
    """Return the five places of TerraMesh, gamma0, by land cover."""
    scenes = []
    for path in sorted((data_root("terramesh") / "S1RTC").glob("*.tif")):
        decibel = _read(path).astype(np.float32)
        cover = _read(data_root("terramesh") / "LULC" / path.name)[0]
        classes = {name: cover == code for name, (code, _) in COVERS.items()}
        classes["water"] = cover == 1
        scenes.append(Scene(path.stem, decibel, classes))
    return scenes


def unlabelled() -> list[Scene]:
    """Return chips of STAC Overflow that have no labels here."""
    folders = (data_root("c2s_unlabelled"), data_root("c2s_stac_overflow") / "features")
    names = [(folders[0], "awc01"), (folders[0], "slovakia"), (folders[1], "ayt12")]
    return [Scene(name, _pair(folder, name), {}) for folder, name in names]


def labelled() -> list[Scene]:
    """Return the labelled chips of STAC Overflow."""
    root = data_root("c2s_stac_overflow")
    scenes = []
    for path in sorted((root / "labels").glob("*.tif")):
        decibel, label = _pair(root / "features", path.stem), _read(path)[0]
        known = np.isfinite(decibel).all(axis=0)
        classes = {"labelled water": known & (label == 1), "dry": known & (label == 0)}
        scenes.append(Scene(path.stem, decibel, classes))
    return scenes


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return np.asarray(raster.read())


def _pair(folder: Path, name: str) -> Floats:
    pair = np.stack([_read(folder / f"{name}_{band}.tif")[0] for band in ("vv", "vh")])
    return np.where((pair != 0).all(axis=0), pair, np.nan).astype(np.float32)


def compared(simulated: list[Scene], real: list[Scene], name: str) -> dict[str, Any]:
    """Return quantiles of a class in real and simulated chips, and how far apart they are, dB."""
    values = {"real": _pixels(real, name), "simulated": _pixels(simulated, name)}
    result: dict[str, Any] = {}
    for index, band in enumerate(("vv", "vh", "vv_vh")):
        sides = {side: pixels[index] for side, pixels in values.items()}
        result[band] = {
            side: np.quantile(pixels, _QUANTILES).tolist() for side, pixels in sides.items()
        }
        result[band]["distance_db"] = float(wasserstein_distance(*sides.values()))
    shown = [scene.decibel[:, scene.classes[name]] for scene in _with(simulated, name)]
    medians = np.array([np.median(pixels, axis=1) for pixels in shown])
    result["chip_medians"] = {
        band: np.quantile(medians[:, index], _QUANTILES).tolist()
        for index, band in enumerate(("vv", "vh"))
    }
    return result


def _with(scenes: list[Scene], name: str) -> list[Scene]:
    return [scene for scene in scenes if scene.classes[name].sum() >= 300]


def _pixels(scenes: list[Scene], name: str) -> Floats:
    """VV, VH and their difference of a class, dB; as many pixels of every chip."""
    draw = np.random.default_rng(0)
    parts = []
    for scene in _with(scenes, name):
        pixels = scene.decibel[:, scene.classes[name]]
        chosen = pixels[:, draw.integers(0, pixels.shape[1], SAMPLE)]
        parts.append(np.stack([*chosen, chosen[0] - chosen[1]]))
    return np.concatenate(parts, axis=1)


def summarised(texture: dict[str, Any]) -> dict[str, Any]:
    """Return quantiles of simulated chips, and where each real one lies among them, 0-1."""
    result: dict[str, Any] = {}
    for key in texture["simulated"][0]:
        values = np.array([chip[key] for chip in texture["simulated"]])
        values = values[np.isfinite(values)]
        places = {
            name: {"value": chip[key], "rank": float((values < chip[key]).mean())}
            for name, chip in texture["real"].items()
        }
        result[key] = {"simulated": np.quantile(values, _QUANTILES).tolist(), "real": places}
    return result


def rounded(figures: Any) -> Any:
    """Return figures with three decimals, in whatever they are nested."""
    if isinstance(figures, dict):
        return {key: rounded(value) for key, value in figures.items()}
    if isinstance(figures, list):
        return [rounded(value) for value in figures]
    return round(figures, 3) if isinstance(figures, float) else figures


_TILE = 112


def draw_chips(real: list[Scene], simulated: list[Scene], path: Path) -> None:
    """Draw real chips in the first row and simulated ones below, VV on the left of VH."""
    rows = [[_grey(scene) for scene in real]]
    chosen = [scene for scene in simulated if np.isfinite(scene.decibel).mean() > 0.9]
    rows += [[_grey(scene) for scene in chosen[5 * row : 5 * row + 5]] for row in range(3)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    Image.fromarray(sheet).quantize(20).save(path, optimize=True)


def _grey(scene: Scene) -> np.ndarray:
    floors = np.array([-25.0, -32.0])[:, np.newaxis, np.newaxis]
    share = np.clip((np.nan_to_num(scene.decibel, nan=-99) - floors) / 25, 0, 1)
    tile = np.concatenate(list((255 * share).astype(np.uint8)[:, :_TILE, :_TILE]), axis=1)
    return np.pad(tile, ((0, 6), (0, 6)), constant_values=255)


def draw_statistics(real: dict[str, list[Scene]], simulated: list[Scene], path: Path) -> None:
    """Draw histograms of classes and the correlation of speckle."""
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots(2, 3)
    shown = (("terramesh", "water"), ("terramesh", "trees"), ("terramesh", "crops"),
             ("stac_overflow", "labelled water"), ("stac_overflow", "dry"))  # fmt: skip
    bins = np.arange(-38, 2, 0.5)
    for axis, (group, name) in zip(axes.flat, shown, strict=False):
        for scenes, line in ((real[group], "-"), (simulated, "--")):
            for index, colour in ((0, "C0"), (1, "C3")):
                pixels = _pixels(scenes, name)[index]
                heights, _ = np.histogram(pixels, bins, density=True)
                axis.plot(bins[:-1] + 0.25, heights, line, color=colour)
        axis.set_title(f"{name} ({group})", fontsize=9)
        axis.set_xlabel("dB", fontsize=8)
    last = axes.flat[-1]
    everyone = [scene for group in real.values() for scene in group]
    for scenes, line in ((everyone, "-"), (simulated[:60], "--")):
        lags = np.nanmedian([homogeneous(scene.decibel[0]).correlation for scene in scenes], axis=0)
        last.plot(range(1, 6), lags, "k" + line)
    last.set_title("correlation of log intensity, homogeneous ground", fontsize=9)
    last.set_xlabel("lag, px", fontsize=8)
    labels = ("VV real", "VV simulated", "VH real", "VH simulated")
    handles = [axes.flat[0].lines[number] for number in (0, 2, 1, 3)]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
