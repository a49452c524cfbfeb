"""The chips of Sen1Floods11, which lie in degrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.datasets import sen1floods11
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store, recipe_of
from floodloom.stages.ingest import ingest
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles

SIDE = 512
NAME = "Bolivia_103757"
STEP = 8.983152841195215e-05  # degrees: 10 m along a meridian
GRID = GeoBox((SIDE, SIDE), Affine(STEP, 0, -65.0, 0, -STEP, -14.0), "EPSG:4326")


def write(path: Path, bands: np.ndarray, **facts) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=SIDE, width=SIDE, dtype=bands.dtype,
        crs="EPSG:4326", transform=GRID.affine, **facts,
    ) as raster:  # fmt: skip
        raster.write(bands)
    return path


@pytest.fixture(scope="module")
def chips(tmp_path_factory) -> tuple[Path, np.ndarray, np.ndarray]:
    """Folder of a chip as it is published, its bands in decibel, and its label."""
    root = tmp_path_factory.mktemp("sen1floods11")
    draw = np.random.default_rng(0)
    label = np.zeros((SIDE, SIDE), "int16")
    label[100:300, 200:400] = 1
    label[:40] = -1
    decibel = np.stack([draw.normal(-9, 2, label.shape), draw.normal(-16, 2, label.shape)])
    decibel[:, label == 1] -= 9
    decibel = decibel.astype("float32")
    decibel[:, :20] = np.nan
    decibel[:, 20:30, :50] = 0
    write(root / "S1Hand" / f"{NAME}_S1Hand.tif", decibel)
    write(root / "LabelHand" / f"{NAME}_LabelHand.tif", label[np.newaxis])
    water = np.zeros((1, SIDE, SIDE), "uint8")
    water[:, 150:200, 250:300] = 1
    write(root / "JRCWaterHand" / f"{NAME}_JRCWaterHand.tif", water)
    return root, decibel, label


def test_a_chip_in_degrees_is_a_scene_with_y_and_x(chips) -> None:
    root, decibel, label = chips
    found = sen1floods11.DATASET.scene(root, NAME)
    missing = np.isnan(decibel[0]) | (decibel[0] == 0)
    for band, values in zip(("vv", "vh"), decibel, strict=True):
        assert found.scene[band].dims == ("y", "x")
        expected = np.where(missing, np.nan, 10 ** (values / 10))
        np.testing.assert_allclose(found.scene[band].values, expected, rtol=1e-5)
    grid = geobox_of(found.scene)
    np.testing.assert_allclose((~GRID.affine @ grid.affine)[:6], (1, 0, 0, 0, 1, 0), atol=1e-6)
    recipe = recipe_of(found.scene)
    assert (recipe.quantity, recipe.spacing) == ("sigma0", 10.0)
    expected = np.select([label == 0, label == 1], [0, 2], 255)
    np.testing.assert_array_equal(found.label, expected)


def test_chips_in_degrees_are_tiled_and_ingested(chips, tmp_path) -> None:
    root, _, label = chips
    settings = TileSettings(dataset="sen1floods11", root=root, size=256, split="train")
    tiles = open_tiles(tile(out=tmp_path / "t.zarr", settings=settings))
    assert tiles.sizes["tile"] == 4
    assert float(tiles.left.min()) == pytest.approx(-65.0)
    known = tiles.label.values != 255
    assert tiles.label.values[known].mean() == pytest.approx(label[40:].mean(), rel=1e-6)

    out = ingest(
        dataset="sen1floods11", root=root, scene=NAME, out=tmp_path / "s.zarr",
        labels=tmp_path / "l.tif",
    )  # fmt: skip
    assert geobox_of(open_store(out)).crs.to_epsg() == 4326
    with rasterio.open(tmp_path / "l.tif") as raster:
        np.testing.assert_allclose(raster.transform[:6], GRID.affine[:6])
        assert set(np.unique(raster.read(1))) == {0, 2, 255}
