import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  registers the `.rio` accessor
from affine import Affine
from odc.geo.geobox import GeoBox

from floodloom.errors import InputError
from floodloom.raster.recipe import Flag
from floodloom.raster.store import open_store, recipe_of, write_store
from floodloom.sentinel1.backscatter import read_backscatter
from floodloom.sentinel1.producers import is_backscatter
from floodloom.sentinel1.settings import GeocodeSettings
from floodloom.stages.geocode import geocode

GRID = GeoBox((120, 150), Affine(30.0, 0, 500010.0, 0, -30.0, 4900020.0), "EPSG:32632")
HYP3 = "S1A_IW_20200708T182643_DVP_RTC30_G_{options}_FD6A"
OPERA = "OPERA_L2_RTC-S1_T069-147170-IW1_20231001T123456Z_20231002T010203Z_S1A_30_v1.0"
GRANULE = "S1A_IW_GRDH_1SDV_20200708T182643_20200708T182708_033367_03DDAA_9550"
RELATIVE_ORBIT = 45  # as that product's manifest states it


def power(seed: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(seed).gamma(4.4, 0.02, tuple(GRID.shape.yx))
    drawn[:9, :11] = np.nan
    return drawn.astype("float32")


def write(path: Path, data: np.ndarray, grid: GeoBox = GRID, **profile) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 64} | profile
    height, width = data.shape
    with rasterio.open(
        path,
        "w",
        count=1,
        dtype=data.dtype,
        height=height,
        width=width,
        crs=grid.crs and grid.crs.to_wkt(),
        transform=grid.affine,
        **profile,
    ) as raster:
        raster.write(data, 1)
    return path


def write_hyp3(folder: Path, options: str = "gpuned", encode=lambda p: p) -> Path:
    name = HYP3.format(options=options)
    for number, band in enumerate(("VV", "VH")):
        data = np.nan_to_num(encode(power(number))).astype("float32")
        write(folder / name / f"{name}_{band}.tif", data, nodata=0)
    return folder / name


def write_opera(folder: Path, **profile) -> Path:
    for number, band in enumerate(("VV", "VH")):
        write(folder / f"{OPERA}_{band}.tif", power(number), nodata=np.nan, **profile)
    return folder


def write_planetary_computer(folder: Path) -> Path:
    for number, band in enumerate(("vv", "vh")):
        data = np.nan_to_num(power(number), nan=-32768)
        write(folder / GRANULE / "measurement" / f"iw-{band}.rtc.tiff", data, nodata=-32768)
    return folder / GRANULE


def decibel(values: np.ndarray) -> np.ndarray:
    return 10 * np.log10(values)


def require_bands(scene) -> None:
    """Both polarisations come back as they were written, on their grid, lazily."""
    assert scene.odc.geobox == GRID
    assert scene.vv.chunks is not None
    for number, band in enumerate(("vv", "vh")):
        assert scene[band].dtype == np.float32
        np.testing.assert_allclose(scene[band].values, power(number), rtol=2e-6)
    assert scene.flags.dtype == np.uint8
    nodata = (scene.flags.values & Flag.NODATA.value).astype(bool)
    np.testing.assert_array_equal(nodata, np.isnan(power()))


