"""The chips of Sen1Floods11, which lie in degrees, in their published layout and split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.datasets import sen1floods11, sen1floods11_weak
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store, recipe_of
from floodloom.stages.ingest import ingest
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles, refuse_leaks

SIDE = 512
NAME = "Bolivia_103757"
STEP = 8.983152841195215e-05  # degrees: 10 m along a meridian
GRID = GeoBox((SIDE, SIDE), Affine(STEP, 0, -65.0, 0, -STEP, -14.0), "EPSG:4326")


def write(path: Path, bands: np.ndarray, **facts) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=SIDE, width=SIDE, dtype=bands.dtype,
        crs="EPSG:4326", **{"transform": GRID.affine, **facts},
    ) as raster:  # fmt: skip
        raster.write(bands)
    return path


@pytest.fixture(scope="module")
def chips(tmp_path_factory) -> tuple[Path, np.ndarray, np.ndarray]:
    """Folder of a chip as it is published, its bands in decibel, and its label."""
    root = tmp_path_factory.mktemp("v1.1")
    draw = np.random.default_rng(0)
    label = np.zeros((SIDE, SIDE), "int16")
    label[100:300, 200:400] = 1
    label[:40] = -1
    decibel = np.stack([draw.normal(-9, 2, label.shape), draw.normal(-16, 2, label.shape)])
    decibel[:, label == 1] -= 9
    decibel = decibel.astype("float32")
    decibel[:, :20] = np.nan
    decibel[:, 20:30, :50] = 0
    hand = root / "data" / "flood_events" / "HandLabeled"
    write(hand / "S1Hand" / f"{NAME}_S1Hand.tif", decibel)
    write(hand / "LabelHand" / f"{NAME}_LabelHand.tif", label[np.newaxis])
    list_chips(root, bolivia=[NAME])
    return root, decibel, label


def list_chips(root: Path, **splits: list[str]) -> None:
    """Write the four tables of the split."""
    tables = root / "splits" / "flood_handlabeled"
    tables.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test", "bolivia"):
        lines = [f"{name}_S1Hand.tif,{name}_LabelHand.tif\n" for name in splits.get(split, [])]
        (tables / f"flood_{split}_data.csv").write_text("".join(lines))


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


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """Folder of hand-labelled chips of every split, and of weakly labelled ones."""
    root = tmp_path_factory.mktemp("v1.1")
    events = root / "data" / "flood_events"
    chips = {
        ("HandLabeled", "S1Hand", "LabelHand"): ("Ghana_1", "India_2", "Spain_3", "Bolivia_4"),
        ("WeaklyLabeled", "S1Weak", "S2IndexLabelWeak"): ("Ghana_5", "Bolivia_6"),
    }
    decibel, label = np.full((2, SIDE, SIDE), -9, "float32"), np.zeros((1, SIDE, SIDE), "int16")
    for (folder, radar, labels), names in chips.items():
        for name in names:
            place = int(name[-1]) * SIDE * STEP
            transform = Affine(STEP, 0, place, 0, -STEP, 10.0)
            write(events / folder / radar / f"{name}_{radar}.tif", decibel, transform=transform)
            label[:] = folder == "WeaklyLabeled"
            write(events / folder / labels / f"{name}_{labels}.tif", label, transform=transform)
    list_chips(root, train=["Ghana_1"], valid=["India_2"], test=["Spain_3"], bolivia=["Bolivia_4"])
    return root


def parts(adapter, root: Path) -> dict[str, tuple[str, str, int]]:
    """Event, split and label of every scene."""
    found = {scene.name: scene for scene in adapter.scenes(root)}
    return {n: (s.event, s.split, int(s.label[0, 0])) for n, s in found.items()}


def test_chips_are_split_as_published_and_bolivia_stands_apart(published) -> None:
    assert parts(sen1floods11.DATASET, published) == {
        "Ghana_1": ("", "train", 0),
        "India_2": ("", "validation", 0),
        "Spain_3": ("", "test", 0),
        "Bolivia_4": ("Bolivia", "test", 0),
    }


def test_weak_labels_train_and_hand_labels_score(published) -> None:
    assert parts(sen1floods11_weak.DATASET, published) == {
        "Ghana_5": ("", "train", 2),
        "India_2": ("", "validation", 0),
        "Spain_3": ("", "test", 0),
        "Bolivia_4": ("Bolivia", "test", 0),
    }


def test_the_published_split_reaches_the_tiles(published, tmp_path) -> None:
    settings = {"dataset": "sen1floods11", "root": published, "size": 512, "event": "hand"}
    tiles = open_tiles(
        tile(out=tmp_path / "b.zarr", settings=TileSettings(**settings, split="blocks"))
    )
    columns = (tiles.scene.values, tiles.event.values, tiles.split.values)
    found = {scene: (event, split) for scene, event, split in zip(*columns, strict=True)}
    assert found == {
        "Ghana_1": ("hand", "train"),
        "India_2": ("hand", "validation"),
        "Spain_3": ("hand", "test"),
        "Bolivia_4": ("Bolivia", "test"),
    }
    refuse_leaks(tiles)
    tiles = open_tiles(
        tile(out=tmp_path / "t.zarr", settings=TileSettings(**settings, split="train"))
    )
    assert set(tiles.split.values) == {"train"}


def test_a_chip_that_no_table_lists_is_refused(chips, tmp_path) -> None:
    root, *_ = chips
    with pytest.raises(InputError, match=r"no table lists chip Peru_1; fetch the tables again"):
        sen1floods11.hand_split(root, "Peru_1")
    with pytest.raises(InputError, match=r"splits/flood_handlabeled: Sen1Floods11 not found"):
        sen1floods11.hand_split(tmp_path, NAME)
