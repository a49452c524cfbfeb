"""Chunks that were lost, cut short or altered are told, and never read as dry ground."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from odc.geo.xr import wrap_xr

from floodloom.arrays import IGNORE
from floodloom.errors import InputError
from floodloom.raster import store as stores
from floodloom.raster.chunks import damage
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import FLAG_ATTRS, Flag, Recipe
from floodloom.raster.store import open_store, recipe_of, stamp, write_store
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles, tile_dataset, write_tiles

GRID = grid_from_bounds((400000, 5000000, 403000, 5002400), 32633, 10.0)
RECIPE = Recipe(quantity="gamma0", noise_removed=True, spacing=10.0)


def scene() -> xr.Dataset:
    rng = np.random.default_rng(1)
    shape = tuple(GRID.shape.yx)
    bands = {name: rng.gamma(4.0, 0.02, shape).astype("float32") for name in ("vv", "vh")}
    dataset = xr.Dataset({name: wrap_xr(band, GRID) for name, band in bands.items()})
    dataset["flags"] = wrap_xr(np.zeros(shape, np.uint8), GRID)
    dataset["flags"].attrs.update(FLAG_ATTRS)
    return stamp(dataset, RECIPE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_store(scene(), tmp_path / "s.zarr", chunk=64, shard=128)


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    index = {name: [f"{name}{n}" for n in range(5)] for name in ("tile_id", "event", "scene")}
    index |= {"split": ["train"] * 5, "row": [0] * 5, "col": [0] * 5}
    image = rng.normal(size=(5, 2, 16, 16)).astype("float32")
    label = rng.integers(0, 2, (5, 16, 16)).astype("uint8")
    made = tile_dataset(image, label, index, RECIPE.for_inputs(("vv", "vh")), ("dry", "water"))
    return write_tiles(made, tmp_path / "t.zarr")


def chunks(store: Path, name: str) -> list[Path]:
    return sorted(p for p in (store / name / "c").rglob("*") if p.is_file())


def lose(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def alter(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)


def lose_all(file: Path) -> None:
    shutil.rmtree(file.parents[file.parts[::-1].index("c")])


@pytest.mark.parametrize("harm", [lose, cut, empty, lose_all])
@pytest.mark.parametrize("name", ["vv", "flags", "x"])
def test_what_is_lost_of_a_scene_is_told_on_opening(path, name: str, harm: Callable) -> None:
    harm(chunks(path, name)[-1])
    with pytest.raises(InputError, match=rf"^{path}: .*\b{name}\b.*; run the stage that made it"):
        open_store(path)


@pytest.mark.parametrize("harm", [lose, cut, empty, lose_all])
@pytest.mark.parametrize("name", ["image", "label", "split", "valid_fraction"])
def test_what_is_lost_of_tiles_is_told_on_opening(tiles, name: str, harm: Callable) -> None:
    assert open_tiles(tiles).sizes["tile"] == 5
    harm(chunks(tiles, name)[-1])
    with pytest.raises(InputError, match=rf"^{tiles}: .*\b{name}\b.*; run the stage that made it"):
        open_tiles(tiles)


@pytest.mark.parametrize("name", ["vv", "vh", "flags"])
def test_what_was_altered_is_told_by_the_stage_that_reads_it(path, tmp_path, name: str) -> None:
    """A scene of which no tile can be cut: checksums say so, as late as it is read."""
    whole = tmp_path / "whole.zarr"
    tile(scene=[path], out=whole, settings=TileSettings(size=64))
    alter(chunks(path, name)[0])
    assert damage(path) is not None
    if name == "flags":  # which no tile needs
        return
    with pytest.raises(InputError, match=rf"^{path}: {name} can't be read \(.*checksum.*\); run"):
        tile(scene=[path], out=tmp_path / "t.zarr", settings=TileSettings(size=64))
    assert not (tmp_path / "t.zarr").exists()
    assert damage(whole) is None


@pytest.mark.parametrize("name", ["zarr.json", "vv/zarr.json", "chunks_written/zarr.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"zarr_format": 7}', "\\x00"])
def test_metadata_that_can_not_be_read_is_one_line(path, name: str, text: str) -> None:
    (path / name).write_text(text)
    with pytest.raises(InputError, match=rf"^{path}: .*; run the stage that made it again$"):
        open_store(path)


def test_a_recipe_that_can_not_be_read_is_one_line(path) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["recipe"] = '{"quantity": 3}'
    (path / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="its recipe can't be read"):
        recipe_of(open_store(path))


def test_chunks_that_are_not_there_read_as_no_data(path, tiles) -> None:
    """For those who read the store with other programs, which count nothing."""
    for store in (path, tiles):
        shutil.rmtree(store / "chunks_written")
    for store, name in ((path, "vv"), (path, "flags"), (tiles, "image"), (tiles, "label")):
        for file in chunks(store, name):
            file.unlink()
    assert np.isnan(open_store(path).vv.values).all()
    assert (open_store(path).flags.values == Flag.NODATA).all()
    assert np.isnan(open_tiles(tiles).image.values).all()
    assert (open_tiles(tiles).label.values == IGNORE).all()


def test_an_older_store_is_read_as_it_is(tmp_path, monkeypatch) -> None:
    new = write_store(scene(), tmp_path / "new.zarr", chunk=64, shard=128)

    def as_before(variable: xr.Variable, chunk: int, shard: int) -> dict:
        found = encoding(variable, chunk, shard)
        found.pop("fill_value", None)
        return {**found, "compressors": found["compressors"][:1]}

    encoding = stores._encoding
    monkeypatch.setattr(stores, "_encoding", as_before)
    monkeypatch.setattr(stores, "note_chunks", lambda store: None)
    old = write_store(scene(), tmp_path / "old.zarr", chunk=64, shard=128)
    assert not chunks(old, "flags")  # all of them 0, so that none was written
    assert open_store(old).load().identical(open_store(new).load())
