"""What can't become a map is refused before anything runs."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from floodloom.errors import InputError, RecipeMismatchError
from floodloom.prepare.checks import (
    datum_of_elevations,
    require_alike,
    require_known_to_model,
    shares_seen_before,
)
from floodloom.prepare.settings import OwnFiles
from floodloom.raster.recipe import Recipe
from floodloom.sentinel1.settings import BackscatterSettings
from tests.prepare.scenes import scene

AFTER = [scene(box=(10, 45, 11, 46))]
NOTHING = BackscatterSettings()
GAMMA0 = Recipe(quantity="gamma0", noise_removed=True, spacing=10.0)


@pytest.mark.parametrize(
    ("before", "box", "share"),
    [
        ((10.5, 45, 11.5, 46), None, 0.5),
        ((10.5, 45, 11.5, 46), (10.4, 45, 10.6, 45.2), 0.5),
        ((10.5, 45, 11.5, 46), (10.6, 45.2, 10.8, 45.4), 1.0),
        ((370, 45, 371, 46), None, 1.0),
    ],
)
def test_the_share_of_the_map_that_was_seen_before(before, box, share: float) -> None:
    found = shares_seen_before(AFTER, [[scene("b.SAFE", box=before)]], box)
    assert found == [pytest.approx(share)]


@pytest.mark.parametrize(
    ("before", "box", "said"),
    [
        (scene("b.SAFE", box=(12, 45, 13, 46)), None, "b.SAFE: no overlap with after.SAFE"),
        (scene("b.SAFE"), (20, 45, 21, 46), "after.SAFE: shows nothing of the area"),
        (
            scene("b.SAFE", box=(10.5, 45, 11.5, 46)),
            (10.1, 45, 10.2, 46),
            "b.SAFE: no overlap",
        ),
        (scene("b.SAFE", orbit_direction="DESCENDING"), None, "b.SAFE: taken descending"),
    ],
)
def test_scenes_that_cannot_be_compared_are_refused(before, box, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shares_seen_before(AFTER, [[before]], box)


def test_scenes_of_several_kinds_are_refused() -> None:
    with pytest.raises(InputError, match=r"g.tif: terrain-corrected by others, but after.SAFE"):
        require_alike([*AFTER, scene("g.tif", recipe=GAMMA0)], NOTHING)
    sigma0 = scene("s.tif", recipe=GAMMA0.model_copy(update={"quantity": "sigma0"}))
    with pytest.raises(RecipeMismatchError, match="quantity"):
        require_alike([scene("g.tif", recipe=GAMMA0), sigma0], NOTHING)


def test_polarisations_that_the_model_has_never_seen_are_refused() -> None:
    require_alike([scene(polarisations=("vh",))], NOTHING)
    with pytest.raises(InputError, match=r"after.SAFE: has hh, hv alone"):
        require_alike([scene(polarisations=("hh", "hv"))], NOTHING)


def test_what_the_model_does_not_know_is_refused() -> None:
    require_known_to_model(GAMMA0.model_copy(update={"flattened": True, "spacing": 30.0}), "a.tif")
    for unknown in ({"quantity": "beta0"}, {"spacing": 90.0}):
        with pytest.raises(RecipeMismatchError, match=next(iter(unknown))):
            require_known_to_model(GAMMA0.model_copy(update=unknown), "a.tif")


def elevations(path: Path, crs: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    where = from_origin(10, 46, 0.01, 0.01)
    with rasterio.open(path, "w", "GTiff", 8, 8, 1, crs, where, dtype="float32") as raster:
        raster.write(np.full((1, 8, 8), 100, np.float32))
    return path


@pytest.mark.parametrize(
    ("name", "crs", "stated", "setting", "datum"),
    [
        ("dem.tif", "EPSG:4326", None, "ellipsoid", "ellipsoid"),
        ("dem.tif", "EPSG:4326", "egm96", "egm96", "egm96"),
        ("Copernicus_DSM_COG_10_N45_00_E010_00_DEM.tif", "EPSG:4326", None, "egm2008", "egm2008"),
        ("tiles/N45E010.SRTMGL1.tif", "EPSG:4326", None, "egm96", "egm96"),
        ("dem.tif", "EPSG:4326+5773", None, None, "egm96"),
    ],
)
def test_heights_are_known_by_the_crs_or_the_name(
    tmp_path, monkeypatch, name, crs, stated, setting, datum
) -> None:
    monkeypatch.setattr("floodloom.prepare.checks.require_datum", lambda datum: None)
    file = elevations(tmp_path / name, crs)
    dem = file.parent if "/" in name else file
    files = OwnFiles(scenes=("a.SAFE",), dem=dem, dem_heights=stated)
    assert datum_of_elevations(files)[:2] == (setting, datum)
