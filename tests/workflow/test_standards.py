"""What a run leaves, read by the programs and checked by the rules that others have for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import xarray as xr
from jsonschema import Draft7Validator
from PIL import Image
from pystac.validation import stac_validator
from referencing import Registry, Resource
from rio_cogeo.cogeo import cog_validate

from floodloom.mapping.evidence import DelineateFiles
from floodloom.mapping.product_set import FloodProducts
from floodloom.mapping.products import CLASS_TEXTS, COLOURS, REASON_TEXTS
from floodloom.raster.cog import write_cog
from floodloom.raster.grid import grid_from_bounds
from floodloom.raster.product import FloodClass
from floodloom.stages.delineate import delineate
from tests.workflow.conftest import environment

pytestmark = pytest.mark.xdist_group("workflow")
HERE = Path(__file__).parent
SCHEMAS = {
    "https://stac-extensions.github.io/{}/{}/schema.json".format(
        *path.stem.rsplit("-", 1)
    ): json.loads(path.read_text())
    for path in (HERE.parent / "data" / "stac").glob("*.json")
}
QGIS = "/usr/bin/python3"  # modules of QGIS are for Debian's own Python


@pytest.fixture(scope="module")
def run(finished: Path) -> Path:
    return finished / "results" / "tiny"


def test_every_raster_is_a_cloud_optimised_geotiff(run: Path) -> None:
    rasters = [path for path in run.rglob("*.tif") if ".SAFE" not in str(path)]
    assert {"flood", "likelihood", "after.probability"} <= {path.stem for path in rasters}
    for path in rasters:
        assert cog_validate(path, strict=True)[0], path


def extension_faults(content: dict[str, Any]) -> list[str]:
    """What the schemas of its extensions find wrong in an item or a collection."""
    known = Registry().with_resources(
        [(address, Resource.from_contents(schema)) for address, schema in SCHEMAS.items()]
    )
    return [
        f"{address}: {fault.json_path}: {fault.message}"
        for address in content.get("stac_extensions", ())
        for fault in Draft7Validator(SCHEMAS[address], registry=known).iter_errors(content)
    ]


def test_items_and_collection_are_valid_with_their_extensions(run: Path) -> None:
    core = stac_validator.JsonSchemaSTACValidator()
    collection = json.loads((run / "collection.json").read_text())
    core.validate_core(collection, pystac.STACObjectType.COLLECTION, "1.1.0")
    assert extension_faults(collection) == []
    items = sorted(run.glob("maps/*/flood.json"))
    assert len(items) == len(collection["links"]) > 0
    for path in items:
        content = json.loads(path.read_text())
        core.validate_core(content, pystac.STACObjectType.ITEM, "1.1.0")
        assert extension_faults(content) == []
        names = {address.split("/")[3] for address in content["stac_extensions"]}
        assert names >= {"classification", "file", "processing", "projection", "raster", "sar"}


def test_a_broken_item_is_found_by_each_schema(run: Path) -> None:
    whole = json.loads(next(run.glob("maps/*/flood.json")).read_text())
    broken = {
        "raster": lambda c: c["assets"]["flood"]["raster:bands"][0].update(data_type="byte"),
        "classification": lambda c: c["assets"]["flood"]["classification:classes"].append({}),
        "processing": lambda c: c["properties"].update({"processing:level": 4}),
        "file": lambda c: c["assets"]["flood"].update({"file:size": -1}),
        "projection": lambda c: c["properties"].update({"proj:shape": [1]}),
        "sar": lambda c: c["properties"].pop("sar:product_type"),
    }
    for name, alter in broken.items():
        content = json.loads(json.dumps(whole))
        alter(content)
        assert any(f"/{name}/" in fault for fault in extension_faults(content)), name


def test_items_and_collection_link_each_other(run: Path) -> None:
    collection = pystac.Collection.from_file(str(run / "collection.json"))
    assert collection.id == "tiny"
    for item in collection.get_items():
        again = pystac.Item.from_file(item.get_self_href() or "")
        assert again.collection_id == collection.id
        found = again.get_single_link("collection")
        assert Path(found.get_absolute_href()).resolve() == (run / "collection.json").resolve()
        for asset in again.assets.values():
            assert Path(asset.get_absolute_href()).is_file()


def test_bands_of_an_item_are_those_of_the_files(run: Path) -> None:
    content = json.loads(next(run.glob("maps/*/flood.json")).read_text())
    classes, reasons = content["assets"]["flood"]["raster:bands"]
    for band, meanings in ((classes, CLASS_TEXTS), (reasons, REASON_TEXTS)):
        assert (band["data_type"], band["nodata"], band["sampling"]) == ("uint8", 255, "area")
        assert {c["value"]: c["description"] for c in band["classification:classes"]} == meanings
    (percent,) = content["assets"]["likelihood"]["raster:bands"]
    assert (percent["unit"], percent["data_type"]) == ("%", "uint8")


def as_netcdf(store: Path, folder: Path) -> Path:
    """Write a store as NetCDF, with all its values; JSON has no types for flags."""
    dataset = xr.open_zarr(store, consolidated=False).load()
    for name, variable in dataset.variables.items():
        variable.encoding = {"_FillValue": None} if name in dataset.coords else {}
        if "flag_masks" in variable.attrs:
            masks = np.array(variable.attrs["flag_masks"], variable.dtype)
            variable.attrs["flag_masks"] = masks
    path = folder / f"{store.parent.name}-{store.stem}.nc"
    dataset.to_netcdf(path, engine="netcdf4")
    return path


def test_scene_stores_follow_the_cf_conventions(run: Path, tmp_path: Path) -> None:
    stores = [path for kind in ("calibrated", "geocoded") for path in (run / kind).glob("*.zarr")]
    assert len(stores) >= 4
    files = [as_netcdf(store, tmp_path) for store in stores[:1] + stores[-1:]]
    report = tmp_path / "report.json"
    checker = Path(sys.executable).parent / "compliance-checker"
    subprocess.run(
        [checker, "--test", "cf:1.11", "--format", "json_new", "--output", report, *files],
        check=False, capture_output=True,
    )  # fmt: skip
    for path, found in json.loads(report.read_text()).items():
        checked = found["cf:1.11"]
        faults = [
            (part["name"], part["msgs"])
            for level in ("high_priorities", "medium_priorities")
            for part in checked[level]
            if part["msgs"]
        ]
        assert faults == [], path
        assert checked["scored_points"] > 10


def every_class(folder: Path) -> None:
    """Make a map with water of old, flood and dry ground, some of it without data."""
    grid = grid_from_bounds((400000, 5000000, 404000, 5004000), 32633, 10.0)
    columns = np.arange(400) // 100
    after = np.tile(np.array([5, 95, 95, 255], "uint8")[columns], (400, 1))
    before = np.tile(np.array([5, 5, 95, 5], "uint8")[columns], (400, 1))
    (folder / "maps" / "all").mkdir(parents=True)
    place = folder / "maps" / "all" / "flood.tif"
    paths = [
        write_cog(values, folder / f"{name}.tif", geobox=grid, nodata=255)
        for name, values in (("after", after), ("before", before))
    ]
    delineate(
        probability=paths[0],
        files=DelineateFiles(before=paths[1:]),
        products=FloodProducts(
            out=place,
            vectors=place.with_suffix(".gpkg"),
            flatgeobuf=place.with_suffix(".fgb"),
            item=place.with_suffix(".json"),
            likelihood=place.with_name("likelihood.tif"),
        ),
    )


@pytest.fixture(scope="module")
def opened(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What QGIS says of each layer of the run and of a map with all classes; pictures of that."""
    has_qgis = (
        shutil.which(QGIS)
        and not subprocess.run(
            [QGIS, "-I", "-c", "import qgis.core"], check=False, capture_output=True
        ).returncode
    )
    if not has_qgis:
        pytest.skip("needs QGIS (Debian: qgis-providers and python3-qgis)")
    home = tmp_path_factory.mktemp("qgis")
    every_class(home / "small")
    layers: dict[str, Any] = {}
    for folder in (run, home / "small"):
        script = [QGIS, "-I", HERE / "qgis_layers.py", folder, home / f"shown-{folder.name}"]
        done = subprocess.run(
            script, env={**environment(), "HOME": str(home)}, check=True, capture_output=True,
            text=True,
        )  # fmt: skip
        assert "only be partially supported" not in done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        layers |= {f"{folder.name}/{name}": layer for name, layer in found.items()}
    return layers, home / "shown-small"


