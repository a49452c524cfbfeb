from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodloom.datasets import catalogue, etci2021, ombria
from floodloom.datasets.scenes import read_mask, read_png
from floodloom.errors import InputError
from floodloom.raster.grid import geobox_of
from floodloom.raster.store import open_store
from floodloom.stages.ingest import ingest
from floodloom.stages.tile import tile
from floodloom.tiles.store import open_tiles


def write_etci(root, labelled: bool = True) -> None:
    draw = np.random.default_rng(0)
    tiles = root / "labelled" / "place_20200102t030405" / "tiles"
    folders = ["vv", "vh", *(["flood_label", "water_body_label"] if labelled else [])]
    for folder in folders:
        (tiles / folder).mkdir(parents=True)
        suffix = f"_{folder}" if folder in ("vv", "vh") else ""
        for row, col in [(3, 5), (4, 6)]:
            values = draw.integers(1, 255, (256, 256)).astype("uint8")
            if suffix == "":
                values = np.where(values > 200, 255, 0).astype("uint8")
            if (row, col) == (4, 6) and suffix:
                values[:10] = 0
            name = f"place_20200102t030405_x-{row}_y-{col}{suffix}.png"
            Image.fromarray(values).save(tiles / folder / name)


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
    direct = tile(dataset="etci2021", root=tmp_path / "data", out=tmp_path / "a.zarr", event="e")
    through = tile(
        scene=[scene], labels=tmp_path / "labels.tif", out=tmp_path / "b.zarr", event="e"
    )
    one, other = open_tiles(direct), open_tiles(through)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.label, other.label)
    assert list(one.tile_id.values) == list(other.tile_id.values)
    assert geobox_of(open_store(scene)).crs is None


def test_unlabelled_scene_becomes_target_tiles(tmp_path) -> None:
    write_etci(tmp_path / "data", labelled=False)
    tiles = open_tiles(tile(dataset="etci2021", root=tmp_path / "data", out=tmp_path / "a.zarr"))
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
    for options in ({"scene": [scene]}, {"dataset": "etci2021", "root": tmp_path / "data"}):
        out = tile(out=tmp_path / f"{len(options)}.zarr", size=128, **options)
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


def mask(folder: Path, values: np.ndarray, mode: str = "L") -> Path:
    image = Image.fromarray(values.astype("uint8"), mode="L")
    image.convert(mode).save(folder / "mask.png")
    return folder / "mask.png"


@pytest.mark.parametrize("value", [1, 100, 127, 128, 254])
def test_what_a_mask_does_not_say_is_unknown(tmp_path, caplog, value: int) -> None:
    values = np.zeros((8, 8))
    values[:2], values[2:4] = 255, value
    found = read_mask(mask(tmp_path, values))
    assert found[:, 0].tolist() == [1, 1, 255, 255, 0, 0, 0, 0]
    assert f"16 px are neither 0 nor 255, such as {value}" in caplog.text


def test_a_picture_is_no_mask(tmp_path) -> None:
    with pytest.raises(InputError, match=r"mask\.png: a picture of 3 bands, no mask"):
        read_mask(mask(tmp_path, np.zeros((8, 8)), "RGB"))


@pytest.mark.parametrize("dataset", ["etci2021", "ombria", "stac-overflow", "sen1floods11"])
def test_missing_data_set_says_where_it_is_published(tmp_path, dataset: str) -> None:
    with pytest.raises(InputError, match=r"not found; it is published at https://.*data_root"):
        tile(dataset=dataset, root=tmp_path / "nowhere", out=tmp_path / "t.zarr")
    assert not (tmp_path / "t.zarr").exists()


def test_unknown_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"dataset 'nope' is not known; choose one of etci2021"):
        tile(dataset="nope", root=tmp_path / "data", out=tmp_path / "t.zarr")


def test_real_ombria(shared_data, tmp_path) -> None:
    chips = ombria.chips(shared_data / "ombria")
    splits = np.asarray(chips.splits)
    assert chips.image.shape == (694, 2, 256, 256)
    assert (splits == "test").sum() == 70
    assert 0.25 < (chips.label == 1).mean() < 0.4
    with_optical = np.isfinite(chips.optical).all(axis=(1, 2, 3))
    assert with_optical[splits != "test"].sum() == 312
    assert with_optical[splits == "test"].all()
    np.testing.assert_allclose(chips.image.mean(axis=(2, 3)), 0.0, atol=1e-3)


def test_real_stac_overflow_keeps_missing_data_missing(shared_data) -> None:
    found = catalogue.read_scene("stac-overflow", shared_data / "c2s_stac_overflow", "awc00")
    missing = found.scene.vv.isnull()
    assert 0.2 < float(missing.mean()) < 0.3
    assert (found.label[missing.values] == 255).mean() > 0.9
    assert geobox_of(found.scene).crs.projected


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


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(20), b"GIF89a", b"<html>"])
def test_what_is_no_png_is_one_line(tmp_path, content) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.png: not a readable PNG .*fetch it again"):
        read_png(tmp_path / "x.png")


@pytest.mark.parametrize("content", [b"tile\nx\n", b"\xff\xfe", b'"' + b"x" * 200_000])
def test_a_damaged_table_of_labels_is_one_line(tmp_path, content) -> None:
    write_etci(tmp_path, labelled=False)
    table = next(tmp_path.glob("**/tiles")) / "labels.csv"
    table.write_bytes(content)
    with pytest.raises(InputError, match=r"labels\.csv: not a readable table"):
        etci2021.read_scene(tmp_path, "place_20200102t030405")
