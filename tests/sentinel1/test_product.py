import shutil
import zipfile

import pytest

from floodloom.errors import FloodloomError, InputError
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
