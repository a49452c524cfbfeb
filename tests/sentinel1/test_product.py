import shutil
import zipfile

import numpy as np
import pytest
import rasterio

from floodloom.errors import FloodloomError, InputError
from floodloom.raster.opener import quiet_about_georeference
from floodloom.raster.store import open_store
from floodloom.sentinel1.annotation import parse_annotation
from floodloom.sentinel1.geometry import ImageGeometry
from floodloom.sentinel1.product import open_product
from floodloom.sentinel1.settings import CalibrateSettings
from floodloom.stages.calibrate import calibrate
from floodloom.xml import parse


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


@pytest.mark.parametrize(
    ("name", "top"),
    [
        ("0a1b2c3d-product", "S1.SAFE/"),
        ("p.zip", ""),
        ("p.zip", "download/S1.SAFE/"),
        ("{d ä, 50%#}/p", "S1.SAFE/"),
        ("left{open/p.zip", "S1.SAFE/"),
        ("left{open/p", "S1.SAFE/"),
        ("p.safe.ZIP", "S1.SAFE\\"),
    ],
)
def test_a_zip_is_read_whatever_it_and_its_folders_are_called(safe, tmp_path, name, top) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in (file for file in safe.rglob("*") if file.is_file()):
            inside = top + file.relative_to(safe).as_posix()
            archive.writestr(inside.replace("/", top[-1:] or "/"), file.read_bytes())
    found = open_store(calibrate(safe=path, out=tmp_path / "c.zarr"))
    expected = open_store(calibrate(safe=safe, out=tmp_path / "e.zarr"))
    np.testing.assert_array_equal(found.vv, expected.vv)


def test_folders_with_special_letters_are_read(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "{d ä, 50%#}" / "left{open.SAFE")
    found = open_store(calibrate(safe=copy, out=tmp_path / "{x%20}, ü.zarr"))
    assert float(found.vv.max()) > 0


def test_of_several_products_none_is_guessed(safe, tmp_path) -> None:
    shutil.copytree(safe, tmp_path / "two" / "a.SAFE")
    with pytest.raises(InputError, match=r"two: no SAFE folder, but one .*; give .*two/a\.SAFE"):
        open_product(tmp_path / "two")
    shutil.copytree(safe, tmp_path / "two" / "deep" / "b.SAFE")
    with pytest.raises(InputError, match=r"two: 2 products inside \(a\.SAFE, deep/b\.SAFE\)"):
        open_product(tmp_path / "two")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no manifest\.safe inside; give a SAFE folder"):
        open_product(tmp_path / "empty")

    nested = shutil.copytree(safe, tmp_path / "nested.SAFE")
    shutil.copytree(safe, nested / "copy.SAFE")
    with pytest.raises(InputError, match=r"nested\.SAFE: 2 products inside \(copy\.SAFE, \.\)"):
        open_product(nested)

    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for top in ("a.SAFE", "b.SAFE"):
            for file in safe.rglob("*"):
                archive.write(file, f"{top}/{file.relative_to(safe)}")
    with pytest.raises(InputError, match=r"2 products inside \(a\.SAFE, b\.SAFE\); unzip it"):
        open_product(tmp_path / "two.zip")


@pytest.mark.parametrize("kind", ["annotation", "calibration", "noise", "measurement"])
def test_two_files_of_one_polarisation_are_refused_by_name(safe, tmp_path, kind) -> None:
    copy = shutil.copytree(safe, tmp_path / "mixed.SAFE")
    path = copy / open_product(copy).parts[kind, "vv"]
    other = path.with_name(path.name.replace("20230514", "20230526"))
    shutil.copy(path, other)
    with pytest.raises(InputError, match=f"two {kind} files of vv") as caught:
        open_product(copy)
    assert path.name in str(caught.value)
    assert other.name in str(caught.value)


def test_only_the_folders_of_the_product_are_searched(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "a.SAFE")
    path = copy / open_product(copy).parts["measurement", "vv"]
    for folder in ("backup", "annotation", "measurement/old"):
        (copy / folder).mkdir(exist_ok=True)
        shutil.copy(path, copy / folder / path.name.replace("20230514", "20230526"))
    assert open_product(copy).parts == open_product(safe).parts


