"""Whatever is done to a valid file: what it is read as keeps its promises, or it is refused.

`make test` takes 100 examples of each, always the same; `make fuzz` as many as FLOODLOOM_FUZZ says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from hypothesis import HealthCheck, given, settings

from floodloom.acquire.item import Asset, read_asset
from floodloom.config.load import load_config, load_scenes
from floodloom.config.project import Config
from floodloom.config.text import check_keys, read_text
from floodloom.errors import FloodloomError, one_line
from floodloom.learning.checkpoint import load_checkpoint
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.layers import open_layers
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.geometry import image_geometry
from floodloom.sentinel1.noise import calibration_lut, parse_noise
from floodloom.sentinel1.orbit import read_orbit_file
from floodloom.sentinel1.product import open_product
from floodloom.xml import parse

from . import test_orbit
from .harness import Trial, alarm
from .making import ANNOTATION, CALIBRATION, MANIFEST, NOISE, geotiff, header, with_header
from .mutations import BYTES, MARKUP, TABLE, TEXT, XML, mutated, restructured

Result = TypeVar("Result")
EXAMPLES = int(os.environ.get("FLOODLOOM_FUZZ", "100"))
QUICK = EXAMPLES <= 100
_LONGEST = 1000

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=QUICK,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, event) -> Trial:
    """A folder for all examples of a reader."""
    return Trial(tmp_path_factory.mktemp("fuzz"), event)


def read_or_refused(place: Trial, read: Callable[[], Result]) -> Result | None:
    """Read; give nothing if it is refused in one line. Nothing else may happen."""
    before = names(place)
    try:
        with alarm():
            found = read()
    except FloodloomError as error:
        line = one_line(error)
        assert line.isprintable(), ascii(line)
        assert 0 < len(line) <= _LONGEST, line
        found = None
    assert names(place) == before
    return found


def names(place: Trial) -> list[str]:
    return sorted(str(path) for path in place.folder.rglob("*"))


def require_finite(*numbers: Any) -> None:
    for value in numbers:
        assert np.isfinite(np.asarray(value, dtype=float)).all()


def test_annotations(place: Trial) -> None:
    good = next((place.event / "after.SAFE").glob(ANNOTATION)).read_bytes()

    @fuzzed
    @given(mutated(good, XML) | mutated(good, MARKUP))
    def check(content: bytes) -> None:
        found = read_or_refused(place, lambda: parse_annotation(parse(content, "x"), "x"))
        if found is None:
            return
        assert found.lines > 0
        assert found.samples > 0
        require_finite(found.azimuth_time_interval, found.range_pixel_spacing)
        assert found.azimuth_time_interval > 0
        assert found.range_pixel_spacing > 0
        require_finite(found.orbit_time, found.orbit_position, found.grid.footprint)
        require_finite(found.conversion.origins, found.conversion.coefficients)
        assert (np.abs(found.grid.latitude) <= 90).all()
        read_or_refused(place, lambda: image_geometry(found))

    check()


def test_calibrations(place: Trial) -> None:
    good = next((place.event / "after.SAFE").glob(CALIBRATION)).read_bytes()

    @fuzzed
    @given(mutated(good, XML) | mutated(good, MARKUP))
    def check(content: bytes) -> None:
        found = read_or_refused(place, lambda: calibration_lut(parse(content, "x"), "gamma0", "x"))
        if found is None:
            return
        require_finite(found.values, found.lines, found.pixels)
        assert (found.values > 0).all()
        assert (np.diff(found.pixels) > 0).all()

    check()


def test_noises(place: Trial) -> None:
    good = next((place.event / "after.SAFE").glob(NOISE)).read_bytes()

    @fuzzed
    @given(mutated(good, XML) | mutated(good, MARKUP))
    def check(content: bytes) -> None:
        found = read_or_refused(place, lambda: parse_noise(parse(content, "x"), "x"))
        if found is None:
            return
        require_finite(found.range_lut.values, found.range_lut.pixels, found.bounds)
        assert (found.range_lut.values >= 0).all()
        require_finite(found.block_factors(np.arange(80.0)))

    check()


def test_manifests(place: Trial) -> None:
    safe = place.copy("after.SAFE", "manifest.SAFE")
    good = (safe / MANIFEST).read_bytes()

    @fuzzed
    @given(mutated(good, XML) | mutated(good, MARKUP))
    def check(content: bytes) -> None:
        (safe / MANIFEST).write_bytes(content)
        found = read_or_refused(place, lambda: open_product(safe))
        if found is not None:
            assert found.polarisations == ("vv", "vh")
            assert not np.isnat(found.start_time)
            assert 1 <= found.relative_orbit <= 175

    check()


def test_orbit_files(place: Trial) -> None:
    good = test_orbit.good(place)
    path = place.given / test_orbit.NAME
    start = np.datetime64("2023-05-14T16:58:21.500000", "ns")

    @fuzzed
    @given(mutated(good, XML) | mutated(good, MARKUP))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = read_or_refused(place, lambda: read_orbit_file(path, start))
        if found is not None:
            require_finite(*found)
            assert len(found[0]) == len(found[1]) > 0

    check()


CONFIG: dict[str, Any] = {
    "run": {"name": "x", "models": ["unet"], "seeds": [0], "rounds": 1},
    "scenes": "s.tsv",
    "events": {"e": {"split": "target", "mapped": True}, "f": {"split": "train"}},
    "geocode": {"resolution": 10.0, "epsg": 32633, "bounds": [0.0, 0.0, 1.0, 1.0]},
    "tile": {"size": 64, "bands": ["vv", "vh"]},
    "train": {"epochs": 2, "learning_rate": 0.001},
}


def valid(config: Config) -> None:
    for name in (*config.events, config.run.name):
        assert name.isprintable()
        assert 0 < len(name) <= 100
        assert not set(name) & set("/\\{}")
        assert name.strip(". ")


def test_configurations(place: Trial) -> None:
    path = place.file("c.yaml", "")

    def read() -> Config | None:
        """Snakemake parses the file first, and has its own word for what isn't YAML."""
        check_keys(path)
        try:
            content = yaml.safe_load(read_text(path, "c.yaml"))
        except (yaml.YAMLError, ValueError, TypeError):
            return None
        return load_config(content, "c.yaml")

    texts = mutated(yaml.safe_dump(CONFIG).encode(), TEXT)
    structures = restructured(CONFIG).map(lambda v: yaml.safe_dump(v, allow_unicode=True).encode())

    @fuzzed
    @given(texts | structures)
    def check(content: bytes) -> None:
        path.write_bytes(content)
        if (found := read_or_refused(place, read)) is not None:
            valid(found)

    check()


