"""What a source holds follows from its content alone, read again only when it may have changed."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from floodloom.workflow import sources
from floodloom.workflow.sources import Sources, belonging

OLD = 1_000_000_000


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory" / "sources.json"


def digest(memory: Path, path: Path) -> str:
    return Sources(memory).digest(path)


def written(path: Path, text: str, age: int = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (age, age))
    return path


def test_other_content_of_the_same_age_and_size_is_another_source(memory, tmp_path) -> None:
    file = written(tmp_path / "dem.tif", "one")
    first = digest(memory, file)
    written(file, "two")
    assert digest(memory, file) != first
    file.unlink()
    written(file, "one")
    assert digest(memory, file) == first


def test_a_touched_or_copied_source_is_the_same(memory, tmp_path) -> None:
    folder = tmp_path / "A.SAFE"
    written(folder / "measurement/vv.tiff", "vv")
    written(folder / "manifest.safe", "manifest")
    first = digest(memory, folder)
    os.utime(folder / "measurement/vv.tiff")
    os.utime(folder)
    assert digest(memory, folder) == first
    shutil.copytree(folder, tmp_path / "elsewhere/A.SAFE")
    assert digest(memory, tmp_path / "elsewhere/A.SAFE") == first
    (folder / "measurement/vv.tiff").rename(folder / "measurement/vh.tiff")
    assert digest(memory, folder) != first


def test_a_large_file_is_read_once(memory, tmp_path, monkeypatch) -> None:
    with zipfile.ZipFile(tmp_path / "A.zip", "w") as archive:
        archive.writestr("a", "a" * 1000)
    monkeypatch.setattr(sources, "_SETTLED_NS", -(10**10))
    first = digest(memory, tmp_path / "A.zip")

    def unread(file: Path) -> str:
        raise AssertionError(f"{file} was read again")

    monkeypatch.setattr(sources, "_hash", unread)
    assert digest(memory, tmp_path / "A.zip") == first
    os.utime(tmp_path / "A.zip")
    with pytest.raises(AssertionError, match="read again"):
        digest(memory, tmp_path / "A.zip")


def test_a_file_changed_this_instant_is_not_remembered(memory, tmp_path) -> None:
    file = written(tmp_path / "a.tif", "one")
    digest(memory, file)
    assert not memory.exists()


def test_a_damaged_memory_costs_nothing_but_time(memory, tmp_path) -> None:
    file = written(tmp_path / "a.tif", "one")
    first = digest(memory, file)
    written(memory, "[half")
    assert digest(memory, file) == first


def test_sidecars_and_parts_belong_to_a_raster(tmp_path) -> None:
    for name in ("dem.tif", "dem.tif.ovr", "dem.tfw", "dem.txt", "dem2.tif", "other.tif"):
        written(tmp_path / name, name)
    assert {p.name for p in belonging(tmp_path / "dem.tif")} == {
        "dem.tif",
        "dem.tif.ovr",
        "dem.tfw",
    }
    zones = [written(tmp_path / f"zones.{suffix}", suffix) for suffix in ("shp", "dbf", "shx")]
    assert set(belonging(zones[0])) == set(zones)


def test_links_that_go_round_end(tmp_path) -> None:
    file = written(tmp_path / "a" / "b" / "x.tif", "x")
    for number in range(3):
        (tmp_path / "a" / f"up{number}").symlink_to(tmp_path / "a")
        (tmp_path / "a" / "b" / f"round{number}").symlink_to(tmp_path)
    assert list(belonging(tmp_path / "a")) == [file]


def test_both_polarisations_belong_to_a_terrain_corrected_product(tmp_path) -> None:
    vv, vh = (written(tmp_path / f"iw-{name}.rtc.tiff", name) for name in ("vv", "vh"))
    assert set(belonging(vv)) == {vv, vh}


def test_what_a_vrt_names_belongs_to_it(tmp_path) -> None:
    rectangle = 'xOff="0" yOff="0" xSize="1" ySize="1"'
    source = (
        '<VRTRasterBand band="1"><SimpleSource><SourceFilename relativeToVRT="1">{}'
        f"</SourceFilename><SrcRect {rectangle}/><DstRect {rectangle}/></SimpleSource>"
        "</VRTRasterBand>"
    )
    parts = [written(tmp_path / "in" / name, name) for name in ("a.tif", "b.tif")]
    bands = "".join(source.format(part.name) for part in parts)
    text = f'<VRTDataset rasterXSize="1" rasterYSize="1">{bands}</VRTDataset>'
    both = written(tmp_path / "in" / "s.vrt", text)
    assert set(belonging(both)) == {both, *parts}


def test_statistics_that_a_gis_writes_are_no_change(memory, tmp_path) -> None:
    file = written(tmp_path / "dem.tif", "dem")
    sidecar = "<PAMDataset><PAMRasterBand>{}</PAMRasterBand></PAMDataset>"
    statistics = '<Metadata><MDI key="STATISTICS_MAXIMUM">3</MDI></Metadata>'
    first = digest(memory, file)
    written(tmp_path / "dem.tif.aux.xml", sidecar.format(statistics))
    assert digest(memory, file) == first
    written(tmp_path / "dem.tif.aux.xml", sidecar.format("<NoDataValue>0</NoDataValue>"))
    assert digest(memory, file) != first


def test_a_listing_follows_names_sizes_and_times(memory, tmp_path) -> None:
    file = written(tmp_path / "data/a/vv.tif", "vv")
    known = Sources(memory)
    first = known.listing(tmp_path / "data")
    assert known.listing(tmp_path / "data") == first
    os.utime(file, (OLD + 1, OLD + 1))
    assert known.listing(tmp_path / "data") != first


def test_what_is_not_there_is_missing(memory, tmp_path) -> None:
    assert digest(memory, tmp_path / "none.tif") == "missing"


def test_thousands_of_sources_are_listed_once_and_remembered_at_the_end(
    memory, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(sources, "_SETTLED_NS", -(10**10))
    listed, names = [], sources._list
    monkeypatch.setattr(sources, "_list", lambda folder: listed.append(folder) or names(folder))
    files = [written(tmp_path / "in" / f"{n}.tif", str(n)) for n in range(20)]
    known = Sources(memory)
    first = [known.digest(file) for file in files]
    assert len(set(first)) == 20
    assert listed == [tmp_path / "in"]
    assert memory.read_text().count(".tif") < 20
    known._remember()
    assert memory.read_text().count(".tif") == 20
    assert [Sources(memory).digest(file) for file in files] == first
