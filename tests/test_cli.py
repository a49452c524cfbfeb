import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import rasterio

from floodloom.cli import app, main
from floodloom.settings import groups
from floodloom.simulate.settings import SimulateSettings
from floodloom.stages import STAGES
from floodloom.stages.simulate import simulate
from tests.simulated import lay_event


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_overview_names_every_stage(capsys) -> None:
    run("--help")
    text = capsys.readouterr().out
    positions = [text.index(f" {stage} ") for stage in STAGES]
    assert positions == sorted(positions)


@pytest.mark.parametrize("stage", STAGES)
def test_help_explains_every_option(stage: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run(stage, "--help")
    text = words_of(capsys.readouterr().out)
    assert not re.search(r"default: (\]|\(|\{|None)|env var", text)
    function = getattr(import_module(f"floodloom.stages.{stage}"), stage)
    described = function.__doc__
    models = groups(function)
    for name in {*inspect.signature(function).parameters} - {*models}:
        assert f"--{name.replace('_', '-')}" in text
        assert (
            f"\n    {name}\n" in described or f"{name}, " in described or f", {name}" in described
        )
    for model in models.values():
        for name, field in model.model_fields.items():
            assert f"--{name.replace('_', '-')}" in text
            assert words_of(field.description)[:40] in text


def words_of(text: str) -> str:
    """The text without its lines, frames and the names of options at their left."""
    return " ".join(text.replace("│", " ").split())


def test_models_are_listed(capsys) -> None:
    assert run("models") == 0
    assert "unetplusplus" in capsys.readouterr().out


def train_on_event(folder: Path) -> Path:
    """A very small event from its product to a network, as the README shows."""
    lay_event(folder, size=192)
    c, g, t = (folder / name for name in ("c.zarr", "g.zarr", "t.zarr"))
    m, dem, truth = (folder / name for name in ("m.safetensors", "dem.tif", "truth.tif"))
    assert run("calibrate", "--safe", folder / "after.SAFE", "--out", c) == 0
    geocode = ("--dem", dem, "--out", g, "--epsg", 32633, "--resolution", 10)
    assert run("geocode", "--scene", c, *geocode) == 0
    tiles = ("--labels", truth, "--size", 64, "--samples", 24, "--out", t)
    assert run("tile", "--scene", g, *tiles) == 0
    training = ("--model", "unet", "--width", 4, "--epochs", 1, "--precision", "float32")
    assert run("train", "--tiles", t, *training, "--out", m) == 0
    return folder


def map_and_score(trained: Path, folder: Path) -> None:
    """The network's map and its scores, and what `inspect` says of each file."""
    c, g, t = (trained / name for name in ("c.zarr", "g.zarr", "t.zarr"))
    m, truth = trained / "m.safetensors", trained / "truth.tif"
    p, e = folder / "p.tif", folder / "e.json"
    windows = ("--tile", 128)
    assert run("predict", "--scene", g, "--checkpoint", m, "--out", p, *windows) == 0
    assert run("evaluate", "--prediction", p, "--truth", truth, "--out", e) == 0
    assert set(json.loads(e.read_text())["water"]) >= {"iou", "tp", "fp", "fn", "tn"}
    assert run("evaluate", "--tiles", t, "--checkpoint", m, "--out", e) == 0
    assert 0 <= json.loads(e.read_text())["tiles"]["mean_of_chip_iou"] <= 1
    for path in (c, t, m, p, trained / "after.SAFE"):
        assert run("inspect", path) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder of an event and a network that was trained on it; tests leave it as it is."""
    return train_on_event(tmp_path_factory.mktemp("trained"))


def test_from_a_product_to_scores(trained, tmp_path, capsys) -> None:
    map_and_score(trained, tmp_path)
    assert "gamma0" in capsys.readouterr().out


def test_other_recipe_is_refused_by_name(trained, tmp_path, capsys) -> None:
    c, g = tmp_path / "c20.zarr", tmp_path / "g20.zarr"
    run("calibrate", "--safe", trained / "after.SAFE", "--out", c, "--no-remove-noise")
    run("geocode", "--scene", c, "--dem", trained / "dem.tif", "--out", g)
    out = tmp_path / "refused.tif"
    assert run("predict", "--scene", g, "--checkpoint", trained / "m.safetensors", "--out", out)
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "noise_removed is False but True is expected" in message
    assert not out.exists()


def test_mistake_is_one_line_and_exit_1(tmp_path, capsys) -> None:
    assert run("calibrate", "--safe", tmp_path / "none.SAFE", "--out", tmp_path / "o.zarr") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "none.SAFE: product not found" in lines[0]


def functions() -> list[tuple[str, Any]]:
    return [(s, getattr(import_module(f"floodloom.stages.{s}"), s)) for s in STAGES]


def several(annotation: Any) -> Any:
    """The type of a sequence's items, or None."""
    if get_origin(annotation) in (Sequence, list, tuple):
        return get_args(annotation)[0]
    options = get_args(annotation) if isinstance(annotation, UnionType) else ()
    return next((item for item in map(several, options) if item), None)


def options(function: Any) -> dict[str, Any]:
    """The types of all options of a stage, whether arguments or fields of those that are models."""
    found = {name: hint for name, hint in get_type_hints(function).items() if name != "return"}
    for argument, model in groups(function).items():
        del found[argument]
        found |= {name: field.annotation for name, field in model.model_fields.items()}
    return found


def required(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    found = [p.name for p in parameters if p.default is p.empty and p.name not in groups(function)]
    fields = [(n, f) for model in groups(function).values() for n, f in model.model_fields.items()]
    return found + [name for name, field in fields if field.is_required()]


SEQUENCES = [
    (stage, name, several(hint))
    for stage, function in functions()
    for name, hint in options(function).items()
    if several(hint)
]


@pytest.mark.parametrize(("stage", "name", "kind"), SEQUENCES)
def test_several_values_follow_one_option_or_repeat_it(stage, name, kind) -> None:
    function = dict(functions())[stage]
    words = values_of(stage, name, kind)
    needed = {f"--{other.replace('_', '-')}": "x" for other in required(function) if other != name}
    others = [word for pair in needed.items() for word in pair]
    option = f"--{name.replace('_', '-')}"
    expected = [kind(word) for word in words]
    after = [stage, option, *words, *others]
    before = [stage, *others, option, *words]
    repeated = [stage, *others, *(part for word in words for part in (option, word))]
    for line in (after, before, repeated):
        _, bound, _ = app.parse_args(line, print_error=False, exit_on_error=False)
        given = dict(bound.arguments)
        for argument in groups(function):
            given |= dict(given.pop(argument, ()))
        assert list(given[name]) == expected


def values_of(stage: str, name: str, kind: Any) -> list[str]:
    """As many values as an option takes, or four."""
    return FIXED.get(name, {float: ["-1", "2", "3.5", "4"]}.get(kind, ["1", "2", "3", "4"]))


FIXED = {"db_range": ["-30", "5"]}


def test_unknown_options_are_still_named(capsys) -> None:
    assert run("geocode", "--scene", "a", "b", "--out", "o", "--resolutoin", 3) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("floodloom: Unknown option: --resolutoin")


def test_paths_may_hold_any_letter(tmp_path) -> None:
    """Braces, blanks and signs that mean something to GDAL, SQLite or in addresses."""
    folder = tmp_path / "{a b}, 50%20 #1 ü" / "left{open"
    folder.mkdir(parents=True)
    map_and_score(train_on_event(folder), folder)
    made = ("--out", folder / "f.tif", "--vectors", folder / "f.gpkg", "--item", folder / "f.json")
    areas = ("--areas", folder / "{areas}.csv", "--dem", folder / "dem.tif")
    assert run("delineate", "--probability", folder / "p.tif", *made, *areas) == 0
    assert run("inspect", folder / "f.gpkg") == 0
    assert {"f.tif", "f.gpkg", "f.json", "{areas}.csv"} <= {p.name for p in folder.iterdir()}


def test_without_home_and_in_an_ascii_locale(tmp_path) -> None:
    """As in a container of a cluster: no folder but that of the output, no letters but ASCII."""
    outputs = {f"out_{role}": tmp_path / f"{role}.SAFE" for role in ("before", "after")}
    rasters = {name: tmp_path / f"{name}.tif" for name in ("dem", "optical", "truth")}
    simulate(**outputs, **rasters, settings=SimulateSettings(size=128))
    (tmp_path / "ü.zip").write_bytes(archive_of(tmp_path / "after.SAFE"))
    shutil.copytree(tmp_path / "after.SAFE", tmp_path / "ü.SAFE")

    def alone(*arguments: object) -> subprocess.CompletedProcess[str]:
        names = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "HOME": "/dev/null"}
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "floodloom.cli", *map(str, arguments)]
        return subprocess.run(command, env={**names, **kept}, capture_output=True, text=True)

    for arguments in (
        ("calibrate", "--safe", tmp_path / "after.SAFE", "--out", tmp_path / "c.zarr"),
        ("acquire", "--source", tmp_path / "ü.zip", "--out", tmp_path / "ä.zip"),
        ("inspect", tmp_path / "after.SAFE"),
    ):
        result = alone(*arguments)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "ä.zip").read_bytes() == (tmp_path / "ü.zip").read_bytes()

    result = alone("calibrate", "--safe", tmp_path / "ü.SAFE", "--out", tmp_path / "u.zarr")
    if result.returncode:
        assert "set PYTHONUTF8=1" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def archive_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder.parent))
    return buffer.getvalue()