@pytest.mark.parametrize("kept", ["vv", "vh"])
def test_a_single_polarisation_is_calibrated_unasked(safe, tmp_path, kept) -> None:
    copy = shutil.copytree(safe, tmp_path / "single.SAFE")
    for path in copy.rglob("*-vh-*" if kept == "vv" else "*-vv-*"):
        path.unlink()
    found = open_store(calibrate(safe=copy, out=tmp_path / "c.zarr"))
    expected = open_store(calibrate(safe=safe, out=tmp_path / "e.zarr"))
    assert set(expected.data_vars) == {"vv", "vh", "flags"}
    assert set(found.data_vars) == {kept, "flags"}
    np.testing.assert_array_equal(found[kept], expected[kept])
    with pytest.raises(InputError, match=f"it has {kept}: ask for these"):
        calibrate(
            safe=copy,
            out=tmp_path / "c.zarr",
            settings=CalibrateSettings(polarisations=["vv", "vh"]),
        )


def test_short_names_of_the_aws_archive(safe, tmp_path) -> None:
    copy = shutil.copytree(safe, tmp_path / "aws")
    for path in [p for p in copy.rglob("*-grd-*") if p.is_file()]:
        kind, _, rest = path.stem.rpartition("s1a-")
        path.rename(path.with_name(f"{kind}iw-{rest.split('-')[2]}{path.suffix}"))
    product = open_product(copy)
    assert (product.mission, product.polarisations) == ("S1A", ("vv", "vh"))
    calibrate(safe=copy, out=tmp_path / "c.zarr")


def test_products_of_other_modes_and_missions_open(shared_data) -> None:
    found = {}
    for path in (shared_data / "conventions").glob("S1?_??_GRD*.zip"):
        product = open_product(path)
        found[product.mission, product.mode] = product.polarisations
    assert found == {
        ("S1A", "EW"): ("hh", "hv"),
        ("S1B", "IW"): ("vv", "vh"),
        ("S1C", "SM"): ("hh", "hv"),
    }


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
        calibrate(
            safe=safe, out=tmp_path / "out.zarr", settings=CalibrateSettings(polarisations=["hh"])
        )
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
    calibrate(safe=path, out=tmp_path / "c.zarr")
    named = calibrate(
        safe=path,
        out=tmp_path / "n.zarr",
        settings=CalibrateSettings(polarisations=["co", "cross"]),
    )
    assert open_store(named).identical(open_store(tmp_path / "c.zarr"))
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
    for path in list(copy.glob("annotation/*-vv-*")):  # of each swath
        shutil.copy(path, path.with_name(path.name.replace("-iw-", "-iw2-")))
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


EOF = """<Earth_Explorer_File><Data_Block><List_of_OSVs>{}</List_of_OSVs></Data_Block>
</Earth_Explorer_File>"""
NEAR_M = 5e-3  # of positions alone, 10 s apart
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
    given = calibrate(
        safe=safe, out=tmp_path / "given.zarr", settings=CalibrateSettings(orbit=folder)
    )
    shifted = calibrate(
        safe=safe, out=tmp_path / "s.zarr", settings=CalibrateSettings(orbit=folder / restituted)
    )
    geometries = [
        ImageGeometry.from_json(open_store(path).attrs["geometry"])
        for path in (own, given, shifted)
    ]
    places = [geometry.orbit.position(np.array(0.5)) for geometry in geometries]
    np.testing.assert_allclose(places[1], places[0], rtol=0, atol=NEAR_M)
    np.testing.assert_allclose(places[2] - places[0], [900, 0, 0], rtol=0, atol=NEAR_M)