SHEET = (
    "scene\tevent\trole\tsource\tsha256\n"
    "a\te\tafter\tsimulated\t\n"
    "b\te\tbefore\thttps://host/b.zip?token=x\t\n"
    f"c\tf\tafter\thttps://host/c.zip\t{'0' * 64}\n"
).encode()


def test_scene_sheets(place: Trial) -> None:
    config, path = load_config(CONFIG), place.file("s.tsv", "")

    @fuzzed
    @given(mutated(SHEET, TABLE))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = read_or_refused(place, lambda: load_scenes(config, place.given))
        for name, scene in (found or {}).items():
            assert name == scene.name
            assert scene.event in config.events
            assert scene.role in ("before", "after")
            assert not set(name) & set("/\\{}\n\0")
            assert scene.source.isprintable()

    check()


ITEM: dict[str, Any] = {
    "type": "Feature",
    "id": "a",
    "assets": {
        "product": {"href": "x.zip", "file:size": 1000, "file:checksum": "1220" + "0" * 64},
        "thumbnail": {"href": "https://host/x.png"},
    },
}


def test_items(place: Trial) -> None:
    path = place.file("i.json", "")
    texts = mutated(json.dumps(ITEM).encode(), TEXT)
    structures = restructured(ITEM).map(lambda value: json.dumps(value).encode())

    @fuzzed
    @given(texts | structures)
    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = read_or_refused(place, lambda: read_asset(str(path), "product"))
        if found is not None:
            understood(found, place.given)

    check()


def understood(asset: Asset, folder: Path) -> None:
    """Where a file lies is an address of the web or beneath the item's folder."""
    assert asset.size is None or asset.size >= 0
    remote = asset.source.lower().startswith(("http://", "https://"))
    assert remote or Path(asset.source).resolve().is_relative_to(folder.resolve())
    if asset.digest is not None:
        bytes.fromhex(asset.digest[1])


AS_TEXT = ("format", "fingerprint", "digest")
"""Fields of a checkpoint that aren't JSON."""