NAMED = {
    "tile": ("--scene", "s.zarr", "--out", "t.zarr"),
    "predict": ("--scene", "s.zarr", "--checkpoint", "m.safetensors", "--out", "p.tif"),
    "delineate": ("--probability", "p.tif", "--out", "f.tif", "--vectors", "f.gpkg", "--item", "i"),
    "evaluate": ("--prediction", "p.tif", "--truth", "t.tif", "--out", "e.json"),
    "report": ("--out", "r.html", "--map-page", "m.html"),
}


@pytest.mark.parametrize("stage", NAMED)
@pytest.mark.parametrize("name", ["../../x", "pseudo-1", "a\n12:00 I floodloom: fine", "\u202ex"])
def test_events_without_a_name_are_refused(tmp_path, monkeypatch, capsys, stage, name) -> None:
    monkeypatch.chdir(tmp_path)
    option = "--events" if stage == "report" else "--event"
    assert run(stage, *NAMED[stage], option, name) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("floodloom: event '")
    assert line.isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["calibrat"], "Unknown command"),
        (["calibrate"], "requires an argument"),
        (["calibrate", "--safe"], "requires an argument"),
        (
            ["tile", "--out", "b", "--size", "3"],
            "tile: size is 3, but it should be greater than or equal to 32",
        ),
        (["tile", "--out", "b", "--size", "x\ny\x1b"], "a valid integer"),
        (["inspect", "a", "b\u202e"], "Unused Tokens"),
        (["acquire", "--out", "x", "--sourc", "http://me:s3cret@h"], "Did you mean --source"),
        (["acquire", "--out", "x", "http://me:s3cret@h/?s3cret", "s", "t", "u", "v"], ""),
    ],
)
def test_mistakes_of_the_command_line_are_one_line(capsys, arguments, line) -> None:
    assert run(*arguments) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("floodloom: ")
    assert said.isprintable()
    assert line in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyError("x\ny"), 1, r"unexpected KeyError ('x\ny')"),
        (ZeroDivisionError("a"), 1, "unexpected ZeroDivisionError (a)"),
        (RecursionError("deep"), 1, "nested too deeply"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, "ended by SIGTERM"),
    ],
)
def test_whatever_a_stage_ends_with_is_one_line(
    monkeypatch, capsys, error: BaseException, status: int, line: str
) -> None:
    def fail(file: Path) -> None:
        raise error

    monkeypatch.setenv("FLOODLOOM_DEBUG", "")  # what --debug sets ends with the test
    monkeypatch.setattr("floodloom.inspect.describe", fail)
    assert run("inspect", "x.tif") == status
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"floodloom: {line}")
    assert run("inspect", "x.tif", "--debug") == status
    *trace, last = capsys.readouterr().err.splitlines()
    assert trace[0] == "Traceback (most recent call last):"
    assert last == said


def test_errors_of_threads_are_one_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    run("models", "--help")
    capsys.readouterr()
    thread = threading.Thread(target=lambda: {}["missing\n"])
    thread.start()
    thread.join()
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(r"floodloom: unexpected KeyError ('missing\n')")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("[/red] [bold]x[/bold] [link=http://h]", "[/red] [bold]x[/bold] [link=http://h]"),
        ("{braces} {0} %s", "{braces} {0} %s"),
        ("two\nlines\tx", r"two\nlines\tx"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("https://me:s3cret@h/x?s3cret", "https://h/x"),
    ],
)
def test_inspect_shows_tags_as_they_are(tmp_path, capsys, monkeypatch, text, seen) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "height": 4, "width": 4, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile) as raster:
        raster.update_tags(NOTE=text)
        raster.set_band_description(1, text)
    assert run("inspect", path) == 0
    assert capsys.readouterr().out.count(seen) == 2
