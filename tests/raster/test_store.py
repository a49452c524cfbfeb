import dask.array as da
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the `.rio` accessor
import xarray as xr
from odc.geo.xr import wrap_xr
from rio_cogeo import cog_validate

from floodloom.errors import InputError, RecipeMismatchError
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, recipe_of, stamp, write_cog, write_store

GRID = grid_from_bounds((400000, 5000000, 412340, 5010020), 32633, 20.0)
RECIPE = Recipe(quantity="gamma0", noise_removed=True, spacing=20.0)


def scene(chunks: int | None = None) -> xr.Dataset:
    shape = tuple(GRID.shape.yx)
    power = np.random.default_rng(1).gamma(4.0, 0.02, shape).astype("float32")
    power[:7, :9] = np.nan
    data = power if chunks is None else da.from_array(power, chunks=chunks)
    return stamp(xr.Dataset({"vv": wrap_xr(data, GRID)}), RECIPE)


@pytest.mark.parametrize("chunks", [None, 100, 333])
def test_store_gives_back_what_was_written(tmp_path, chunks: int | None) -> None:
    write_store(scene(chunks), tmp_path / "s.zarr", chunk=128, shard=256)
    read = open_store(tmp_path / "s.zarr")
    np.testing.assert_array_equal(read.vv.values, scene().vv.values)
    assert read.vv.chunks is not None
    assert read.odc.geobox == GRID
    assert read.rio.crs.to_epsg() == 32633
    assert recipe_of(read) == RECIPE
    assert read.attrs["fingerprint"] == RECIPE.fingerprint


def test_whole_rows_of_chunks_are_one_chunk_of_dask(tmp_path) -> None:
    write_store(scene(), tmp_path / "s.zarr", chunk=128, shard=256)
    read = open_store(tmp_path / "s.zarr", whole_rows=True)
    assert read.vv.chunks == ((128, 128, 128, 117), (617,))
    np.testing.assert_array_equal(read.vv.values, scene().vv.values)


def test_failed_write_leaves_the_old_store_and_no_leftovers(tmp_path) -> None:
    write_store(scene(), tmp_path / "s.zarr")

    def fail(block: np.ndarray) -> np.ndarray:
        raise OSError("disk full")

    bad = scene(200)
    bad["vv"] = bad.vv.copy(
        data=bad.vv.data.map_blocks(fail, dtype="float32", meta=np.empty((0, 0)))
    )
    with pytest.raises(OSError, match="disk full"):
        write_store(bad, tmp_path / "s.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]
    assert open_store(tmp_path / "s.zarr").vv.notnull().any()


def test_missing_store_and_foreign_folder_are_refused(tmp_path) -> None:
    (tmp_path / "folder.zarr").mkdir()
    for name in ("none.zarr", "folder.zarr"):
        with pytest.raises(InputError, match=name):
            open_store(tmp_path / name)


def test_cog_is_valid_and_keeps_its_facts(tmp_path) -> None:
    classes = np.random.default_rng(0).integers(0, 4, tuple(GRID.shape.yx)).astype("uint8")
    path = write_cog(
        classes,
        tmp_path / "map.tif",
        geobox=GRID,
        nodata=255,
        descriptions=("class",),
        colormap={2: (1, 2, 3, 255)},
        tags={"FLOODLOOM_PRODUCT": "flood_map"},
    )
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), classes)
        assert raster.nodata == 255
        assert raster.descriptions == ("class",)
        assert raster.colormap(1)[2] == (1, 2, 3, 255)
        assert raster.overviews(1) == [2]
        assert raster.tags()["FLOODLOOM_PRODUCT"] == "flood_map"
        assert raster.crs.to_epsg() == 32633


def test_recipes_that_differ_name_the_field() -> None:
    inputs = RECIPE.for_inputs(("vv", "vh"))
    inputs.require_scene(RECIPE, "scene")
    with pytest.raises(RecipeMismatchError, match=r"s\.zarr: spacing is 10\.0 but 20\.0"):
        inputs.require_scene(RECIPE.model_copy(update={"spacing": 10.0}), "s.zarr")
    with pytest.raises(RecipeMismatchError, match="bands"):
        inputs.require_inputs(RECIPE.for_inputs(("vh", "vv")), "t.zarr")
    assert inputs.fingerprint != RECIPE.fingerprint
    assert Recipe.model_validate_json(inputs.model_dump_json()) == inputs
