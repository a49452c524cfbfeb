"""Every method has a key, a test and a row, or says why it hasn't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
import yaml

from floodloom.classical.choices import BASELINES
from floodloom.cli import app
from floodloom.config.load import load_config
from floodloom.learning.losses import LOSSES
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.learning.unsupervised.tasks import TASKS
from floodloom.models.choices import ARCHITECTURES, ENCODERS, UpsamplingName

REPOSITORY = Path(__file__).resolve().parents[1]
MAY_BE_OPEN = ("Supervision", "Classical baselines and post-processing")
OPEN = "open"
UNMEASURED = ("ImageNet weights from a local file",)
"""Methods without a row: open ones, and those for which the reason stands in its place."""


class Method(NamedTuple):
    section: str
    name: str
    key: str
    test: str
    benchmark: str
    source: str


def methods() -> Iterator[Method]:
    section = ""
    for line in (REPOSITORY / "docs" / "methods.md").read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| method "):
            yield Method(section, *(cell.strip() for cell in line.strip("|").split("|")))


METHODS = list(methods())


def ids(method: Method) -> str:
    return method.name


def benchmarks() -> dict[str, str]:
    """Return the text of each section of the benchmarks' page by name."""
    page = (REPOSITORY / "benchmarks" / "README.md").read_text()
    parts = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].strip(): part for part in parts}


def configured(keys: list[str]) -> dict[str, object]:
    """Return a configuration with keys such as `train.loss: dice`."""
    content: dict[str, dict[str, object]] = {"run": {"name": "x"}}
    for text in keys:
        ((path, value),) = yaml.safe_load(text).items()
        section, _, key = path.partition(".")
        content.setdefault(section, {}).update({key: value} if key else value)
    return {"scenes": "scenes.tsv", **content}


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_a_method_has_a_key_that_is_accepted(method: Method) -> None:
    if method.key == OPEN and method.section in MAY_BE_OPEN:
        return
    keys = re.findall(r"`([^`]+)`", method.key)
    assert keys, f"{method.name}: name its key, or a command"
    if keys[0].startswith("floodloom "):
        assert keys[0].removeprefix("floodloom ") in app
        return
    load_config(configured(keys))


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_a_method_has_a_test(method: Method) -> None:
    if method.test == OPEN and method.section in MAY_BE_OPEN:
        return
    path, _, name = method.test.strip("`").partition("::")
    assert (REPOSITORY / path).is_file(), method.test
    assert f"def {name}(" in (REPOSITORY / path).read_text(), method.test


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_a_method_has_a_row_and_a_source(method: Method) -> None:
    assert method.source
    if method.name in UNMEASURED:
        assert method.benchmark == OPEN or method.benchmark.startswith("not measured: ")
        return
    section, _, row = method.benchmark.partition(": ")
    found = benchmarks()
    assert section in found, method.benchmark
    assert row in found[section], method.benchmark


def test_whatever_can_be_chosen_is_a_method() -> None:
    keys = {value for method in METHODS for value in re.findall(r"[\w-]+", method.key)}
    chosen = (
        *ARCHITECTURES.names, *BASELINES.own_names, *ENCODERS.names, *LOSSES.names,
        *PRESETS.names, *TASKS.names, *get_args(UpsamplingName),
    )  # fmt: skip
    assert set(chosen) - keys == set()


def test_a_method_without_key_test_or_row_is_found() -> None:
    lost = Method("Architectures", "x", OPEN, OPEN, OPEN, "somebody")
    for check in (
        test_a_method_has_a_key_that_is_accepted,
        test_a_method_has_a_test,
        test_a_method_has_a_row_and_a_source,
    ):
        with pytest.raises(AssertionError):
            check(lost)
