"""No stage writes where its inputs lie, by whatever name; nothing is touched then."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from floodloom.cli import main
from floodloom.errors import InputError
from floodloom.settings import arguments_of, groups
from floodloom.stages import STAGES
from tests.stages.jobs import Arguments, arguments, command


def function(stage: str) -> Any:
    return getattr(import_module(f"floodloom.stages.{stage}"), stage)


def call(stage: str, given: Arguments) -> Any:
    return function(stage)(**arguments_of(function(stage), given))


def inputs(stage: str, given: Arguments) -> list[Path]:
    values = [given[name] for name in function(stage).inputs if name in given]
    several = [value if isinstance(value, list) else [value] for value in values]
    return [path for paths in several for path in paths if isinstance(path, Path)]  # not names


def laid(stage: str, folder: Path) -> Arguments:
    """Lay files and folders where a stage looks for its inputs: what they hold isn't asked."""
    given = arguments(stage, folder / "have", folder / "out")
    for path in inputs(stage, given):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".zarr", ".SAFE", ""):
            (path / "deep").mkdir(parents=True, exist_ok=True)
            (path / "deep" / "file").write_text("precious")
        else:
            path.write_text(f"precious {path.name}")
    return given


def digest(folder: Path) -> str:
    """Digest of everything below a folder: names, kinds, links and contents."""
    found = [
        (str(path.relative_to(folder)), path.is_symlink() and str(path.readlink()),
         path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    ]  # fmt: skip
    return hashlib.sha256(repr(found).encode()).hexdigest()


def the_input(path: Path, folder: Path) -> Path:
    return path


def by_dots(path: Path, folder: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def by_link(path: Path, folder: Path) -> Path:
    link = folder / f"link{path.suffix}"
    link.symlink_to(path)
    return link


def by_linked_parent(path: Path, folder: Path) -> Path:
    (folder / "linked").symlink_to(path.parent, target_is_directory=True)
    return folder / "linked" / path.name


def by_hard_link(path: Path, folder: Path) -> Path:
    if path.is_dir():
        return path
    os.link(path, folder / f"hard{path.suffix}")
    return folder / f"hard{path.suffix}"


def within(path: Path, folder: Path) -> Path:
    return path / "deep" / "new" / "x.tif" if path.is_dir() else path


def around(path: Path, folder: Path) -> Path:
    return path.parent


WAYS = [the_input, by_dots, by_link, by_linked_parent, by_hard_link, within, around]
PAIRS = [
    (stage, output)
    for stage in STAGES
    for output in function(stage).outputs
    if function(stage).inputs and output in arguments(stage, Path("a"), Path("b"))
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("stage", "output"), PAIRS)
def test_an_output_never_touches_an_input(
    stage: str, output: str, way: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    given = laid(stage, tmp_path)
    for number, path in enumerate(inputs(stage, given)):
        folder = tmp_path / f"links{number}"
        folder.mkdir()
        chosen = way(path, folder)
        before = digest(tmp_path)
        with pytest.raises(InputError) as refused:
            call(stage, {**given, output: chosen})
        line = str(refused.value)
        assert line.startswith(f"{chosen}: ")
        assert "\n" not in line
        assert digest(tmp_path) == before


@pytest.mark.parametrize("stage", [s for s in STAGES if len(function(s).outputs) > 1])
def test_two_outputs_are_never_one(stage: str, tmp_path: Path) -> None:
    given = laid(stage, tmp_path)
    out = [name for name in function(stage).outputs if name in given]
    for one, other in pairwise(out):
        for path in (given[one], given[one].parent / "x" / ".." / given[one].name):
            with pytest.raises(InputError, match=f"{one} and {other} are one file"):
                call(stage, {**given, other: path})
        with pytest.raises(InputError, match=f"lies in {one}|{other} .* lies in it"):
            call(stage, {**given, other: given[one] / "deeper"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_of_a_stage_is_an_input_or_an_output(stage: str) -> None:
    hints = {n: h for n, h in get_type_hints(function(stage)).items() if n != "return"}
    for argument, model in groups(function(stage)).items():
        hints |= {name: field.annotation for name, field in model.model_fields.items()}
        del hints[argument]
    paths = {name for name, hint in hints.items() if "Path" in str(hint)}
    known = {*function(stage).inputs, *function(stage).outputs}
    assert known - paths <= {"source", "tiles"}
    assert paths <= known
    made = arguments(stage, Path("have"), Path("out"))
    written = {name for name, value in made.items() if str(value).startswith("out/")}
    assert written == {*function(stage).outputs} & {*made}


@pytest.mark.parametrize("stage", ["calibrate", "train", "report"])
def test_the_command_line_says_so_in_one_line(stage: str, tmp_path: Path, capsys: Any) -> None:
    given = laid(stage, tmp_path)
    (first, *_) = inputs(stage, given)
    before = digest(tmp_path)
    assert main(command(stage, {**given, "out": first})) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"floodloom: {first}: ")
    assert digest(tmp_path) == before


def test_a_fetched_file_is_not_its_source(tmp_path: Path) -> None:
    source = tmp_path / "a b.zip"
    source.write_bytes(b"PK")
    for address in (str(source), f"file://{tmp_path}/a%20b.zip", str(tmp_path / "." / "a b.zip")):
        with pytest.raises(InputError, match="out and source are one file"):
            function("acquire")(source=address, out=source)
    assert source.read_bytes() == b"PK"


@pytest.mark.parametrize("address", ["file://[", "file://[::1/a.zip"])
def test_an_address_that_is_none_is_one_line(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^file://\[.*: not a valid address; check it$"):
        function("acquire")(source=address, out=tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())