def test_no_file_of_a_product_leads_out_of_it(tmp_path) -> None:
    folder = write_hyp3(tmp_path)
    band = folder / f"{folder.name}_VV.tif"
    secret = band.rename(tmp_path / "secret.tif")
    text = (
        '<VRTDataset rasterXSize="150" rasterYSize="120">'
        '<VRTRasterBand dataType="Float32" band="1">'
        f"<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )
    band.write_text(text)
    with pytest.raises(InputError, match=r"_VV\.tif: .*lies outside of its folder"):
        read_backscatter(folder)
    band.unlink()
    band.symlink_to(secret)
    with pytest.raises(InputError, match=r"_VV\.tif: a link out of its folder"):
        read_backscatter(folder)
    band.unlink()
    secret.rename(band)

    mask = write(tmp_path / "mask.tif", np.zeros(power().shape, "uint8"))
    (folder / f"{folder.name}_ls_map.tif").symlink_to(mask)
    with pytest.raises(InputError, match=r"_ls_map\.tif: a link out of its folder"):
        read_backscatter(folder)
    (folder / f"{folder.name}_ls_map.tif").unlink()
    (tmp_path / "link").symlink_to(folder)
    require_bands(read_backscatter(tmp_path / "link"))


def test_a_mask_without_bits_and_a_name_without_a_time_are_refused(tmp_path) -> None:
    folder = write_hyp3(tmp_path)
    mask = write(folder / f"{folder.name}_ls_map.tif", np.zeros(power().shape, "float32"))
    with pytest.raises(InputError, match=r"_ls_map\.tif: float32 values, but a mask has bits"):
        read_backscatter(folder)
    mask.unlink()
    for file in sorted(folder.iterdir()):
        file.rename(folder / file.name.replace("20200708T", "20209999T"))
    with pytest.raises(InputError, match="20209999T182643: no time"):
        read_backscatter(folder)


@pytest.mark.parametrize(
    ("options", "encode"), [("gpuned", lambda p: p), ("gaunem", np.sqrt), ("gduned", decibel)]
)
def test_hyp3_scales_become_linear_power(tmp_path, options: str, encode) -> None:
    folder = write_hyp3(tmp_path, options, encode)
    assert is_backscatter(folder)
    scene = read_backscatter(folder)
    require_bands(scene)
    assert scene.attrs["platform"] == "S1A"
    assert scene.attrs["acquisition_time"] == "2020-07-08T18:26:43.000000000"
    recipe = recipe_of(scene)
    assert recipe.quantity == "gamma0"
    assert recipe.flattened
    assert recipe.noise_removed
    assert recipe.speckle_filter == "none"
    assert recipe.spacing == 30.0


def test_hyp3_options_angles_masks_and_orbit_are_read(tmp_path) -> None:
    folder = write_hyp3(tmp_path, "spufed")
    values = np.zeros(power().shape, "uint8")
    values[20, 20:25] = [1, 5, 17, 21, 11]
    write(folder / f"{folder.name}_ls_map.tif", values)
    angle = np.full(power().shape, np.radians(37.0), "float32")
    angle[0, 0] = 0
    write(folder / f"{folder.name}_inc_map.tif", angle, nodata=0)
    (folder / f"{folder.name}.README.md.txt").write_text(f"The source granule is:\n{GRANULE}\n")
    scene = read_backscatter(folder / f"{folder.name}_VH.tif")
    require_bands(scene)
    layover, shadow = Flag.LAYOVER.value, Flag.SHADOW.value
    expected = [0, layover, shadow, layover | shadow, 0]
    np.testing.assert_array_equal(scene.flags.values[20, 20:25], expected)
    assert scene.local_incidence_angle.attrs["units"] == "degree"
    np.testing.assert_allclose(scene.local_incidence_angle.values[1:], 37.0, rtol=1e-6)
    assert np.isnan(scene.local_incidence_angle.values[0, 0])
    assert "incidence_angle" not in scene
    assert scene.attrs["relative_orbit"] == RELATIVE_ORBIT
    recipe = recipe_of(scene)
    assert recipe.quantity == "sigma0"
    assert recipe.speckle_filter == "enhanced_lee-7"


def test_opera_burst_has_mask_track_and_static_angles(tmp_path) -> None:
    write_opera(tmp_path)
    mask = np.where(np.isnan(power()), 255, 0).astype("uint8")
    mask[30, 30:33] = [1, 2, 3]
    write(tmp_path / f"{OPERA}_mask.tif", mask, nodata=255)
    static = "OPERA_L2_RTC-S1-STATIC_T069-147170-IW1_20140403_S1A_30_v1.0"
    angle = np.full(power().shape, 41.5, "float32")
    write(tmp_path / f"{static}_incidence_angle.tif", angle, nodata=np.nan)
    scene = read_backscatter(tmp_path)
    require_bands(scene)
    layover, shadow = Flag.LAYOVER.value, Flag.SHADOW.value
    np.testing.assert_array_equal(
        scene.flags.values[30, 30:33], [shadow, layover, layover | shadow]
    )
    np.testing.assert_array_equal(scene.incidence_angle.values, 41.5)
    assert scene.attrs["relative_orbit"] == 69
    assert scene.attrs["acquisition_time"].startswith("2023-10-01T12:34:56")


def test_planetary_computer_folder_names_the_granule(tmp_path) -> None:
    folder = write_planetary_computer(tmp_path)
    for path in (folder, folder / "measurement", folder / "measurement" / "iw-vv.rtc.tiff"):
        scene = read_backscatter(path)
        require_bands(scene)
        assert scene.attrs["platform"] == "S1A"
        assert scene.attrs["relative_orbit"] == RELATIVE_ORBIT
    opera = read_backscatter(write_opera(tmp_path / "opera"))
    assert scene.attrs["fingerprint"] == opera.attrs["fingerprint"]


def test_what_was_fetched_is_taken_for_what_its_item_states(tmp_path) -> None:
    folder = tmp_path / "after"
    for number, band in enumerate(("vv", "vh")):
        write(folder / f"iw-{band}.rtc.tiff", power(number), nodata=-32768)
    stated = {
        "acquisition_time": "2020-07-08T18:26:43", "platform": "S1A", "relative_orbit": 45,
        "orbit_direction": "descending", "title": "not asked for",
    }  # fmt: skip
    note = folder / "gathered.json"
    note.write_text(json.dumps({"gathered": ["https://h/items/a_rtc"], "scene": stated}))
    scene = read_backscatter(folder)
    require_bands(scene)
    assert {name: scene.attrs[name] for name in stated} == {
        **stated, "title": "Planetary Computer sentinel-1-rtc",
    }  # fmt: skip
    note.write_text(json.dumps({"gathered": [], "scene": {"relative_orbit": "45", "platform": 1}}))
    assert "relative_orbit" not in read_backscatter(folder).attrs


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"scene": 5}', '{"scene": {"acquisition_time": "x"}}', "[" * 10_000]
)
def test_a_damaged_note_of_what_was_fetched_is_one_line(tmp_path, text: str) -> None:
    write(tmp_path / "iw-vv.rtc.tiff", power(), nodata=-32768)
    (tmp_path / "gathered.json").write_text(text)
    with pytest.raises(InputError, match=r"gathered\.json: damaged; fetch the scene again"):
        read_backscatter(tmp_path)


