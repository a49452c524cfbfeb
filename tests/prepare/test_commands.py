"""`init` and `map --dry-run`: what is found out, written and refused."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from floodloom.cli import main
from floodloom.config.load import load_config, load_scenes


def init(*arguments: object) -> int:
    return main(["init", *map(str, arguments)])


def written(out: Path) -> dict:
    return yaml.safe_load((out / "config.yaml").read_text())


def test_two_products_become_an_event(own: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "beira"
    given = ("--scenes", own / "pre.SAFE", own / "post.SAFE", "--dem", own / "dem.tif")
    assert init(*given, "--out", out) == 0
    said = capsys.readouterr().out
    for text in (
        "after: " + str(own / "post.SAFE"),
        "before: " + str(own / "pre.SAFE"),
        "2023-05-14 16:58, S1A, ascending, relative orbit 44, VV and VH",
        "ellipsoid heights (assumed: nothing states it)",
        "EPSG:32633",
        "snakemake --snakefile ",
    ):
        assert text in said
    content = written(out)
    assert content["run"] == {"name": "beira", "checkpoint": "default"}
    event = content["events"]["beira"]
    assert event["split"] == "target"
    assert (out / event["dem"]).resolve() == (own / "dem.tif").resolve()
    assert str(own) not in (out / "config.yaml").read_text() + (out / "scenes.tsv").read_text()
    assert content["geocode"] == {"resolution": 10, "dem_heights": "ellipsoid"}
    scenes = load_scenes(load_config(content), out)
    assert [(s.role, Path(s.source).name, str(s.date)) for s in scenes.values()] == [
        ("after", "post.SAFE", "2023-05-14 16:58:21"),
        ("before", "pre.SAFE", "2023-05-02 16:58:21"),
    ]


def test_what_is_written_is_left_alone(own: Path, tmp_path: Path, capsys) -> None:
    given = ("--scenes", own / "post.SAFE", "--dem", own / "dem.tif", "--out", tmp_path / "x")
    assert init(*given) == 0
    config = tmp_path / "x" / "config.yaml"
    time = config.stat().st_mtime_ns
    assert init(*given) == 0
    assert config.stat().st_mtime_ns == time
    config.write_text(config.read_text().replace("threshold: 50", "threshold: 40"))
    assert init(*given) == 1
    assert "there already" in capsys.readouterr().err
    assert "threshold: 40" in config.read_text()


def test_paths_within_the_folder_are_relative(own: Path, tmp_path: Path) -> None:
    (tmp_path / "dem.tif").write_bytes((own / "dem.tif").read_bytes())
    given = ("--scenes", own / "post.SAFE", "--dem", tmp_path / "dem.tif", "--out", tmp_path)
    assert init(*given, "--name", "x") == 0
    assert written(tmp_path)["events"]["x"]["dem"] == "dem.tif"


def test_a_part_is_mapped_on_a_grid_of_its_own(own: Path, tmp_path: Path, capsys) -> None:
    with rasterio.open(own / "dem.tif") as raster:
        bounds = rasterio.warp.transform_bounds(raster.crs, 4326, *raster.bounds)
    lon, lat = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    given = ("--scenes", own / "post.SAFE", "--dem", own / "dem.tif", "--out", tmp_path / "x")
    assert init(*given, f"--place={lon},{lat},0.5") == 0
    geocode = written(tmp_path / "x")["geocode"]
    left, bottom, right, top = geocode["bounds"]
    assert geocode["epsg"] == 32633
    assert right - left == pytest.approx(1000, abs=30)
    assert top - bottom == pytest.approx(1000, abs=30)
    assert "map: 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--scenes {own}/post.SAFE", "post.SAFE: a product needs elevations"),
        ("--scenes {own}/pre.SAFE --before {own}/post.SAFE --dem {own}/dem.tif", "not before"),
        ("--scenes {own}/post.SAFE --dem {own}/dem.tif --bbox=20,45,21,46", "nothing of the area"),
        ("--scenes {own}/post.SAFE --dem {own}/dem.tif --bbox -70,45,-69,46", "nothing of the"),
        ("--scenes {own}/none.SAFE --dem {own}/dem.tif", "none.SAFE: "),
        ("--scenes {own}/post.SAFE --dem {own}/none.tif", "none.tif"),
        ("--scenes {own}/post.SAFE --height 100 --quantity gamma0", "backscatter"),
    ],
)
def test_what_cannot_work_is_one_line(own, tmp_path, capsys, arguments: str, said: str) -> None:
    assert init(*arguments.format(own=own).split(), "--out", tmp_path / "x") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert said in lines[-1]
    assert len(lines) == 1
    assert not (tmp_path / "x").exists()


def backscatter(folder: Path, time: str, east: float = 500_000) -> Path:
    """Gamma0 of 20 m that others have terrain-corrected, a file for each polarisation."""
    draw = np.random.default_rng(0)
    for band, mean in (("VV", 0.1), ("VH", 0.02)):
        power = draw.gamma(5, mean / 5, (1, 96, 96)).astype(np.float32)
        path = folder / f"S1A_{time}_gamma0_power_{band}.tif"
        where = from_origin(east, 5_000_000, 20, 20)
        with rasterio.open(
            path, "w", "GTiff", 96, 96, 1, "EPSG:32633", where, dtype="float32"
        ) as raster:
            raster.write(power)
    return folder / f"S1A_{time}_gamma0_power_VV.tif"


def test_backscatter_of_others_needs_no_elevations(tmp_path: Path, capsys) -> None:
    after, before = (backscatter(tmp_path, t) for t in ("20230514T165821", "20230502T165821"))
    assert init("--scenes", before, after, "--out", tmp_path / "x") == 0
    said = capsys.readouterr().out
    assert "terrain-corrected" in said
    assert "quantity gamma0" in said
    assert "px of 20 m" in said
    assert written(tmp_path / "x")["geocode"] == {"resolution": 20}
    rows = (tmp_path / "x" / "scenes.tsv").read_text().splitlines()
    assert rows[1].split("\t")[0] == "after-20230514"
    assert len(rows[1].split("\t")) == 4  # the names state the dates


def test_backscatter_of_other_ground_is_refused(tmp_path: Path, capsys) -> None:
    after = backscatter(tmp_path, "20230514T165821")
    before = backscatter(tmp_path, "20230502T165821", east=600_000)
    assert init("--scenes", after, "--before", before, "--out", tmp_path / "x") == 1
    assert "no overlap" in capsys.readouterr().err


def test_files_of_the_polarisations_of_a_scene_are_one(tmp_path: Path) -> None:
    shape = (200, 200)
    place = {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 10, 10)}
    options = {"driver": "GTiff", "count": 1, "dtype": "float32", "width": 200, "height": 200}
    files = [tmp_path / f"{when} {band}.tif" for when in ("in", "out") for band in ("VV", "VH")]
    for file, level in zip(files, (-20, -26, -8, -14), strict=True):
        with rasterio.open(file, "w", **options, **place) as raster:
            raster.write(
                np.full(shape, level, "float32") + np.arange(200, dtype="float32") / 100, 1
            )
    given = ("--scenes", *files[:2], "--before", *files[2:], "--quantity", "gamma0")
    assert init(*given, "--out", tmp_path / "x") == 0
    scenes = load_scenes(load_config(written(tmp_path / "x")), tmp_path / "x")
    assert [(s.role, Path(s.source).name) for s in scenes.values()] == [
        ("after", "in VV.tif"),
        ("before", "out VV.tif"),
    ]
