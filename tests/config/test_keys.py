"""Every key of the configuration is there for something."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from floodloom.config.document import sections
from floodloom.learning.distillation.presets import PRESETS as DISTILLATIONS
from floodloom.learning.relabelling.presets import PRESETS
from floodloom.settings import of_jobs

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md"]
KEYS = [
    (section, key)
    for section, model in sections().items()
    for key in model.model_fields
    if key not in of_jobs(model)
]


MOST_KEYS = 110
"""A key more is one more to read for everybody: take another out for it."""


def keys_of(content: Any) -> Iterator[str]:
    """All keys of a configuration, however deep."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield str(key)
            yield from keys_of(value)


@pytest.fixture(scope="module")
def mentioned() -> set[str]:
    """Keys that a shipped configuration or a preset sets, or that a page writes as code."""
    configs = [yaml.safe_load(file.read_text()) for file in (REPOSITORY / "config").glob("*.yaml")]
    presets = [kind.load(name) for kind in (PRESETS, DISTILLATIONS) for name in kind.names]
    found = {key for content in (*configs, *presets) for key in keys_of(content)}
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", page.read_text()):
            found |= set(re.findall(r"\w+", code))
    return found


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_is_set_or_explained_somewhere(
    section: str, key: str, mentioned: set[str]
) -> None:
    assert key in mentioned, f"{section}.{key}: say in docs/ when to set it, or take it out"


def test_there_are_no_more_keys_than_one_can_read() -> None:
    assert len(KEYS) <= MOST_KEYS


def test_every_key_says_what_it_means() -> None:
    for section, key in KEYS:
        assert sections()[section].model_fields[key].description, f"{section}.{key}"
