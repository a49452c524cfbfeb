"""Backscatter of others that contradicts what is stated of it, or whose meaning can't be known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine

from .harness import Trial
from .making import geotiff, vrt

NAME = "x_vv.tif"
SIDE = 96
POWER = np.random.default_rng(0).gamma(4.4, 0.02, (SIDE, SIDE)).astype("float32")
DECIBEL = 10 * np.log10(POWER)
AMPLITUDE = np.sqrt(POWER)
DN = np.round(AMPLITUDE * 1000).astype("uint16")

Make = Callable[[Path], object]
Words = tuple[str, ...]
Case = tuple[Make, Words, Words]


def one(numbers: Any, **facts: Any) -> Make:
    """One band under a name that states its polarisation."""
    return lambda folder: geotiff(folder / NAME, numbers, **facts)


def two(**facts: Any) -> Make:
    """Two bands under a name that states nothing."""

    def make(folder: Path) -> None:
        descriptions = facts.pop("descriptions", None)
        path = geotiff(folder / "x.tif", np.stack([DECIBEL, DECIBEL - 7]), **facts)
        if descriptions:
            with rasterio.open(path, "r+") as raster:
                raster.descriptions = descriptions

    return make


def scaled(folder: Path) -> None:
    path = geotiff(folder / NAME, np.round(DECIBEL * 100).astype("int16"))
    with rasterio.open(path, "r+") as raster:
        raster.scales = (0.01,)


def on_other_grids(folder: Path) -> None:
    geotiff(folder / "x_vv.tif", DECIBEL)
    geotiff(folder / "x_vh.tif", DECIBEL, corner=(450010.0, 5081000.0))


def named_otherwise(folder: Path) -> None:
    path = geotiff(folder / NAME, DECIBEL)
    with rasterio.open(path, "r+") as raster:
        raster.descriptions = ("VH",)


def of_two_scenes(folder: Path) -> None:
    for name in ("a_vv.tif", "b_vv.tif"):
        geotiff(folder / name, DECIBEL)


def placed_by(affine: Affine, crs: str | None) -> Make:
    def make(folder: Path) -> None:
        facts = {"height": SIDE, "width": SIDE, "count": 1, "dtype": "float32"}
        with rasterio.open(
            folder / NAME, "w", driver="GTiff", crs=crs, transform=affine, **facts
        ) as raster:
            raster.write(DECIBEL, 1)

    return make


def points_on_a_line(folder: Path) -> None:
    points = [
        rasterio.control.GroundControlPoint(row, row, 15 + row / 1e4, 46 + row / 1e4)
        for row in (0, 20, 40, 60, 80)
    ]
    with rasterio.open(
        folder / NAME, "w", driver="GTiff", height=SIDE, width=SIDE, count=1, dtype="float32",
        gcps=points, crs="EPSG:4326",
    ) as raster:  # fmt: skip
        raster.write(DECIBEL, 1)


def store(folder: Path, values: Any, dims: Words, **facts: Any) -> None:
    axes = {"y": 5.1e6 - 10 * np.arange(SIDE), "x": 5e5 + 10 * np.arange(SIDE)}
    xr.Dataset({"vv": (dims, values)}, coords=axes).to_zarr(
        folder / "x.zarr", zarr_format=2, consolidated=False, **facts
    )


def of_several_days(folder: Path) -> None:
    store(folder, np.stack([DECIBEL] * 3), ("time", "y", "x"))


def pickled(folder: Path) -> None:
    store(folder, DECIBEL, ("y", "x"))
    file = folder / "x.zarr" / "vv" / ".zarray"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "filters": [{"id": "pickle"}]}))


def linked(folder: Path) -> None:
    store(folder, DECIBEL, ("y", "x"))
    chunk = next((folder / "x.zarr" / "vv").glob("[0-9]*"))
    chunk.rename(folder.parent / "beside" / "chunk")
    chunk.symlink_to(folder.parent / "beside" / "chunk")


def named_outside(folder: Path) -> None:
    beside = geotiff(folder.parent / "beside" / "other_vv.tif", DECIBEL)
    (folder / "x_vv.vrt").write_text(vrt(beside, SIDE, SIDE, "Float32"))


def warped(folder: Path) -> None:
    (folder / "x_vv.vrt").write_text(
        f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}" subClass="VRTWarpedDataset"/>'
    )


DB = ("--scale", "db")
SIGMA0 = ("--quantity", "sigma0")
ON_MAP = Affine(10, 0, 450000, 0, -10, 5081000)
IN_DEGREES = Affine(1e-4, 0, 15, 0, -1e-4, 46)
CASES: dict[str, Case] = {
    "decibel stated to be power": (
        one(DECIBEL), ("--scale", "power", *SIGMA0), ("stated is power", "negative", "decibel?"),
    ),
    "decibel stated to be amplitude": (
        one(DECIBEL), ("--scale", "amplitude", *SIGMA0), ("stated is amplitude", "decibel?"),
    ),
    "decibel stated to be digital numbers": (
        one(DECIBEL), ("--scale", "dn"), ("stated is dn", "decibel?"),
    ),
    "power stated to be decibel": (one(POWER), (*DB, *SIGMA0), ("stated is decibel", "linear?")),
    "hundredths of a decibel without their factor": (
        one(np.round(DECIBEL * 100).astype("int16")), (*DB, *SIGMA0), ("scale_factor",),
    ),
    "ten thousandths of power without their factor": (
        one(np.round(POWER * 1e4).astype("uint16")),
        ("--scale", "power", *SIGMA0),
        ("scale_factor",),
    ),
    "digital numbers stated to be amplitude": (
        one(DN), ("--scale", "amplitude", *SIGMA0), ("scale_factor",),
    ),
    "digital numbers stated to be sigma0": (
        one(DN), ("--scale", "dn", *SIGMA0), ("digital numbers are no sigma0", "calibrate"),
    ),
    "a factor beside that of the file": (
        scaled, (*DB, *SIGMA0, "--scale-factor", "0.01"), ("scale and offset", "scale_factor"),
    ),
    "no factor": (one(DECIBEL), (*DB, *SIGMA0, "--scale-factor", "0"), ("scale_factor", "0")),
    "8 bits of a display": (
        one(np.clip((DECIBEL + 25) * 10, 0, 255).astype("uint8")),
        (*DB, *SIGMA0),
        ("8 bits", "display"),
    ),
    "decibel clipped to -25 and 0": (
        one(np.clip(DECIBEL - 12, -25, 0)), (*DB, *SIGMA0), ("exactly -25 dB", "display"),
    ),
    "unsigned numbers wrapped into signed ones": (
        one((DN.astype("uint32") * 60 % 65536).astype("uint16").view("int16")),
        ("--scale", "dn"),
        ("negative", "unsigned"),
    ),
    "power, amplitude or else": (one(POWER), SIGMA0, ("nothing states", "`scale`")),
    "whole numbers of nobody knows what": (one(DN), SIGMA0, ("nothing states", "`scale`")),
    "sigma0, gamma0 or beta0": (one(DECIBEL), DB, ("nothing states", "`quantity`")),
    "two quantities": (
        two(descriptions=("Sigma0_VV", "Gamma0_VH")), (), ("sigma0", "gamma0", "`quantity`"),
    ),
    "two bands called bands": (
        two(descriptions=("bands", "bands")), (*DB, *SIGMA0), ("'bands'", "`bands`"),
    ),
    "a band that isn't there": (
        two(), (*DB, *SIGMA0, "--bands.vv", "3"), ("vv is stated to be 3", "no band"),
    ),
    "a description that isn't there": (
        two(descriptions=("a", "b")), (*DB, *SIGMA0, "--bands.vv", "c"), ("'c'", "'a'", "'b'"),
    ),
    "a description that two have": (
        two(descriptions=("a", "a")), (*DB, *SIGMA0, "--bands.vv", "a"), ("2 bands",),
    ),
    "one band for two polarisations": (
        two(), (*DB, *SIGMA0, "--bands.vv", "1", "--bands.vh", "1"), ("two polarisations",),
    ),
    "a polarisation that nobody has": (
        two(), (*DB, *SIGMA0, "--bands.rr", "1"), ("'rr'", "vv, vh, hh, hv"),
    ),
    "a name and a description": (named_otherwise, (*DB, *SIGMA0), ("states vv", "'VH'")),
    "bands on other grids": (on_other_grids, (*DB, *SIGMA0), ("x_vh.tif", "another grid")),
    "two scenes": (of_two_scenes, (*DB, *SIGMA0), ("2 products", "a_vv.tif")),
    "everything stated to be no data": (
        one(np.full((SIDE, SIDE), -12, "float32")),
        (*DB, *SIGMA0, "--nodata", "-12"),
        ("no data", "-12"),
    ),
    "an identity under degrees": (
        placed_by(Affine.identity(), "EPSG:4326"), (*DB, *SIGMA0), ("no place",),
    ),
    "degrees without a CRS": (
        placed_by(IN_DEGREES, None), (*DB, *SIGMA0), ("no CRS", "EPSG:4326"),
    ),
    "metres without a CRS": (placed_by(ON_MAP, None), (*DB, *SIGMA0), ("no CRS", "of its map")),
    "metres under degrees": (
        placed_by(ON_MAP, "EPSG:4326"), (*DB, *SIGMA0), ("in degrees", "metres?"),
    ),
    "degrees under metres": (
        placed_by(IN_DEGREES, "EPSG:32633"), (*DB, *SIGMA0), ("degrees taken for metres?",),
    ),
    "control points on a line": (points_on_a_line, (*DB, *SIGMA0), ("control points",)),
    "complex numbers": (one(DECIBEL.astype("complex64")), (*DB, *SIGMA0), ("complex",)),
    "several days": (of_several_days, (*DB, *SIGMA0), ("time", "`bands`")),
    "a store that runs what it holds": (pickled, (*DB, *SIGMA0), ("'pickle'",)),
    "a store of links": (linked, (*DB, *SIGMA0), ("link",)),
    "a VRT of a file elsewhere": (
        named_outside, (*DB, *SIGMA0), ("lies outside of its folder",),
    ),
    "a VRT that warps": (warped, (*DB, *SIGMA0), ("VRTWarpedDataset",)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_contradicts_itself_is_refused(name: str, trial: Trial) -> None:
    make, options, words = CASES[name]
    make(trial.given)
    (trial.given / "readme.txt").write_text("not a raster")
    found = [path for path in trial.given.iterdir() if path.suffix != ".txt"]
    scene = found[0] if len(found) == 1 else trial.given
    trial.refuses("geocode", "--scene", scene, "--out", trial.out / "g.zarr", *options, words=words)
