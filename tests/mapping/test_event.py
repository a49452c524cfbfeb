from pathlib import Path

import pytest

from floodloom.learning.relabelling.audit import names_of
from floodloom.mapping.settings import event_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/maps/dunlin/flood.tif", "dunlin"),
        ("/home/anna/dunlin/flood.tif", "dunlin"),
        ("/home/anna/flood.tif", "flood"),
        ("/Users/anna/flood.json", "flood"),
        ("/flood.tif", "flood"),
        (str(Path.home() / "maps.tif"), "maps"),
    ],
)
def test_an_event_is_called_by_its_folder_but_not_by_a_person(path: str, name: str) -> None:
    assert event_of(path) == name


def test_nobody_needs_a_home(monkeypatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert event_of("/data/dunlin/flood.tif") == "dunlin"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/home/anna/m/unet-0.safetensors"], ["unet-0.safetensors"]),
        (["/a/m/unet-0.s", "/a/m/unet-1.s"], ["unet-0.s", "unet-1.s"]),
        (["/home/anna/r0/unet-0.s", "/home/anna/r1/unet-0.s"], ["r0/unet-0.s", "r1/unet-0.s"]),
        (["/home/anna/m.s", "/home/anna/m.s"], ["m.s", "m.s"]),
        (["/anna/a/b/c/m.s", "/bob/a/b/c/m.s"], ["1", "2"]),
        ([], []),
    ],
)
def test_files_have_names_without_a_place(paths: list[str], names: list[str]) -> None:
    assert names_of(paths) == names
