"""From points and lines that somebody set to the scores of a model, by the workflow."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy.ndimage import gaussian_filter
from shapely.geometry import LineString, Point

from floodloom.arrays import IGNORE
from floodloom.learning.checkpoint import read_metadata
from floodloom.tiles.annotator import clicks, scribbles
from floodloom.tiles.store import open_tiles
from tests.compiled import link_compiled
from tests.workflow.conftest import project, snakemake, snakemake_anew, write_config

pytestmark = pytest.mark.xdist_group("workflow")
SIDE, TILE = 256, 64
PLACE = Affine(10.0, 0, 500000.0, 0, -10.0, 5100000.0)


def write_raster(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    facts = {"width": SIDE, "height": SIDE, "count": 1, "dtype": values.dtype}
    with rasterio.open(path, "w", "GTiff", transform=PLACE, crs="EPSG:32633", **facts) as raster:
        raster.write(values, 1)


def write_chip(folder: Path, name: str, seed: int) -> np.ndarray:
    """A chip of dark water under speckle, and its truth, which isn't written."""
    draw = np.random.default_rng(seed)
    field = gaussian_filter(draw.normal(size=(SIDE, SIDE)), 6)
    water = field > np.quantile(field, 0.6)
    for band, land in (("vv", -10.0), ("vh", -16.0)):
        speckle = 10 * np.log10(draw.gamma(4.4, 1 / 4.4, (SIDE, SIDE)))
        write_raster(folder / band / f"{name}.tif", (land - 8 * water + speckle).astype("float32"))
    return water.astype(np.uint8)


def write_features(path: Path, sparse: np.ndarray, *, lines: bool) -> None:
    """Write labelled pixels as points, or those of a column each as an upright line."""
    path.parent.mkdir(exist_ok=True)
    known = np.argwhere(sparse != IGNORE)
    features = {
        "class": [["dry", "flood"][sparse[row, col]] for row, col in known],
        "geometry": [
            LineString([PLACE @ (col + 0.5, row + 0.3), PLACE @ (col + 0.5, row + 0.7)])
            if lines
            else Point(PLACE @ (col + 0.5, row + 0.5))
            for row, col in known
        ],
    }
    gpd.GeoDataFrame(features, crs="EPSG:32633").to_crs(4326).to_file(path)


def test_festa_learns_from_points_and_lines(tmp_path: Path) -> None:
    """All that is learnt from is sparse; what is scored is the eastern ground of all chips."""
    folder = project(tmp_path / "project")
    link_compiled(folder / "src" / "floodloom")
    data = folder / "data"
    data.mkdir()
    truth = [write_chip(data, f"chip{number}", number) for number in range(3)]
    random = np.random.default_rng(0)
    sparse = [clicks(80)(truth[0], random), scribbles(12)(truth[1], random)]
    for number, label in enumerate(sparse):
        write_features(data / "labels" / f"chip{number}.gpkg", label, lines=number == 1)
    truth[2][:, : 3 * TILE] = IGNORE
    write_raster(data / "labels" / "chip2.tif", truth[2])
    write_config(
        folder,
        {
            "run": {"name": "few", "models": ["unet"], "seeds": [0], "rounds": 0},
            "dataset": "folder",
            "data_root": "data",
            "events": {"chips": {"split": "blocks"}},
            "tile": {"size": TILE},
            "train": {"loss": "festa", "width": 4, "epochs": 8, "batch": 4, "learning_rate": 5e-3,
                      "precision": "float32"},
        },
    )  # fmt: skip
    for run in (snakemake_anew(folder, "trained"), snakemake(folder)):
        assert run.returncode == 0, run.stderr[-4000:]
    results = folder / "results" / "few"
    tiles = open_tiles(results / "tiles" / "chips.zarr")
    found = tiles.isel(tile=np.flatnonzero(tiles.scene.values == "chip0"))
    assert (found.label != IGNORE).sum() == 80
    learnt = tiles.label.values[tiles.split.values == "train"]
    assert 0 < (learnt != IGNORE).mean() < 0.05
    history = read_metadata(results / "models" / "round-0" / "unet-0.safetensors")["history"]
    assert all(np.isfinite(epoch["loss"]) for epoch in history)
    summary = json.loads((results / "evaluation" / "summary.json").read_text())
    assert summary["flood"]["iou"] > 0.6
    assert (results / "report.html").stat().st_size > 0