def test_striped_files_and_stores_keep_the_values(tmp_path) -> None:
    scene = read_backscatter(write_opera(tmp_path / "product", tiled=False, blockysize=7))
    require_bands(scene)
    write_store(scene, tmp_path / "scene.zarr", chunk=64, shard=128)
    stored = open_store(tmp_path / "scene.zarr")
    require_bands(stored)
    assert stored.attrs["fingerprint"] == scene.attrs["fingerprint"]


def test_negative_power_is_flagged_and_set_to_zero(tmp_path) -> None:
    data = power()
    data[50, 50:53] = -0.001
    write(tmp_path / f"{OPERA}_VV.tif", data, nodata=np.nan)
    scene = read_backscatter(tmp_path)
    np.testing.assert_array_equal(scene.vv.values[50, 50:53], 0)
    np.testing.assert_array_equal(scene.flags.values[50, 50:53], Flag.BELOW_NOISE.value)
    assert scene.flags.values[50, 54] == 0


def test_pixels_are_read_when_they_are_needed(tmp_path) -> None:
    scene = read_backscatter(write_opera(tmp_path))
    (tmp_path / f"{OPERA}_VH.tif").unlink()
    with pytest.raises(InputError, match=r"_VH\.tif: not a readable backscatter"):
        scene.vh.compute()


def test_masked_water_is_warned_of(tmp_path, caplog) -> None:
    require_bands(read_backscatter(write_hyp3(tmp_path, "gpwned")))
    assert "open water is masked" in caplog.text


@pytest.mark.parametrize("name", ["iw-vv.rtc.tiff", "vv.rec.tif", "ew-hh.rtc.tiff"])
def test_planetary_computer_files_are_known_without_their_folder(tmp_path, name: str) -> None:
    scene = read_backscatter(write(tmp_path / name, power(), nodata=-32768))
    assert "flags" in scene
    assert "platform" not in scene.attrs


def test_real_pyrosar_product_is_read(shared_data) -> None:
    path = shared_data / "sentinel1_safe" / "S1A__IW___A_20150309T173017_VV_grd_mli_geo_norm_db.tif"
    scene = read_backscatter(path)
    with rasterio.open(path) as raster:
        np.testing.assert_allclose(scene.vv.values, 10 ** (raster.read(1) / 10), rtol=2e-6)
        assert scene.odc.geobox.affine == raster.transform
    assert set(scene.data_vars) == {"vv", "flags"}
    assert scene.rio.crs.to_epsg() == 32631
    assert scene.attrs["orbit_direction"] == "ascending"
    assert scene.attrs["acquisition_time"].startswith("2015-03-09T17:30:17")
    assert recipe_of(scene).spacing == 20.0


