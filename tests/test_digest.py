import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from floodloom import digest
from floodloom.datasets import DATASETS
from floodloom.stages import STAGES


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
    assert not adapters & set(digest.stage_modules("tile"))
    chosen = DATASETS.module("stac-overflow")
    modules = digest.stage_modules("tile", [chosen])
    assert adapters & set(modules) == {chosen}
    assert "floodloom.adapters" in modules


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_the_configuration_or_the_workflow(stage: str) -> None:
    modules = set(digest.stage_modules(stage))
    assert f"floodloom.stages.{stage}" in modules
    forbidden = ("floodloom.config", "floodloom.cli", "floodloom.dispatch", "floodloom.workflow")
    assert not [name for name in modules if name.startswith(forbidden)]
    others = {f"floodloom.stages.{other}" for other in STAGES if other != stage}
    assert not modules & others


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """A copy of the package that a test may edit."""
    copy = tmp_path / "floodloom"
    source = Path(digest.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digest, "_ROOT", copy)
    return copy


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_digest_follows_code_but_not_comments(root: Path) -> None:
    before = digest.code_digest("tile")
    windows = root / "raster" / "windows.py"
    windows.write_text("# a comment\n" + windows.read_text())
    assert digest.code_digest("tile") == before
    windows.write_text(windows.read_text() + "\nNEW = 1\n")
    assert digest.code_digest("tile") != before


MODULE = '''"""One idea."""

class Thing:
    """Of a class."""

    key: str = Field(default="default", description="A key")

    def made(self) -> str:
        """Of a function."""
        NAMED
        return "text"
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""One idea."""', '"""Another idea: as long\nas it takes."""'),
        ('"""Of a class."""', '"""New."""'),
        ('"""Of a function."""', "r'New.'"),
        ('"""Of a function."""\n        ', ""),
        ('description="A key"', 'description="The key"'),
    ],
)
def test_docstrings_and_descriptions_are_no_code(root: Path, old: str, new: str) -> None:
    module = root / "stages" / "new.py"
    module.write_text(MODULE)
    before = digest.code_digest("new")
    edit(module, old, new)
    assert digest.code_digest("new") == before


@pytest.mark.parametrize("old", ['"text"', '"default"', "NAMED"])
def test_other_strings_are_code(root: Path, old: str) -> None:
    module = root / "stages" / "new.py"
    module.write_text(MODULE)
    before = digest.code_digest("new")
    edit(module, old, '"other"')
    assert digest.code_digest("new") != before


def test_digest_of_the_report_follows_its_templates(root: Path) -> None:
    report, training = digest.code_digest("report"), digest.code_digest("train")
    page = root / "report" / "templates" / "report.html"
    page.write_text(page.read_text() + "<!-- new -->")
    assert digest.code_digest("report") != report
    assert digest.code_digest("train") == training


def test_what_is_chosen_and_all_that_it_imports_is_part_of_the_digest(root: Path) -> None:
    (root / "chosen").mkdir()
    for name, text in {"__init__": "", "one": "from .shared import A", "shared": "A = 1"}.items():
        (root / "chosen" / f"{name}.py").write_text(text)
    (root / "chosen" / "other.py").write_text("B = 1")
    before = digest.code_digest("tile", ["floodloom.chosen.one"])
    assert before != digest.code_digest("tile")
    (root / "chosen" / "other.py").write_text("B = 22")
    assert digest.code_digest("tile", ["floodloom.chosen.one"]) == before
    (root / "chosen" / "shared.py").write_text("A = 22")
    assert digest.code_digest("tile", ["floodloom.chosen.one"]) != before


def test_a_unet_does_not_depend_on_other_networks(root: Path) -> None:
    unet, hourglass = (f"floodloom.models.architectures.{name}" for name in ("unet", "hourglass"))
    before = digest.code_digest("train", [unet]), digest.code_digest("train", [hourglass])
    file = root / "models/architectures/hourglass.py"
    file.write_text(file.read_text() + "\nNEW = 1\n")
    assert digest.code_digest("train", [unet]) == before[0]
    assert digest.code_digest("train", [hourglass]) != before[1]


def test_what_another_distribution_adds_is_found_without_being_imported(
    tmp_path: Path, monkeypatch
) -> None:
    package = tmp_path / "others_losses"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "inner" / "loss.py").write_text(
        "from floodloom.raster import windows\nfrom .. import shared\nimport numpy\n"
    )
    (package / "shared.py").write_text("A = 1")
    monkeypatch.syspath_prepend(tmp_path)
    chosen = ["others_losses.inner.loss"]
    modules = digest.stage_modules("simulate", chosen)
    assert modules["others_losses.inner.loss"] == package / "inner" / "loss.py"
    assert {"others_losses.shared", "others_losses", "floodloom.raster.windows"} <= set(modules)
    assert "numpy" not in modules
    before = digest.code_digest("simulate", chosen)
    (package / "shared.py").write_text("A = 22")
    assert digest.code_digest("simulate", chosen) != before


def test_a_module_of_its_own_is_found(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "one_loss.py").write_text("A = 1")
    monkeypatch.syspath_prepend(tmp_path)
    assert digest.stage_modules("train", ["one_loss"])["one_loss"] == tmp_path / "one_loss.py"


def test_what_modules_hold_is_remembered_by_their_content(
    root: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(digest, "_memory", {})
    kept: list[Callable[[], None]] = []
    monkeypatch.setattr(digest.atexit, "register", kept.append)
    file = tmp_path / "kept" / "code.json"
    digest.remember_parsed(file)
    before = digest.code_digest("simulate")
    kept[0]()
    monkeypatch.setattr(digest, "_memory", {})
    digest._parsed.cache_clear()
    digest.remember_parsed(file)
    monkeypatch.setattr(digest, "_read", lambda *_: pytest.fail("read again"))
    assert digest.code_digest("simulate") == before
    module = root / "simulate" / "safe.py"
    monkeypatch.undo()
    monkeypatch.setattr(digest, "_ROOT", root)
    module.write_text(module.read_text() + "\nNEW = 1\n")
    assert digest.code_digest("simulate") != before
    file.write_text("[half")
    digest.remember_parsed(file)
