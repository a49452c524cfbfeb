"""The mosaics of ETCI 2021."""

import numpy as np
import pytest
from PIL import Image

from floodloom.datasets import etci2021
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store
from floodloom.stages.ingest import ingest
from floodloom.stages.tile import tile
from floodloom.tiles.settings import TileSettings
from floodloom.tiles.store import open_tiles


def write_etci(
    root, labelled: bool = True, folder: str = "labelled", name: str = "place_20200102t030405"
) -> None:
    draw = np.random.default_rng(0)
    tiles = root / folder / name / "tiles"
    for folder in ["vv", "vh", *(["flood_label", "water_body_label"] if labelled else [])]:
        (tiles / folder).mkdir(parents=True)
        suffix = f"_{folder}" if folder in ("vv", "vh") else ""
        for row, col in [(3, 5), (4, 6)]:
            values = draw.integers(1, 255, (256, 256)).astype("uint8")
            if suffix == "":
                values = np.where(values > 200, 255, 0).astype("uint8")
            if (row, col) == (4, 6) and suffix:
                values[:10] = 0
            file = f"{name}_x-{row}_y-{col}{suffix}.png"
            Image.fromarray(values).save(tiles / folder / file)


def test_mosaic_is_rebuilt_from_the_names(tmp_path) -> None:
    write_etci(tmp_path)
    found = etci2021.read_scene(tmp_path, "place_20200102t030405")
    tiles = tmp_path / "labelled" / "place_20200102t030405" / "tiles"
    first = np.asarray(Image.open(tiles / "vv" / "place_20200102t030405_x-3_y-5_vv.png"))
    np.testing.assert_array_equal(found.scene.vv[:256, :256], first)
    assert found.scene.vv.shape == (512, 512)
    assert found.scene.vv[:256, 256:].isnull().all()
    assert found.scene.vv[256:266, 256:].isnull().all()
    assert (found.label[256:266, 256:] == 255).all()
    flood = np.asarray(Image.open(tiles / "flood_label" / "place_20200102t030405_x-3_y-5.png"))
    permanent = np.asarray(
        Image.open(tiles / "water_body_label" / "place_20200102t030405_x-3_y-5.png")
    )
    expected = np.where(permanent > 0, 1, np.where(flood > 0, 2, 0))
    np.testing.assert_array_equal(found.label[:256, :256], expected)


def test_ingest_and_tile_agree(tmp_path) -> None:
    write_etci(tmp_path / "data")
    scene = ingest(
        dataset="etci2021",
        root=tmp_path / "data",
        scene="place_20200102t030405",
        out=tmp_path / "place_20200102t030405.zarr",
        labels=tmp_path / "labels.tif",
    )
    direct = tile(
        out=tmp_path / "a.zarr",
        settings=TileSettings(dataset="etci2021", root=tmp_path / "data", event="e"),
    )
    through = tile(
        scene=[scene],
        labels=tmp_path / "labels.tif",
        out=tmp_path / "b.zarr",
        settings=TileSettings(event="e"),
    )
    one, other = open_tiles(direct), open_tiles(through)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.label, other.label)
    assert list(one.tile_id.values) == list(other.tile_id.values)
    assert geobox_of(open_store(scene)).crs is None


def test_unlabelled_scene_becomes_target_tiles(tmp_path) -> None:
    write_etci(tmp_path / "data", labelled=False)
    tiles = open_tiles(
        tile(
            out=tmp_path / "a.zarr",
            settings=TileSettings(dataset="etci2021", root=tmp_path / "data"),
        )
    )
    assert set(tiles.split.values) == {"target"}
    assert (tiles.label == 255).all()