def test_products_that_contradict_themselves_are_refused(tmp_path) -> None:
    shifted = GeoBox(GRID.shape, GRID.affine @ Affine.translation(1, 0), GRID.crs)
    for name, profile, data, complaint in [
        ("grid", {"grid": shifted}, power(), "VH.tif: lies on another grid"),
        ("crs", {"grid": GeoBox(GRID.shape, GRID.affine, None)}, power(), "VH.tif: has no CRS"),
        ("scale", {}, decibel(power()), "VH.tif: its name states power .* decibel"),
    ]:
        folder = write_opera(tmp_path / name)
        write(folder / f"{OPERA}_VH.tif", data, nodata=np.nan, **profile)
        with pytest.raises(InputError, match=complaint):
            read_backscatter(folder)
    with pytest.raises(InputError, match=r"its name states decibel"):
        read_backscatter(write_hyp3(tmp_path, "gduned"))
    unnamed = "S1A__IW___A_20150309T173017_VV_grd_mli_geo_db.tif"
    path = write(tmp_path / "pyrosar" / unnamed, decibel(power()))
    assert is_backscatter(path)
    with pytest.raises(InputError, match="states neither gamma0"):
        read_backscatter(path)


def test_empty_missing_and_several_products_are_refused(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere"):
        assert not is_backscatter(path)
    with pytest.raises(InputError, match=r"holds no backscatter; give .* HyP3"):
        read_backscatter(tmp_path / "empty")
    with pytest.raises(InputError, match="nowhere: product not found"):
        read_backscatter(tmp_path / "nowhere")
    write_opera(tmp_path / "two")
    second = OPERA.replace("IW1", "IW2")
    write(tmp_path / "two" / f"{second}_VV.tif", power(), nodata=np.nan)
    with pytest.raises(InputError, match="2 products inside"):
        read_backscatter(tmp_path / "two")
    assert set(read_backscatter(tmp_path / "two" / f"{second}_VV.tif").data_vars) == {"vv", "flags"}


def test_truncated_file_is_named(tmp_path) -> None:
    write_opera(tmp_path)
    path = tmp_path / f"{OPERA}_VH.tif"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"_VH\.tif: not a readable backscatter"):
        read_backscatter(tmp_path).vh.compute()


def test_geocode_takes_products_of_others(tmp_path) -> None:
    """On the product's own grid nothing changes; on a coarser one the mean level stays."""
    folder = write_hyp3(tmp_path)
    scene = read_backscatter(folder).load()
    code = scene.odc.geobox.crs.epsg
    box = scene.odc.geobox.boundingbox
    spacing = float(scene.odc.geobox.resolution.x)
    own = geocode(
        scene=folder,
        out=tmp_path / "own.zarr",
        settings=GeocodeSettings(
            epsg=code, resolution=spacing, bounds=(box.left, box.bottom, box.right, box.top)
        ),
    )
    store = open_store(own).load()
    inside = store.odc.geobox.boundingbox
    assert inside.left <= box.left
    assert inside.top >= box.top
    placed = store.vv.reindex_like(scene.vv, method="nearest", tolerance=0.01)
    np.testing.assert_allclose(placed, scene.vv, rtol=1e-6)
    assert recipe_of(store).flattened
    assert (store.flags.values[np.isnan(store.vv.values)] & Flag.NODATA.value).all()
    coarse = open_store(
        geocode(
            scene=folder,
            out=tmp_path / "c.zarr",
            settings=GeocodeSettings(epsg=code, resolution=2 * spacing),
        )
    )
    assert float(coarse.vv.mean()) == pytest.approx(float(scene.vv.mean()), rel=0.1)
    assert recipe_of(coarse).spacing == 2 * spacing


