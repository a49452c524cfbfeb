import time
from xml.etree import ElementTree as ET

import dask.array as da
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the `.rio` accessor
import xarray as xr
from odc.geo.xr import wrap_xr
from rio_cogeo import cog_validate

from floodloom.errors import InputError, RecipeMismatchError
from floodloom.raster.cog import without_alpha, write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.recipe import Recipe
from floodloom.raster.store import open_store, recipe_of, stamp, write_store

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


def test_no_thread_writes_on_after_another_failed(tmp_path) -> None:
    ended = []

    def made(block, block_info=None):
        if block_info[0]["chunk-location"] == (0, 0):
            raise OSError("cut off")
        time.sleep(0.5)
        ended.append(block_info[0])
        return block

    blocks = da.zeros((256, 64), chunks=64, dtype="float32").map_blocks(made, dtype="float32")
    dataset = xr.Dataset({"vv": (("y", "x"), blocks)})
    with pytest.raises(OSError, match="cut off"):
        write_store(dataset, tmp_path / "s.zarr", chunk=64, shard=64)
    before = len(ended)
    assert not list(tmp_path.iterdir())
    time.sleep(0.8)
    assert len(ended) == before
    assert not list(tmp_path.iterdir())


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


PLAIN = [(dtype, n, False) for dtype in ("uint8", "uint16", "float32") for n in (1, 2, 3, 4, 5)]
COLOURED = [(dtype, n, True) for dtype in ("uint8", "uint16") for n in (1, 2)]


@pytest.mark.parametrize(("dtype", "count", "coloured"), PLAIN + COLOURED)
def test_bands_of_any_number_are_numbers(tmp_path, dtype, count, coloured) -> None:
    values = np.random.default_rng(0).integers(0, 4, (count, *GRID.shape.yx)).astype(dtype)
    colours = {2: (1, 2, 3, 255)} if coloured else None
    path = write_cog(values, tmp_path / "b.tif", geobox=GRID, nodata=255, colormap=colours)
    assert cog_validate(path, strict=True)[0]
    expected = ["palette" if coloured else "gray"] + ["undefined"] * (count - 1)
    for options in ({}, {"overview_level": 0}):
        with rasterio.open(path, **options) as raster:
            assert [band.name for band in raster.colorinterp] == expected
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(), values)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("big", ["NO", "YES"])
@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
def test_alpha_is_taken_out_of_any_tiff(tmp_path, big, endianness) -> None:
    values = np.arange(2 * 60 * 70, dtype="uint8").reshape(2, 60, 70)
    profile = {"driver": "GTiff", "count": 2, "dtype": "uint8", "height": 60, "width": 70}
    path, options = tmp_path / "a.tif", {"BIGTIFF": big, "ENDIANNESS": endianness, "ALPHA": "YES"}
    with rasterio.open(path, "w", **profile, **options, transform=GRID.affine) as raster:
        raster.write(values)
    with rasterio.open(path) as raster:
        assert raster.colorinterp[1].name == "alpha"
    without_alpha(path)
    with rasterio.open(path) as raster:
        assert raster.colorinterp[1].name == "undefined"
        np.testing.assert_array_equal(raster.read(), values)
    (tmp_path / "n.tif").write_bytes(b"no TIFF")
    with pytest.raises(InputError, match=r"n\.tif: not a TIFF"):
        without_alpha(tmp_path / "n.tif")


def test_names_and_colours_lie_beside_a_map_and_go_with_it(tmp_path) -> None:
    values = np.random.default_rng(0).integers(0, 3, (2, *GRID.shape.yx)).astype("uint8")
    names, path = ({0: "land", 2: "water"}, {1: "<a> & b"}), tmp_path / "map.tif"
    colours = {0: (9, 9, 9, 255), 2: (1, 2, 3, 255)}
    write_cog(values, path, geobox=GRID, nodata=255, colormap=colours, meanings=names)
    tables = ET.parse(tmp_path / "map.tif.aux.xml").findall("PAMRasterBand")
    rows = [[[f.text for f in row] for row in table.iter("Row")] for table in tables]
    assert rows[0] == [["0", "land", "9", "9", "9", "255"], ["2", "water", "1", "2", "3", "255"]]
    assert rows[1] == [["1", "<a> & b"]]
    style = ET.parse(tmp_path / "map.qml").getroot()
    entries = [(e.get("value"), e.get("color"), e.get("label")) for e in style.iter("paletteEntry")]
    assert entries == [("0", "#090909", "land"), ("2", "#010203", "water")]
    assert style.find("pipe/rasterrenderer").get("band") == "1"
    found = ET.parse(tmp_path / "map.sld").getroot()
    ns = {"sld": "http://www.opengis.net/sld"}
    symbolizer = found.find("sld:NamedLayer/sld:UserStyle//sld:RasterSymbolizer", ns)
    assert symbolizer.find(".//sld:SourceChannelName", ns).text == "1"
    entries = [e.attrib for e in symbolizer.find("sld:ColorMap[@type='values']", ns)]
    assert [(e["quantity"], e["color"], e["label"], e["opacity"]) for e in entries] == [
        ("0", "#090909", "land", "1"), ("2", "#010203", "water", "1"),
    ]  # fmt: skip
    for ending in ("tif.ovr", "tif.msk"):
        (tmp_path / f"map.{ending}").write_bytes(b"of the old map")
    write_cog(values, path, geobox=GRID, nodata=255)
    assert not list(tmp_path.glob("map.tif.*"))


def test_recipes_that_differ_name_the_field() -> None:
    inputs = RECIPE.for_inputs(("vv", "vh"))
    inputs.require_scene(RECIPE, "scene")
    with pytest.raises(RecipeMismatchError, match=r"s\.zarr: spacing is 10\.0 but 20\.0"):
        inputs.require_scene(RECIPE.model_copy(update={"spacing": 10.0}), "s.zarr")
    with pytest.raises(RecipeMismatchError, match="bands"):
        inputs.require_inputs(RECIPE.for_inputs(("vh", "vv")), "t.zarr")
    assert inputs.fingerprint != RECIPE.fingerprint
    assert Recipe.model_validate_json(inputs.model_dump_json()) == inputs