def test_qgis_opens_every_layer_in_its_place(opened: tuple[dict[str, Any], Path]) -> None:
    layers, _ = opened
    assert len(layers) > 8
    for name, layer in layers.items():
        assert layer["valid"], name
        if not name.endswith(".csv"):
            assert layer["crs"].startswith("EPSG:326"), name
    assert layers["small/maps/all/flood.gpkg"]["features"] == 2
    areas = next(layer for name, layer in layers.items() if name.endswith("areas.csv"))
    assert areas["fields"]["flood"] == "Real"


def test_qgis_names_and_colours_the_classes(opened: tuple[dict[str, Any], Path]) -> None:
    for name, layer in opened[0].items():
        shown = [[v, "#{:02x}{:02x}{:02x}".format(*c), CLASS_TEXTS[v]] for v, c in COLOURS.items()]
        if name.endswith("flood.tif"):
            assert layer["renderer"] == "paletted"
            assert [[v, c, text] for v, c, _, text in layer["legend"]] == shown
            tables = ({str(v): text for v, text in m.items()} for m in (CLASS_TEXTS, REASON_TEXTS))
            assert layer["tables"] == list(tables)
        elif name.endswith(("flood.gpkg", "flood.fgb")):
            assert layer["renderer"] == "categorizedSymbol"
            assert layer["legend"] == [[str(v), c, text] for v, c, text in shown]


def test_qgis_colours_quantities_by_their_unit(opened: tuple[dict[str, Any], Path]) -> None:
    layers = {n: v for n, v in opened[0].items() if n.endswith(("likelihood.tif", "ability.tif"))}
    assert len(layers) > 1
    for name, layer in layers.items():
        assert layer["renderer"] == "singlebandpseudocolor", name
        assert [layer["legend"][at][3] for at in (0, -1)] == ["0 %", "100 %"]


def test_qgis_pictures_show_the_flood(opened: tuple[dict[str, Any], Path]) -> None:
    for name in ("flood", "polygons"):
        with Image.open(opened[1] / f"{name}.png") as image:
            colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
        for value in (FloodClass.FLOOD.value, FloodClass.PERMANENT.value):
            share = (colours == np.array(COLOURS[value][:3])).all(1).mean()
            assert share == pytest.approx(0.25, abs=0.02), (name, value)