def test_products_say_mode_and_level_as_far_as_their_names_do(tmp_path) -> None:
    pyrosar = "S1A__S3___A_20150309T173017_{band}_{steps}.tif"
    for steps in ("gamma0-rtc_db", "gamma0_db"):
        folder = tmp_path / steps
        write(folder / pyrosar.format(band="VV", steps=steps), decibel(power()), nodata=np.nan)
    found = {
        "hyp3": write_hyp3(tmp_path),
        "opera": write_opera(tmp_path / "opera"),
        "planetary computer": write_planetary_computer(tmp_path),
        "pyroSAR, rtc": tmp_path / "gamma0-rtc_db",
        "pyroSAR": tmp_path / "gamma0_db",
    }
    said = {name: read_backscatter(path).attrs for name, path in found.items()}
    facts = {n: (a.get("instrument_mode"), a.get("product_type")) for n, a in said.items()}
    assert facts == {
        "hyp3": ("IW", "RTC"),
        "opera": ("IW", "RTC"),
        "planetary computer": ("IW", "GRD"),
        "pyroSAR, rtc": ("SM", "RTC"),
        "pyroSAR": ("SM", None),
    }


def test_bursts_of_one_pass_share_layers_and_other_passes_are_refused(tmp_path) -> None:
    """A burst without cross-polarisation, mask or angles takes nothing from the other's band."""
    full = write_opera(tmp_path / "full")
    static = "OPERA_L2_RTC-S1-STATIC_T069-147170-IW1_20140403_S1A_30_v1.0"
    angle = np.full(power().shape, 41.5, "float32")
    write(full / f"{static}_incidence_angle.tif", angle, nodata=np.nan)
    beside = GeoBox(GRID.shape, GRID.affine @ Affine.translation(140, 0), GRID.crs)
    later = OPERA.replace("147170-IW1_20231001T123456", "147171-IW1_20231001T123459")
    single = write(tmp_path / "single" / f"{later}_VV.tif", power(5), beside, nodata=np.nan).parent
    made = [
        open_store(
            geocode(scene=order, out=tmp_path / "g.zarr", settings=GeocodeSettings(resolution=30.0))
        ).load()
        for order in ([full, single], [single, full])
    ]
    for store in made:
        assert set(store.data_vars) == {"vv", "flags"}
        assert store.sizes["x"] > 280
    np.testing.assert_array_equal(made[0].vv.notnull(), made[1].vv.notnull())
    np.testing.assert_array_equal(made[0].flags, made[1].flags)
    for old, new, what in (
        ("20231001T123456", "20231013T123456", "acquisition time"),
        ("T069", "T142", "relative orbit"),
        ("S1A_30", "S1C_30", "platform"),
    ):
        name = OPERA.replace(old, new)
        other = write(tmp_path / what / f"{name}_VV.tif", power(5), beside, nodata=np.nan).parent
        with pytest.raises(InputError, match=f"{what} .*one pass"):
            geocode(
                scene=[full, other],
                out=tmp_path / "x.zarr",
                settings=GeocodeSettings(resolution=30.0),
            )


def test_products_across_180_degrees_are_geocoded(tmp_path) -> None:
    """In either zone and in degrees, on a grid of their own size, with all that they know."""
    for number, (epsg, affine) in enumerate(
        (
            (32701, Affine(30.0, 0, 177_600.0, 0, -30.0, 8_174_000.0)),
            (32760, Affine(30.0, 0, 817_600.0, 0, -30.0, 8_174_000.0)),
            (4326, Affine(0.0003, 0, 179.98, 0, -0.0003, -16.4)),
            (4326, Affine(0.0003, 0, -180.02, 0, -0.0003, -16.4)),
        )
    ):
        grid = GeoBox(GRID.shape, affine, f"EPSG:{epsg}")
        folder = tmp_path / str(number)
        write(folder / f"{OPERA}_VV.tif", np.full(power().shape, 0.1, "f4"), grid, nodata=np.nan)
        store = open_store(
            geocode(
                scene=folder, out=tmp_path / "g.zarr", settings=GeocodeSettings(resolution=30.0)
            )
        ).load()
        assert store.odc.geobox.crs.to_epsg() in (32701, 32760)
        assert max(store.odc.geobox.shape) < 300
        known = np.isfinite(store.vv.values)
        np.testing.assert_allclose(store.vv.values[known], 0.1, rtol=1e-6)
        pixel = 900.0 if epsg != 4326 else (0.0003 * 111_320) ** 2 * np.cos(np.radians(16.4))
        assert known.sum() * 900.0 == pytest.approx(power().size * pixel, rel=0.02)
