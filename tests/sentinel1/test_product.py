import shutil
import zipfile

import numpy as np
import pytest
import rasterio

from floodloom.errors import FloodloomError, InputError
from floodloom.raster.grid import quiet_about_georeference
from floodloom.raster.store import open_store
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.product import open_product
from floodloom.stages.calibrate import calibrate
from floodloom.stages.simulate import simulate


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("product")
    return simulate(
        out_before=folder / "before.SAFE",
        out_after=folder / "after.SAFE",
        dem=folder / "dem.tif",
        optical=folder / "optical.tif",
        truth=folder / "truth.tif",
        size=128,
    )


def zipped(safe, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in safe.rglob("*"):
            archive.write(file, "S1.SAFE/" + file.relative_to(safe).as_posix())
    return path


def test_folder_and_zip_are_the_same_product(safe, tmp_path) -> None:
    folder, archive = open_product(safe), open_product(zipped(safe, tmp_path / "p.zip"))
    assert folder.polarisations == archive.polarisations == ("vv", "vh")
    assert (folder.mission, folder.mode, folder.product_type) == ("S1A", "IW", "GRD")
    assert folder.ipf_version == (3, 40)
    assert folder.start_time == archive.start_time
    calibrate(safe=tmp_path / "p.zip", out=tmp_path / "c.zarr")


def test_real_products_open(shared_data) -> None:
    versions = set()
    for path in sorted((shared_data / "sentinel1_safe").glob("*.zip")):
        product = open_product(path)
        assert product.polarisations == ("vv", "vh")
        versions.add(product.ipf_version)
    assert versions == {(2, 36), (2, 70), (3, 31)}


def broken(safe, folder, pattern: str, content: bytes | None = None):
    copy = shutil.copytree(safe, folder / "broken.SAFE")
    for path in copy.rglob(pattern):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
    return copy


@pytest.mark.parametrize(
    ("pattern", "content", "message"),
    [
        ("manifest.safe", None, "no manifest.safe"),
        ("calibration-*vv*.xml", None, "no calibration file for vv"),
        ("noise-*vh*.xml", b"<noise/>", "no noise vector"),
        ("noise-*vh*.xml", b"<noise", "is damaged"),
        ("s1a-*vv*.xml", b"<product/>", "annotation is incomplete"),
        ("*vv*.tiff", None, "no measurement file for vv"),
        ("*vv*.tiff", b"II*\0", "not a readable measurement"),
    ],
)
def test_broken_product_is_one_clear_error(safe, tmp_path, pattern, content, message) -> None:
    path = broken(safe, tmp_path, pattern, content)
    with pytest.raises(InputError, match=message) as caught:
        calibrate(safe=path, out=tmp_path / "out.zarr")
    assert "broken.SAFE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.zarr").exists()


