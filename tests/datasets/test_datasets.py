"""Data sets by name: those that come along, and those of other distributions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from floodloom.adapters import ChipAdapter, Chips, SceneAdapter, chip_tiles
from floodloom.datasets import DATASETS
from floodloom.errors import InputError
from floodloom.layouts import read_image_label
from floodloom.raster.recipe import Recipe
from floodloom.stages.ingest import ingest
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles

ADAPTER = """
from pathlib import Path

import numpy as np

from floodloom.adapters import ChipAdapter, Chips
from floodloom.raster.recipe import Recipe


def chips(root: Path) -> Chips:
    return Chips(
        image=np.full((3, 1, 32, 32), 0.5, np.float32),
        label=np.ones((3, 32, 32), np.uint8),
        names=["a", "b", "c"],
        events=["flood"] * 3,
        splits=["train", "validation", "test"],
        recipe=Recipe(quantity="display").for_inputs(("vv",), normalisation="scene"),
        classes=("dry", "water"),
    )


DATASET = ChipAdapter("Other chips", "https://example.org/chips", chips)
"""
CUT = """
import sys
from pathlib import Path

from floodloom.config.load import load_config
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings

name, folder, out = sys.argv[1:]
load_config({"run": {"name": "r"}, "dataset": name, "data_root": folder})
tile(out=Path(out), settings=TileSettings(dataset=name, root=Path(folder)))
"""


@pytest.mark.parametrize("dataset", sorted({*DATASETS.names} - {"folder"}))
def test_missing_data_set_says_where_it_is_published(tmp_path, dataset: str) -> None:
    with pytest.raises(InputError, match=r"not found; it is published at https://.*data_root"):
        tile(
            out=tmp_path / "t.zarr",
            settings=TileSettings(dataset=dataset, root=tmp_path / "nowhere"),
        )
    assert not (tmp_path / "t.zarr").exists()


def test_unknown_data_set_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"dataset\n.* should be 'etci2021'"):
        TileSettings(dataset="nope")


@pytest.mark.parametrize(
    ("dataset", "given"),
    [
        *(("ombria", name) for name in ("before", "labels", "optical", "dem", "checkpoint")),
        *(("etci2021", name) for name in ("labels", "optical")),
        ("etci2021", "scene"),
    ],
)
def test_a_file_that_a_data_set_has_no_use_for_is_refused(
    tmp_path: Path, dataset: str, given: str
) -> None:
    file = tmp_path / "given.tif"
    with pytest.raises(InputError) as refused:
        tile(
            out=tmp_path / "t.zarr",
            settings=TileSettings(dataset=dataset, root=tmp_path / "data"),
            **{given: [file] if given == "scene" else file},
        )
    assert str(refused.value) == (
        f"tile: --{given} {file} would not be used: data set {dataset} gives its own image bands "
        "and labels; leave it out"
    )


@pytest.mark.parametrize("name", DATASETS.names)
def test_every_adapter_says_what_it_is(name: str) -> None:
    adapter = DATASETS.load(name)
    assert isinstance(adapter, SceneAdapter | ChipAdapter)
    assert adapter.title
    assert adapter.published


def test_no_scene_is_made_of_chips(tmp_path) -> None:
    with pytest.raises(InputError, match="ombria: holds chips without a place"):
        ingest(dataset="ombria", root=tmp_path / "data", scene="a", out=tmp_path / "s.zarr")


def test_an_adapter_of_another_distribution_is_used(tmp_path) -> None:
    (tmp_path / "other_chips.py").write_text(ADAPTER)
    entry = tmp_path / "other_chips-1.0.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: other-chips\nVersion: 1.0\n")
    (entry / "entry_points.txt").write_text(
        "[floodloom.datasets]\nother-chips = other_chips:DATASET\n"
    )
    (tmp_path / "data").mkdir()
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-c", CUT, "other-chips", tmp_path / "data", tmp_path / "t.zarr"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
    tiles = open_tiles(tmp_path / "t.zarr")
    assert list(tiles.split.values) == ["train", "validation", "test"]
    np.testing.assert_array_equal(tiles.image, 0.5)


def test_any_data_set_may_know_chips_as_a_whole(tmp_path) -> None:
    table = tmp_path / "labels.csv"
    assert read_image_label(table, "a") is None
    table.write_text("chip,water\na,1\nb,0\nc,\nd,wet\n")
    assert [read_image_label(table, name) for name in "abce"] == [1, 0, 255, 255]
    with pytest.raises(InputError, match=r"labels.csv: chip d: water is 'wet'; give 1, 0, or"):
        read_image_label(table, "d")
    table.write_text("name,water\na,1\n")
    with pytest.raises(InputError, match=r"no column 'chip'; give chip and water"):
        read_image_label(table, "a")


def test_chips_known_as_a_whole_become_such_tiles() -> None:
    chips = Chips(
        image=np.zeros((3, 1, 32, 32), np.float32),
        label=np.full((3, 32, 32), 255, np.uint8),
        names=["a", "b", "c"],
        events=["flood"] * 3,
        splits=["train"] * 3,
        recipe=Recipe(quantity="display").for_inputs(("vv",), normalisation="scene"),
        classes=("dry", "water"),
        tile_label=[1, 0, 255],
    )
    assert chip_tiles(chips).tile_label.values.tolist() == [1, 0, 255]