def test_checkpoints(place: Trial) -> None:
    source, path = place.event / "model.safetensors", place.file("m.safetensors", b"")
    good, (found_header, data) = load_checkpoint(source), header(source)
    metadata = found_header["__metadata__"]

    def with_metadata(change: dict[str, Any]) -> bytes:
        texts = {
            k: v if k in AS_TEXT and isinstance(v, str) else json.dumps(v)
            for k, v in change.items()
        }
        return with_header(path, {**found_header, "__metadata__": texts}, data).read_bytes()

    plain = {k: v if k in AS_TEXT else json.loads(v) for k, v in metadata.items()}
    files = mutated(source.read_bytes(), BYTES)
    heads = mutated(source.read_bytes()[:3000], TEXT).map(lambda b: b + source.read_bytes()[3000:])
    structures = restructured(plain).filter(lambda v: isinstance(v, dict)).map(with_metadata)

    @fuzzed
    @given(files | heads | structures)
    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = read_or_refused(place, lambda: load_checkpoint(path))
        if found is None:
            return
        assert np.isfinite(found.temperature)
        assert found.temperature > 0
        for name, tensor in found.weights.items():
            assert torch.equal(tensor, good.weights[name])
        read_or_refused(place, found.model)

    check()


KINDS = {
    "label": Kind("label raster", low=0, high=2, whole=True, unknown=(255,)),
    "elevation": Kind("elevation raster", low=-500.0, high=9000.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["strips", "tiles"])
def test_rasters(kind: str, form: str, place: Trial) -> None:
    numbers = np.arange(32 * 32).reshape(32, 32) % 3
    dtype = np.uint8 if kind == "label" else np.float32
    path = place.given / f"{kind}-{form}.tif"
    options: dict[str, Any] = {"compress": "deflate"}
    if form == "tiles":
        options |= {
            "tiled": True,
            "blockxsize": 16,
            "blockysize": 16,
            "nodata": 2,
            "BIGTIFF": "YES",
        }
    good = geotiff(path, numbers.astype(dtype), tags={"NOTE": "x"}, **options).read_bytes()
    examples = settings(fuzzed, max_examples=max(EXAMPLES // 4, 25))

    @examples
    @given(mutated(good, BYTES))
    def check(content: bytes) -> None:
        path.write_bytes(content)

        def read() -> Any:
            raster = open_foreign(path, KINDS[kind])
            return raster.geobox.shape.yx, raster.read()

        found = read_or_refused(place, read)
        if found is not None:
            shape, read_numbers = found
            assert tuple(shape) == read_numbers.shape
            known = read_numbers[~np.isnan(read_numbers)]
            assert ((known >= KINDS[kind].low) & (known <= KINDS[kind].high)).all()

    check()


def of_others(place: Trial) -> dict[str, Path]:
    """One small image in each format that backscatter of others comes in."""
    folder = place.given / "others"
    folder.mkdir()
    numbers = np.random.default_rng(0).normal(-12, 3, (16, 16)).astype("float32")
    geotiff(folder / "a.tif", numbers)
    rectangle = '<{} xOff="0" yOff="0" xSize="16" ySize="16"/>'
    (folder / "s.vrt").write_text(
        '<VRTDataset rasterXSize="16" rasterYSize="16"><SRS>EPSG:32633</SRS><GeoTransform>450000,'
        '10,0,5081000,0,-10</GeoTransform><VRTRasterBand dataType="Float32" band="1"><Scale>1'
        '</Scale><SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>'
        f"1</SourceBand>{rectangle.format('SrcRect')}{rectangle.format('DstRect')}</SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    coords = {"y": 5e6 - 10.0 * np.arange(16), "x": 5e5 + 10.0 * np.arange(16)}
    scene = xr.Dataset({"vv": (("y", "x"), numbers)}, coords=coords)
    scene.to_netcdf(folder / "s.nc", engine="scipy")
    scene.to_zarr(folder / "two.zarr", zarr_format=2, consolidated=False)
    scene.to_zarr(folder / "three.zarr", zarr_format=3, consolidated=False)
    return {
        "VRT": folder / "s.vrt",
        "NetCDF-3": folder / "s.nc",
        "Zarr 2": folder / "two.zarr" / "vv" / ".zarray",
        "Zarr 3": folder / "three.zarr" / "vv" / "zarr.json",
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["VRT", "NetCDF-3", "Zarr 2", "Zarr 3"])
def test_formats_of_others(form: str, trial: Trial) -> None:
    path = of_others(trial)[form]
    source = path.parents[1] if form.startswith("Zarr") else path
    good = path.read_bytes()
    examples = settings(fuzzed, max_examples=max(EXAMPLES // 4, 25))

    @examples
    @given(mutated(good, BYTES if form == "NetCDF-3" else XML if form == "VRT" else TEXT))
    def check(content: bytes) -> None:
        path.write_bytes(content)

        def read() -> list[Any]:
            layers = open_layers(source, Kind("backscatter"))
            return [layer.raster.numbers(band=layer.band).shape for layer in layers]

        read_or_refused(trial, read)

    check()
