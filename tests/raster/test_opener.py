"""No raster file makes floodloom read another one, or anything of the network."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window as RasterWindow

from floodloom.errors import InputError
from floodloom.raster.foreign import Kind, open_foreign
from floodloom.raster.opener import is_whole, open_raster
from tests.raster.test_foreign import write

GRID = GeoBox((40, 60), Affine(20.0, 0, 500000.0, 0, -20.0, 5100000.0), "EPSG:32633")
SECRET, OWN = 4321.0, 7.0
KIND = Kind("elevation raster", low=-500, high=9000)


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def flat(path: Path, value: float = OWN) -> Path:
    return write(path, np.full(GRID.shape.yx, value, "float32"), GRID)


def vrt(target: object) -> str:
    return (
        '<VRTDataset rasterXSize="60" rasterYSize="40"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000,20,0,5100000,0,-20</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename>'
        f"{target}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )


REFERENCES = {
    "a file": lambda secret, url: vrt(secret),
    "a file, after blanks": lambda secret, url: "\ufeff\n  " + vrt(secret),
    "an address": lambda secret, url: vrt(f"/vsicurl/{url}/x.tif"),
    "a service": lambda secret, url: (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{x}}</ServerUrl></Service></GDAL_WMS>'
    ),
    "an index of tiles": lambda secret, url: (
        f"<GDALTileIndexDataset><IndexDataset>{url}/i.gpkg</IndexDataset></GDALTileIndexDataset>"
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("called", ["x.tif", "x.vrt", "x"])
def test_texts_that_name_others_are_refused(tmp_path, address, name, called) -> None:
    url, asked = address
    (tmp_path / called).write_text(REFERENCES[name](flat(tmp_path / "secret.tif", SECRET), url))
    with pytest.raises(InputError, match=r"x\S*: names other files or services .*gdal_translate"):
        open_foreign(tmp_path / called, KIND)
    assert not asked


@pytest.mark.parametrize("ending", [".msk", ".MSK"])
def test_a_mask_beside_a_file_is_a_geotiff(tmp_path, address, ending) -> None:
    url, asked = address
    file = flat(tmp_path / "x.tif")
    Path(f"{file}{ending}").write_text(vrt(f"/vsicurl/{url}/x.tif"))
    with pytest.raises(InputError, match=r"x\.tif\.\w+: names other files"):
        open_foreign(file, KIND)
    assert not asked


def test_companions_are_regular_files_of_the_folder(tmp_path) -> None:
    flat(tmp_path / "secret.msk.tif", 0)
    (tmp_path / "given").mkdir()
    file = flat(tmp_path / "given" / "x.tif")
    beside = Path(f"{file}.msk")
    beside.symlink_to(tmp_path / "secret.msk.tif")
    with pytest.raises(InputError, match="a link out of its folder"):
        open_foreign(tmp_path / "given", KIND)
    beside.unlink()

    for ending in (".aux.xml", ".msk"):
        os.mkfifo(f"{file}{ending}")
        with pytest.raises(InputError, match="a pipe, a socket or a device"):
            open_foreign(file, KIND)
        Path(f"{file}{ending}").unlink()


def test_what_says_where_a_file_lies_and_masks_it_is_obeyed(tmp_path) -> None:
    file = flat(tmp_path / "x.tif")
    with rasterio.open(file, "r+") as raster, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        mask = np.ones(GRID.shape.yx, bool)
        mask[:5] = False
        raster.write_mask(mask)
    assert Path(f"{file}.msk").exists()
    found = open_foreign(file, KIND).read()
    assert np.isnan(found[:5]).all()
    assert (found[5:] == OWN).all()

    plain = tmp_path / "w.tif"
    with rasterio.open(
        plain, "w", driver="GTiff", dtype="uint8", count=1, height=4, width=6
    ) as new:
        new.write(np.ones((1, 4, 6), "uint8"))
    (tmp_path / "w.TFW").write_text("20\n0\n0\n-20\n500010\n5099990\n")
    assert open_foreign(plain, KIND).geobox.affine == GRID.affine


def test_metadata_that_name_a_file_of_overviews_are_refused(tmp_path, address) -> None:
    url, asked = address
    for number, target in enumerate((f"/vsicurl/{url}/x.tif", flat(tmp_path / "secret.tif"))):
        file = flat(tmp_path / f"{number}.tif")
        with rasterio.open(file, "r+") as raster:
            raster.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(target))
        assert not Path(f"{file}.aux.xml").exists()  # it is in the file itself
        with pytest.raises(InputError, match="its metadata name another file"):
            open_foreign(file, KIND)
        assert not is_whole(file)
    assert not asked


@pytest.mark.parametrize("link", ["../secret.tif", "/dev/zero"])
def test_links_in_a_folder_that_is_given_stay_in_it(tmp_path, link) -> None:
    flat(tmp_path / "secret.tif", SECRET)
    flat(tmp_path / "a.tif")
    (tmp_path / "tiles").mkdir()
    flat(tmp_path / "tiles" / "a.tif")
    (tmp_path / "tiles" / "b.tif").symlink_to(link)
    with pytest.raises(InputError, match=r"b\.tif: a (link out of its folder|pipe)"):
        open_foreign(tmp_path / "tiles", KIND)
    (tmp_path / "link.tif").symlink_to("a.tif")
    assert (open_foreign(tmp_path / "link.tif", KIND).read() == OWN).all()


def test_blocks_that_nobody_could_read_are_refused(tmp_path) -> None:
    """A file of some kilobytes, of which one pixel would take gigabytes."""
    sizes: dict[str, dict[str, object]] = {
        "wide": {"height": 65536, "width": 65536, "count": 1, "blockxsize": 65536,
                 "blockysize": 32768, "tiled": True},
        "many bands": {"height": 512, "width": 512, "count": 5000, "blockxsize": 512,
                       "blockysize": 512, "tiled": True, "interleave": "pixel"},
    }  # fmt: skip
    for name, facts in sizes.items():
        path = tmp_path / f"{name}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", dtype="uint8", crs="EPSG:32633", transform=GRID.affine,
            compress="deflate", SPARSE_OK=True, **facts,
        ):  # fmt: skip
            pass
        with pytest.raises(InputError, match=rf"{name}\.tif: stored in blocks of .*TILED=YES"):
            open_foreign(path, KIND, bands=None)


def test_damage_is_one_line_wherever_it_shows(tmp_path) -> None:
    path = write(tmp_path / "x.tif", np.random.default_rng(0).random((400, 600), "float32"), GRID)
    content = path.read_bytes()
    for length in (3, 9, 200, len(content) // 2):
        path.write_bytes(content[:length])
        with (
            pytest.raises(InputError, match=r"x\.tif: not a readable raster") as caught,
            open_raster(path, "raster") as raster,
        ):
            raster.read(1, window=RasterWindow(0, 300, 600, 100))
        assert "\n" not in str(caught.value)


def test_grids_that_can_t_be_told_are_refused(tmp_path) -> None:
    ones = np.ones((4, 6), "float32")
    for crs, message in (
        ('LOCAL_CS["site",UNIT["metre",1]]', "isn't a map's"),
        ("EPSG:4978", "isn't a map's"),
    ):
        with pytest.raises(InputError, match=message):
            open_foreign(write(tmp_path / "c.tif", ones, GRID[:4, :6], crs=crs), KIND)
    for factors in ({"scales": (0.0,)}, {"scales": (np.inf,)}, {"offsets": (np.nan,)}):
        with pytest.raises(InputError, match="leave no numbers"):
            open_foreign(write(tmp_path / "s.tif", ones, GRID[:4, :6], **factors), KIND)
