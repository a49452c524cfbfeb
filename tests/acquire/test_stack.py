"""An image of Sentinel-2 whose bands lie in files of their own becomes one that `tile` reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import from_bounds

from floodloom.acquire.catalogues import LAYERS, OPTICAL
from floodloom.errors import InputError
from floodloom.raster.grid import grid_from_bounds
from floodloom.sentinel2.pair import pair_optical
from floodloom.sentinel2.settings import PairingSettings
from floodloom.sentinel2.warp import optical_on_grid
from floodloom.stages.gather import gather
from tests.acquire.conftest import Server
from tests.acquire.test_window import Parts

BANDS = LAYERS[OPTICAL].assets
OF_EARTH_SEARCH = dict(
    zip(BANDS, ("blue", "green", "red", "nir", "swir16", "swir22", "scl"), strict=True)
)
OF_PLANETARY_COMPUTER = dict(
    zip(BANDS, ("B02", "B03", "B04", "B08", "B11", "B12", "SCL"), strict=True)
)
COARSE = ("swir", "swir_2", "scl")
SIDE = 1200
EPSG = 32633
BOUNDS = (504_000.0, 4_993_000.0, 505_000.0, 4_994_000.0)
PLACE = {"bounds": BOUNDS, "epsg": EPSG}


@pytest.fixture(scope="module")
def bands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of bands of 10 and 20 m, with clouds in the classification."""
    folder, chance = tmp_path_factory.mktemp("bands"), np.random.default_rng(2)
    files = {}
    for name in BANDS:
        step = 2 if name in COARSE else 1
        shape = (SIDE // step, SIDE // step)
        values = chance.integers(1100, 4000, shape)
        if name == "scl":
            values = np.where(np.arange(shape[1]) % 40 < 10, 9, 4) * np.ones(shape, int)
        files[name] = folder / f"{name}.tif"
        with rasterio.open(
            files[name], "w", driver="COG", height=shape[0], width=shape[1], count=1,
            dtype="uint8" if name == "scl" else "uint16", nodata=0, crs=f"EPSG:{EPSG}",
            transform=Affine(10 * step, 0, 500_000, 0, -10 * step, 5_000_000), blocksize=128,
        ) as raster:  # fmt: skip
            raster.write(values.astype(raster.dtypes[0]), 1)
    return files


def offer(
    server: Server, folder: Path, files: dict[str, Path], keys: dict, **stated: object
) -> Path:
    for name, path in files.items():
        server.answers[f"/{name}.tif"] = Parts(path.read_bytes())
    assets = {keys[name]: {"href": f"{server.address}/{name}.tif"} for name in files}
    properties = {"datetime": "2023-05-15T10:05:59Z", "s2:processing_baseline": "05.09", **stated}
    path = folder / "item.json"
    path.write_text(json.dumps({"id": "S2A_33T", "assets": assets, "properties": properties}))
    return path


@pytest.mark.parametrize("keys", [OF_EARTH_SEARCH, OF_PLANETARY_COMPUTER])
def test_bands_are_put_together_on_the_finest_grid(server, bands, tmp_path, keys) -> None:
    item = offer(server, tmp_path, bands, keys)
    out = gather(tiles=[str(item)], out=tmp_path / "t", asset=BANDS, stack=True, **PLACE)
    assert sorted(path.name for path in out.iterdir()) == ["S2A_33T.tif", "gathered.json"]
    with rasterio.open(out / "S2A_33T.tif") as image:
        assert image.descriptions == BANDS
        assert image.transform.a == 10
        assert image.nodata == 0
        for number, (name, path) in enumerate(bands.items(), start=1):
            with rasterio.open(path) as whole:
                window = from_bounds(*image.bounds, whole.transform)
                step = int(whole.transform.a // 10)
                rows = (np.arange(image.height) + round(window.row_off * step)) // step
                cols = (np.arange(image.width) + round(window.col_off * step)) // step
                assert np.array_equal(image.read(number), whole.read(1)[np.ix_(rows, cols)]), name
    sent = sum(server.answers[f"/{name}.tif"].sent for name in bands)
    assert sent < 0.5 * sum(path.stat().st_size for path in bands.values())


@pytest.mark.parametrize(
    ("stated", "offset"),
    [
        ({}, -1000),
        ({"earthsearch:boa_offset_applied": True}, 0),
        ({"earthsearch:boa_offset_applied": False}, -1000),
        ({"s2:processing_baseline": "02.12"}, 0),
    ],
)
def test_numbers_mean_what_the_catalogue_states(server, bands, tmp_path, stated, offset) -> None:
    item = offer(server, tmp_path, bands, OF_EARTH_SEARCH, **stated)
    out = gather(tiles=[str(item)], out=tmp_path / "t", asset=BANDS, stack=True, **PLACE)
    grid = grid_from_bounds(BOUNDS, EPSG, 10.0)
    image = optical_on_grid(out, grid)
    assert tuple(image.channel.values) == BANDS[:-1]
    with rasterio.open(bands["green"]) as whole:
        numbers = whole.read(1, window=from_bounds(*grid.boundingbox.bbox, whole.transform))
    green = image.sel(channel="green").values
    seen = np.isfinite(green)
    assert 0.5 < seen.mean() < 0.9
    expected = np.maximum(numbers.astype(float) + offset, 0) / 10_000
    np.testing.assert_allclose(green[seen], expected[seen], atol=1e-6)


def test_when_it_was_taken_decides_whether_it_stands_beside(server, bands, tmp_path) -> None:
    item = offer(server, tmp_path, bands, OF_EARTH_SEARCH)
    out = gather(tiles=[str(item)], out=tmp_path / "t", asset=BANDS, stack=True, **PLACE)
    grid = grid_from_bounds(BOUNDS, EPSG, 10.0)
    beside = pair_optical(out, grid, PairingSettings(), acquired="2023-05-14T10:05:59")
    assert beside.refused == ""
    assert beside.gap_days == pytest.approx(1.0)
    late = pair_optical(out, grid, PairingSettings(), acquired="2023-07-14T10:05:59")
    assert "60.0 days from the scene" in late.refused


def test_a_band_that_is_missing_is_one_line(server, bands, tmp_path) -> None:
    item = offer(server, tmp_path, {"green": bands["green"]}, OF_EARTH_SEARCH)
    with pytest.raises(InputError, match="no asset 'blue'; it has green"):
        gather(tiles=[str(item)], out=tmp_path / "t", asset=BANDS, stack=True, **PLACE)
    assert not (tmp_path / "t").exists()


def test_real_bands_are_put_together(server, shared_data, tmp_path) -> None:
    numbers = {"green": "B03", "nir": "B08", "swir": "B11", "scl": "SCL"}
    folder = shared_data / "conventions/s2_l2a"
    files = {name: folder / f"{number}.tif" for name, number in numbers.items()}
    item = offer(server, tmp_path, files, numbers)
    out = gather(tiles=[str(item)], out=tmp_path / "t", asset=list(numbers), stack=True)
    with rasterio.open(out / "S2A_33T.tif") as image, rasterio.open(files["green"]) as green:
        assert image.descriptions == tuple(numbers)
        fine = image.transform.a == green.transform.a
        assert not fine or np.array_equal(image.read(1), green.read(1))
        assert set(np.unique(image.read(4))) <= set(range(12))
