import inspect
import json
from importlib import import_module

import pytest

from floodloom.cli import STAGES, main
from floodloom.stages.simulate import simulate


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_overview_names_every_stage(capsys) -> None:
    run("--help")
    text = capsys.readouterr().out
    positions = [text.index(f" {stage} ") for stage in STAGES]
    assert positions == sorted(positions)


@pytest.mark.parametrize("stage", STAGES)
def test_help_explains_every_option(stage: str, capsys) -> None:
    run(stage, "--help")
    text = capsys.readouterr().out
    function = getattr(import_module(f"floodloom.stages.{stage}"), stage)
    described = function.__doc__
    for name in inspect.signature(function).parameters:
        assert f"--{name.replace('_', '-')}" in text
        assert (
            f"\n    {name}\n" in described or f"{name}, " in described or f", {name}" in described
        )


def test_models_are_listed(capsys) -> None:
    assert run("models") == 0
    assert "unetplusplus" in capsys.readouterr().out


def test_from_a_product_to_scores(tmp_path, capsys) -> None:
    """What the README shows, on a very small event."""
    simulate(
        out_before=tmp_path / "before.SAFE",
        out_after=tmp_path / "after.SAFE",
        dem=tmp_path / "dem.tif",
        optical=tmp_path / "optical.tif",
        truth=tmp_path / "truth.tif",
        size=192,
    )
    c, g, t = (tmp_path / name for name in ("c.zarr", "g.zarr", "t.zarr"))
    m, p, e = (tmp_path / name for name in ("m.safetensors", "p.tif", "e.json"))
    dem, truth = tmp_path / "dem.tif", tmp_path / "truth.tif"
    assert run("calibrate", "--safe", tmp_path / "after.SAFE", "--out", c) == 0
    geocode = ("--dem", dem, "--out", g, "--epsg", 32633, "--resolution", 10)
    assert run("geocode", "--scene", c, *geocode) == 0
    tiles = ("--labels", truth, "--size", 64, "--samples", 24, "--out", t)
    assert run("tile", "--scene", g, *tiles) == 0
    training = ("--model", "unet", "--width", 4, "--epochs", 1, "--precision", "float32")
    assert run("train", "--tiles", t, *training, "--out", m) == 0
    windows = ("--tile", 128, "--overlap", 64, "--batch", 4)
    assert run("predict", "--scene", g, "--checkpoint", m, "--out", p, *windows) == 0
    assert run("evaluate", "--prediction", p, "--truth", truth, "--out", e) == 0
    assert set(json.loads(e.read_text())["water"]) >= {"iou", "tp", "fp", "fn", "tn"}
    assert run("evaluate", "--tiles", t, "--checkpoint", m, "--out", e) == 0
    assert 0 <= json.loads(e.read_text())["tiles"]["mean_of_chip_iou"] <= 1
    for path in (c, t, m, p, tmp_path / "after.SAFE"):
        assert run("inspect", path) == 0
    assert "gamma0" in capsys.readouterr().out


def test_other_recipe_is_refused_by_name(tmp_path, capsys) -> None:
    test_from_a_product_to_scores(tmp_path, capsys)
    c, g = tmp_path / "c20.zarr", tmp_path / "g20.zarr"
    run("calibrate", "--safe", tmp_path / "after.SAFE", "--out", c, "--no-remove-noise")
    run("geocode", "--scene", c, "--dem", tmp_path / "dem.tif", "--out", g)
    out = tmp_path / "refused.tif"
    assert run("predict", "--scene", g, "--checkpoint", tmp_path / "m.safetensors", "--out", out)
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "noise_removed is False but True is expected" in message
    assert not out.exists()


def test_mistake_is_one_line_and_exit_1(tmp_path, capsys) -> None:
    assert run("calibrate", "--safe", tmp_path / "none.SAFE", "--out", tmp_path / "o.zarr") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "none.SAFE: product not found" in lines[0]
