"""The chips of Kuro Siwo, in the layout that its authors' code reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from floodloom.datasets import kuro_siwo
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import recipe_of
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles

SIDE = 224
CHIP = "e2eb30d2c5eb52669c5e6a9db8973835"
TRAINING, VALIDATION, TEST = 1111011, 514, 1111013


def write_chip(root: Path, activation: int, area: str = "01", chip: str = CHIP) -> Path:
    folder = root / "data" / str(activation) / area / chip
    folder.mkdir(parents=True)
    named = "NA" if area.startswith("00") else area
    label = np.zeros((SIDE, SIDE), "uint8")
    label[:50], label[50:100], label[100:110] = 1, 2, 3
    valid = np.ones((SIDE, SIDE), "uint8")
    valid[:, :20] = 0
    images = {
        "MS1_IVV": ("20170504", np.where(label == 2, 0.01, 0.1).astype("float32")),
        "MS1_IVH": ("20170504", np.where(label == 2, 0.002, 0.02).astype("float32")),
        "SL1_IVV": ("20170422", np.full((SIDE, SIDE), 0.1, "float32")),
        "SL1_IVH": ("20170422", np.full((SIDE, SIDE), 0.02, "float32")),
        "MK0_MLU": ("20170504", label),
        "MK0_MNA": ("20170504", valid),
    }
    for what, (day, values) in images.items():
        if values.dtype.kind == "f":
            values[:, :10] = 0
        with rasterio.open(
            folder / f"{what}_{activation}_{named}_{day}.tif", "w", driver="GTiff", count=1,
            height=SIDE, width=SIDE, dtype=values.dtype, crs="EPSG:3857",
            transform=Affine(10, 0, -10003405, 0, -10, 4730925 + activation * SIDE * 10 % 10**6),
        ) as raster:  # fmt: skip
            raster.write(values, 1)
    return folder


def test_a_chip_is_a_scene_with_labels_and_the_scene_before(tmp_path) -> None:
    write_chip(tmp_path, TEST)
    found = kuro_siwo.DATASET.scene(tmp_path, f"{TEST}_01_{CHIP}")
    np.testing.assert_allclose(found.scene.vv[50:100, 10:], 0.01)
    np.testing.assert_allclose(found.before.vv[:, 10:], 0.1)
    assert found.scene.vv[:, :10].isnull().all()
    expected = np.full((SIDE, SIDE), 255)
    expected[:50, 20:], expected[50:100, 20:], expected[110:, 20:] = 1, 2, 0
    np.testing.assert_array_equal(found.label, expected)
    assert geobox_of(found.scene).crs.to_epsg() == 3857
    recipe = recipe_of(found.scene)
    assert (recipe.quantity, recipe.speckle_filter) == ("sigma0", "lee_sigma-7")
    assert found.scene.attrs["acquisition_time"] == "2017-05-04"
    assert (found.event, found.split) == (str(TEST), "test")


def test_activations_are_split_as_published_and_unlabelled_chips_left_out(tmp_path) -> None:
    root = tmp_path / "root"
    for activation in (TRAINING, VALIDATION, TEST):
        write_chip(root, activation)
    write_chip(root, TRAINING, "00/e2", "e2" * 16)
    settings = TileSettings(
        dataset="kuro-siwo", root=root, size=SIDE, split="blocks", event="e",
        bands=("vv", "before_vv"),
    )  # fmt: skip
    tiles = open_tiles(tile(out=tmp_path / "t.zarr", settings=settings))
    found = dict(zip(tiles.event.values, tiles.split.values, strict=True))
    assert found == {str(TRAINING): "train", str(VALIDATION): "validation", str(TEST): "test"}
    decibel = tiles.image.values[0, :, 60, 30]
    np.testing.assert_allclose(decibel, [(-20 + 12.5) / 17.5, (-10 + 12.5) / 17.5], atol=1e-5)


def test_a_chip_without_its_file_is_one_line(tmp_path) -> None:
    folder = write_chip(tmp_path, TRAINING)
    next(folder.glob("MS1_IVH*")).unlink()
    with pytest.raises(InputError, match=r"0 files MS1_IVH_\*\.tif, not one; fetch it again"):
        kuro_siwo.DATASET.scene(tmp_path, f"{TRAINING}_01_{CHIP}")
