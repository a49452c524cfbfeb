import shutil
from pathlib import Path

import pytest

from floodloom import digest
from floodloom.cli import STAGES
from floodloom.datasets import DATASETS


def test_stages_depend_on_what_they_import_only() -> None:
    training = digest.stage_modules("train")
    assert "floodloom.learning.training.loop" in training
    assert not [name for name in training if ".mapping" in name or ".report" in name]
    calibration = digest.stage_modules("calibrate")
    assert "floodloom.raster.store" in calibration
    assert not [name for name in calibration if ".learning" in name or ".models" in name]
    assert any(".mapping" in name for name in digest.stage_modules("predict"))


def test_stages_depend_on_the_data_set_that_is_chosen_only() -> None:
    adapters = {DATASETS.module(name) for name in DATASETS.names}
    assert not digest.stage_modules("tile") & adapters
    chosen = DATASETS.module("stac-overflow")
    modules = digest.stage_modules("tile", chosen)
    assert modules & adapters == {chosen}
    assert "floodloom.datasets.common.georeferenced" in modules


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_the_configuration_or_the_workflow(stage: str) -> None:
    modules = digest.stage_modules(stage)
    assert f"floodloom.stages.{stage}" in modules
    forbidden = ("floodloom.config", "floodloom.cli", "floodloom.dispatch", "floodloom.workflow")
    assert not [name for name in modules if name.startswith(forbidden)]
    others = {f"floodloom.stages.{other}" for other in STAGES if other != stage}
    assert not modules & others


def test_digest_follows_code_but_not_comments(tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "floodloom"
    source = Path(digest.__file__).parent
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digest, "_ROOT", root)
    before = digest.code_digest("tile")
    windows = root / "raster" / "windows.py"
    windows.write_text("# a comment\n" + windows.read_text())
    assert digest.code_digest("tile") == before
    windows.write_text(windows.read_text() + "\nNEW = 1\n")
    assert digest.code_digest("tile") != before


def test_digest_of_the_report_follows_its_templates(tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "floodloom"
    source = Path(digest.__file__).parent
    shutil.copytree(source, root, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digest, "_ROOT", root)
    report, training = digest.code_digest("report"), digest.code_digest("train")
    page = root / "report" / "templates" / "report.html"
    page.write_text(page.read_text() + "<!-- new -->")
    assert digest.code_digest("report") != report
    assert digest.code_digest("train") == training