@pytest.mark.parametrize(
    "name", ["2023/05/{}.EOF", "{}.eof", "{}.EOF.zip", "S1A/{}.eof.ZIP", "{}.EOF/{}.EOF"]
)
def test_orbit_files_are_found_however_they_are_kept(safe, tmp_path, name) -> None:
    plain = f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}"
    text = orbit_file(safe, tmp_path / "plain", "plain.EOF", shift=900.0) / "plain.EOF"
    kept = tmp_path / "orbits" / name.format(plain, plain)
    kept.parent.mkdir(parents=True)
    if kept.suffix.lower() == ".zip":
        with zipfile.ZipFile(kept, "w") as archive:
            archive.write(text, f"{plain}.EOF")
    else:
        shutil.copy(text, kept)
    own = calibrate(safe=safe, out=tmp_path / "own.zarr")
    places = []
    for orbit in (None, tmp_path / "orbits", kept):
        made = (
            own
            if orbit is None
            else calibrate(
                safe=safe, out=tmp_path / "g.zarr", settings=CalibrateSettings(orbit=orbit)
            )
        )
        geometry = ImageGeometry.from_json(open_store(made).attrs["geometry"])
        places.append(geometry.orbit.position(np.array(0.5)))
    np.testing.assert_allclose(places[1] - places[0], [900, 0, 0], rtol=0, atol=NEAR_M)
    np.testing.assert_array_equal(places[1], places[2])


def test_orbit_files_that_can_not_be_read_are_named(safe, tmp_path) -> None:
    orbits = tmp_path / "orbits"
    orbits.mkdir()
    name = f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}.EOF.zip"
    (orbits / name).write_bytes(b"PK")
    with pytest.raises(InputError, match=r"\.EOF\.zip: not a readable orbit file .*zip file"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", settings=CalibrateSettings(orbit=orbits))
    with zipfile.ZipFile(orbits / name, "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(InputError, match=r"\.EOF\.zip: .*0 \.EOF files inside"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", settings=CalibrateSettings(orbit=orbits))
    (orbits / name).rename(orbits / "orbit.EOF")
    with pytest.raises(InputError, match="no orbit file named as ESA names them"):
        calibrate(
            safe=safe,
            out=tmp_path / "out.zarr",
            settings=CalibrateSettings(orbit=orbits / "orbit.EOF"),
        )


def test_orbit_files_that_do_not_cover_are_refused(safe, tmp_path) -> None:
    old = "S1A_OPER_AUX_POEORB_OPOD_20200603T080617_V20200513T225942_20200515T005942.EOF"
    folder = orbit_file(safe, tmp_path / "orbits", old)
    with pytest.raises(InputError, match="orbits: no orbit file of S1A covers 2023-05-14"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", settings=CalibrateSettings(orbit=folder))
    wrong = folder / f"S1A_OPER_AUX_POEORB_OPOD_20230603T080617_{DAY}.EOF"
    wrong.write_text(EOF.format(OSV.format("2023-05-14T00:00:00.0", 1, 2, 3)))
    with pytest.raises(InputError, match="orbit: 1 state vectors cover"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", settings=CalibrateSettings(orbit=wrong))
    wrong.write_text("<broken")
    with pytest.raises(InputError, match="is damaged"):
        calibrate(safe=safe, out=tmp_path / "out.zarr", settings=CalibrateSettings(orbit=wrong))
    assert not (tmp_path / "out.zarr").exists()


def entities(count: int) -> bytes:
    """XML whose entities are each made of the one before: a parser's stack overflows."""
    chain = "".join(f'<!ENTITY e{i} "&e{i - 1};">' for i in range(1, count))
    return f'<!DOCTYPE p [<!ENTITY e0 "x">{chain}]><p>&e{count - 1};</p>'.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (entities(60_000), "document type"),
        (entities(3), "document type"),
        ("<p/>".encode("utf-16"), "UTF-16"),
        (b"<p/>" + b" " * (64 << 20), "XML of 67 MB"),
        (b"", "is damaged"),
    ],
)
def test_xml_that_could_bring_a_parser_down_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(content, "annotation.xml")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(safe, tmp_path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(f for f in safe.rglob("*") if f.is_file()):
            name = f"{safe.name}/{file.relative_to(safe)}"
            large = "annotation/s1" in name
            archive.writestr(name, b" " * (65 << 20) if large else file.read_bytes())
    with pytest.raises(InputError, match=r"x\.zip: .*annotation/s1.* has 68 MB"):
        open_product(path).xml("annotation", "vv")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_two_members_of_one_name_is_refused(safe, tmp_path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(f for f in safe.rglob("*") if f.is_file()):
            name = f"{safe.name}/{file.relative_to(safe)}"
            for _ in range(2 if "measurement" in name else 1):
                archive.writestr(name, file.read_bytes())
    with pytest.raises(InputError, match=r"x\.zip: two members of the zip are called .*tiff"):
        open_product(path)