def test_what_labels_csv_says_reaches_the_tiles(tmp_path) -> None:
    write_etci(tmp_path / "data", labelled=False)
    name = "place_20200102t030405"
    table = tmp_path / "data" / "labelled" / name / "tiles" / "labels.csv"
    table.write_text(
        f"tile,flood_label,water_body_label\n{name}_x-3_y-5.png,0,0\n{name}_x-4_y-6.png,0,1\n"
    )
    scene = ingest(dataset="etci2021", root=tmp_path / "data", scene=name, out=tmp_path / "s.zarr")
    whole = TileSettings(size=128, dataset="etci2021", root=tmp_path / "data")
    for number, (scenes, settings) in enumerate((([scene], TileSettings(size=128)), ((), whole))):
        out = tile(out=tmp_path / f"{number}.zarr", scene=scenes, settings=settings)
        tiles = open_tiles(out)
        wet = (tiles.row.values >= 256) & (tiles.col.values >= 256)
        np.testing.assert_array_equal(tiles.tile_label, np.where(wet, 1, 0))


def test_a_tile_that_labels_csv_says_nothing_of_is_unknown(tmp_path) -> None:
    write_etci(tmp_path, labelled=False)
    name = "place_20200102t030405"
    table = tmp_path / "labelled" / name / "tiles" / "labels.csv"
    for told, expected in (("0,", 255), (",", 255), ("0,NA", 255), ("0,0", 0), (",1", 1)):
        table.write_text(f"tile,flood_label,water_body_label\n{name}_x-3_y-5.png,{told}\n")
        found = etci2021.read_scene(tmp_path, name).scene.tile_label.values
        assert np.unique(found[:256, :256]).tolist() == [expected], told


def etci_tile(tiles, folder: str, name: str, values) -> None:
    (tiles / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(tiles / folder / name)


@pytest.mark.parametrize(("row", "col"), [(120, 120), (10**9, 0), (0, 10**30)])
def test_tiles_that_names_put_far_apart_are_refused(tmp_path, row, col) -> None:
    tiles = tmp_path / "ev_20200101" / "tiles"
    for band in ("vv", "vh"):
        for place in ("x-0_y-0", f"x-{row}_y-{col}"):
            etci_tile(tiles, band, f"s_{place}_{band}.png", np.zeros((256, 256), "uint8"))
    with pytest.raises(InputError, match=r"2 tiles are spread over .*fetch them again"):
        etci2021.read_scene(tmp_path, "ev_20200101")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((5000, 10), "uint8"), "px; chips have at most 4,096"),
        (np.zeros((10, 5000), "uint8"), "px; chips have at most 4,096"),
        (np.zeros((100, 256), "uint8"), r"\(100, 256\) px, not 256 x 256"),
        (np.zeros((256, 256), "uint16"), "values, not 8 bits"),
    ],
)
def test_chips_of_another_size_or_depth_are_refused(tmp_path, values, message) -> None:
    tiles = tmp_path / "ev_20200101" / "tiles"
    for band in ("vv", "vh"):
        etci_tile(tiles, band, f"s_x-0_y-0_{band}.png", values)
    with pytest.raises(InputError, match=message):
        etci2021.read_scene(tmp_path, "ev_20200101")


@pytest.mark.parametrize("content", [b"tile\nx\n", b"\xff\xfe", b'"' + b"x" * 200_000])
def test_a_damaged_table_of_labels_is_one_line(tmp_path, content) -> None:
    write_etci(tmp_path, labelled=False)
    table = next(tmp_path.glob("**/tiles")) / "labels.csv"
    table.write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.csv: not a readable table"):
        etci2021.read_scene(tmp_path, "place_20200102t030405")


def test_scenes_are_split_as_published(tmp_path) -> None:
    root = tmp_path / "data"
    write_etci(root, folder="train", name="bangladesh_20170314t115609")
    write_etci(root, folder="test", name="florida_20160924t234614")
    write_etci(root, False, folder="test_internal", name="redrivernorth_20190104t002247")
    settings = TileSettings(dataset="etci2021", root=root, size=256, split="blocks", event="e")
    tiles = open_tiles(tile(out=tmp_path / "t.zarr", settings=settings))
    found = set(zip(tiles.event.values, tiles.split.values, strict=True))
    assert found == {("bangladesh", "train"), ("florida", "test"), ("redrivernorth", "target")}


def test_real_etci_has_no_split_of_its_own(shared_data) -> None:
    found = etci2021.read_scene(shared_data / "etci2021", "northal_20190302t234651")
    assert (found.event, found.split) == ("northal", None)
    assert 0.02 < (found.label[found.label != 255] > 0).mean() < 0.2