def test_unknown_polarisation_and_broken_zip_are_refused(safe, tmp_path) -> None:
    with pytest.raises(InputError, match="no polarisation hh; it has vv, vh"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", polarisations=["hh"])
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(InputError, match="not a readable zip"):
        open_product(tmp_path / "bad.zip")
    with pytest.raises(FloodloomError, match="not found"):
        open_product(tmp_path / "none.zip")


def replaced(safe, folder, **texts: str):
    """A copy of a product with other words in its XML and in the names of its files."""
    copy = shutil.copytree(safe, folder / "other.SAFE")
    for path in sorted(copy.rglob("*"), reverse=True):
        name = path.name
        for old, new in texts.items():
            name = name.replace(f"-{old}-", f"-{new}-")
        if path.suffix in (".xml", ".safe"):
            text = path.read_text()
            for old, new in texts.items():
                text = text.replace(f">{old.upper()}<", f">{new.upper()}<")
                text = text.replace(f"-{old}-", f"-{new}-")
            path.write_text(text)
        path.rename(path.with_name(name))
    return copy


@pytest.mark.parametrize("mode", ["ew", "s3"])
def test_other_modes_and_horizontal_polarisations(safe, tmp_path, mode) -> None:
    path = replaced(safe, tmp_path, iw=mode, vv="hh", vh="hv")
    product = open_product(path)
    assert product.polarisations == ("hh", "hv")
    calibrate(safe=path, out=tmp_path / "c.zarr", polarisations=["co", "cross"])
    expected = open_store(calibrate(safe=safe, out=tmp_path / "e.zarr"))
    found = open_store(tmp_path / "c.zarr")
    np.testing.assert_array_equal(found.hh, expected.vv)
    np.testing.assert_array_equal(found.hv, expected.vh)


def test_later_missions_are_read(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "later.SAFE")
    for path in sorted(copy.rglob("s1a*"), reverse=True):
        path.rename(path.with_name(path.name.replace("s1a-", "s1d-")))
    for path in copy.rglob("*-s1a-*"):
        path.rename(path.with_name(path.name.replace("-s1a-", "-s1d-")))
    assert open_product(copy).mission == "S1D"
    calibrate(safe=copy, out=tmp_path / "c.zarr")


@pytest.mark.parametrize(
    "profile", [{"tiled": True, "compress": "deflate"}, {"driver": "COG"}, {"compress": "lzw"}]
)
def test_however_the_measurement_is_stored(safe, tmp_path, profile) -> None:
    copy = shutil.copytree(safe, tmp_path / "stored.SAFE")
    for path in copy.rglob("*.tiff"):
        with quiet_about_georeference():
            with rasterio.open(path) as raster:
                dn = raster.read()
            facts = {"driver": "GTiff", "height": dn.shape[1], "width": dn.shape[2], "count": 1}
            with rasterio.open(path, "w", **{**facts, "dtype": "uint16", **profile}) as raster:
                raster.write(dn)
    found = open_store(calibrate(safe=copy, out=tmp_path / "c.zarr")).load()
    expected = open_store(calibrate(safe=safe, out=tmp_path / "e.zarr")).load()
    np.testing.assert_array_equal(found.vv, expected.vv)


def test_slc_is_refused(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "slc.SAFE")
    manifest = copy / "manifest.safe"
    manifest.write_text(manifest.read_text().replace(">GRD<", ">SLC<"))
    with pytest.raises(InputError, match=r"slc\.SAFE: product type is SLC; give a GRD product"):
        calibrate(safe=copy, out=tmp_path / "out.zarr")


def test_truncated_measurement_leaves_nothing_behind(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "short.SAFE")
    path = next(copy.rglob("*vv*.tiff"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=r"\.tiff: lines .* can't be read .* fetch") as caught:
        calibrate(safe=copy, out=tmp_path / "out.zarr")
    assert "short.SAFE" in str(caught.value)
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def test_noise_layers_hold_the_noise_equivalent_backscatter(safe, tmp_path) -> None:
    raw = open_store(calibrate(safe=safe, out=tmp_path / "r.zarr", remove_noise=False)).load()
    made = calibrate(safe=safe, out=tmp_path / "n.zarr", noise_layers=True)
    store = open_store(made).load()
    bright = store.vv > 0
    np.testing.assert_allclose(
        (raw.vv - store.vv).values[bright], store.vv_noise.values[bright], rtol=1e-3, atol=1e-6
    )
    assert "noise-equivalent" in store.vv_noise.attrs["long_name"]


EOF = """<Earth_Explorer_File><Data_Block><List_of_OSVs>{}</List_of_OSVs></Data_Block>
</Earth_Explorer_File>"""
OSV = """<OSV><UTC>UTC={}</UTC><X unit="m">{:.6f}</X><Y unit="m">{:.6f}</Y><Z unit="m">{:.6f}</Z>
</OSV>"""


def orbit_file(safe, folder, name: str, shift: float = 0.0):
    """The product's own orbit as an EOF file, shifted along x, m."""
    annotation = parse_annotation(open_product(safe).xml("annotation", "vv"), "test")
    states = []
    for time, place in zip(annotation.orbit_time, annotation.orbit_position, strict=True):
        at = annotation.first_line_time + np.timedelta64(round(time * 1e9), "ns")
        states.append(OSV.format(at, place[0] + shift, place[1], place[2]))
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(EOF.format("".join(states)))
    return folder


DAY = "V20230513T225942_20230515T005942"


def test_orbit_files_are_found_and_used(safe, tmp_path) -> None:
    precise = f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}.EOF"
    restituted = f"S1A_OPER_AUX_RESORB_OPOD_20230514T080617_{DAY}.EOF"
    folder = orbit_file(safe, tmp_path / "orbits", precise)
    orbit_file(safe, folder, restituted, shift=900.0)
    orbit_file(safe, folder, precise.replace("S1A", "S1B"), shift=900.0)
    own = calibrate(safe=safe, out=tmp_path / "own.zarr")
    given = calibrate(safe=safe, out=tmp_path / "given.zarr", orbit=folder)
    shifted = calibrate(safe=safe, out=tmp_path / "s.zarr", orbit=folder / restituted)
    geometries = [
        ImageGeometry.from_json(open_store(path).attrs["geometry"])
        for path in (own, given, shifted)
    ]
    places = [geometry.orbit.position(np.array(0.5)) for geometry in geometries]
    np.testing.assert_allclose(places[1], places[0], atol=1e-3)
    np.testing.assert_allclose(places[2] - places[0], [900, 0, 0], atol=1e-3)


def test_orbit_files_that_do_not_cover_are_refused(safe, tmp_path) -> None:
    old = "S1A_OPER_AUX_POEORB_OPOD_20200603T080617_V20200513T225942_20200515T005942.EOF"
    folder = orbit_file(safe, tmp_path / "orbits", old)
    with pytest.raises(InputError, match="orbits: no orbit file of S1A covers 2023-05-14"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", orbit=folder)
    wrong = folder / f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}.EOF"
    wrong.write_text(EOF.format(OSV.format("2023-05-14T00:00:00.0", 1, 2, 3)))
    with pytest.raises(InputError, match="orbit: 1 state vectors cover"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", orbit=wrong)
    wrong.write_text("<broken")
    with pytest.raises(InputError, match="not a readable orbit file"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", orbit=wrong)
    assert not (tmp_path / "out.zarr").exists()
