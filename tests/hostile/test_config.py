"""Configurations that are broken, mistaken, or made to harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.config.project import Config
from floodloom.config.text import check_keys, read_text

from .harness import Trial

Words = tuple[str, ...]
GOOD: dict[str, Any] = {
    "run": {"name": "x"},
    "scenes": "s.tsv",
    "events": {"e": {"split": "target"}},
}
PLAIN = "run: {name: x}\nscenes: s.tsv\nevents: {e: {split: target}}\n"
HEADER = "scene\tevent\trole\tsource\n"


def read(path: Path) -> Config:
    """Read a configuration and what it names, as the workflow does."""
    check_keys(path)
    content = yaml.safe_load(read_text(path, str(path)))
    config = load_config(content, str(path))
    load_scenes(config, path.parent)
    check_paths(config, path.parent)
    return config


def event(name: str, **more: Any) -> dict[str, Any]:
    return {**GOOD, "events": {name: {"split": "target", **more}}}


def section(name: str, **values: Any) -> dict[str, Any]:
    return {**GOOD, name: values}


def laughs(depth: int) -> str:
    lines = ["  - &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"  - &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, depth)]
    return yaml.safe_dump(GOOD) + "train:\n  width:\n" + "\n".join(lines) + "\n"


LONG = "n" * 101
CASES: dict[str, tuple[Any, Words]] = {
    "not there": (None, ("c.yaml",)),
    "empty": ("", ("c.yaml",)),
    "a list": ("[1, 2]", ("c.yaml",)),
    "a word": ("hello", ("c.yaml",)),
    "zeros": (bytes(500), ("c.yaml",)),
    "another encoding": (b"run: {name: \xe4}\n", ("c.yaml", "0xe4")),
    "UTF-16": ("run: {name: x}\n".encode("utf-16"), ("c.yaml", "UTF-16")),
    "a key twice": ("run: {name: x}\nrun: {name: y}\nscenes: s.tsv\n", ("c.yaml", "line 2", "run")),
    "a key that is a number": (f"{yaml.safe_dump(GOOD)}1: 2\n", ("c.yaml", "1")),
    "aliases without end": (laughs(7), ("c.yaml",)),
    "an alias of itself": (f"{yaml.safe_dump(GOOD)}train: &a\n  width: *a\n", ("c.yaml",)),
    "a value of a million letters": (
        section("train", width="w" * 1_000_000),
        ("c.yaml", "train.width"),
    ),
    "an unknown key": (section("geocod", epsg=4326), ("c.yaml", "geocod", "geocode")),
    "an unknown key of signs": ({**GOOD, "a\x1b[2J\nb": 1}, ("c.yaml",)),
    "no run": ({k: v for k, v in GOOD.items() if k != "run"}, ("c.yaml", "run")),
    "a run of the parent folder": ({**GOOD, "run": {"name": ".."}}, ("c.yaml", "run.name")),
    "a run of other folders": ({**GOOD, "run": {"name": "a/../../b"}}, ("c.yaml", "run.name")),
    "a run with a line end": ({**GOOD, "run": {"name": "a\n"}}, ("c.yaml", "run.name")),
    "a run of a long name": ({**GOOD, "run": {"name": LONG}}, ("c.yaml", "run.name")),
    "an event of the parent folder": (event(".."), ("c.yaml", "..")),
    "an event of this folder": (event("."), ("c.yaml", ".")),
    "an event of other folders": (event("../../../../x"), ("c.yaml", "../../../../x")),
    "an event of the root": (event("/etc"), ("c.yaml", "/etc")),
    "an event without a name": (event(""), ("c.yaml", "event ''")),
    "an event of a blank": (event(" "), ("c.yaml", "event ' '")),
    "an event with a line end": (event("a\nb"), ("c.yaml", "a\\nb")),
    "an event with a line end behind it": (event("a\n"), ("c.yaml", "a\\n")),
    "an event in a wildcard": (event("{scene}"), ("c.yaml", "{scene}")),
    "an event that moves a terminal": (event("a\x1b[2Jb"), ("c.yaml", "a\\x1b[2Jb")),
    "an event that reads backwards": (event("a\u202eb"), ("c.yaml", "a\\u202eb")),
    "an event of a long name": (event(LONG), ("c.yaml", "nnnn")),
    "an event that begins like an option": (event("-rf"), ("c.yaml", "-rf")),
    "an event named as pseudo labels are": (event("pseudo-1"), ("c.yaml", "pseudo-1")),
    "an event named as a device is": (event("con"), ("c.yaml", "con")),
    "an event hidden": (event(".git"), ("c.yaml", ".git")),
    "an event that is a number": (
        "run: {name: x}\nscenes: s.tsv\nevents: {7: {split: target}}\n",
        ("c.yaml", "7"),
    ),
    "an event of no side": (event("e", split="everything"), ("c.yaml", "everything")),
    "an event without settings": ({**GOOD, "events": {"e": None}}, ("c.yaml", "events.e")),
    "events in a list": ({**GOOD, "events": ["e"]}, ("c.yaml", "events")),
    "a file that isn't there": (event("e", dem="none.tif"), ("events.e.dem", "none.tif")),
    "a file of a wildcard": (event("e", dem="{x}.tif"), ("events.e.dem", "{x}.tif")),
    "NaN": (
        PLAIN + "train: {learning_rate: .nan}\n",
        ("c.yaml", "train.learning_rate", "nan"),
    ),
    "infinity": (
        PLAIN + "train: {learning_rate: .inf}\n",
        ("c.yaml", "train.learning_rate", "inf"),
    ),
    "below its range": (section("tile", size=-1), ("c.yaml", "tile.size", "-1")),
    "words for a number": (
        section("geocode", resolution="ten"),
        ("c.yaml", "geocode.resolution", "ten"),
    ),
    "a resolution of 0": (section("geocode", resolution=0), ("c.yaml", "geocode.resolution", "0")),
    "a resolution of NaN": (
        PLAIN + "geocode: {resolution: .nan}\n",
        ("c.yaml", "geocode.resolution", "nan"),
    ),
    "bounds of three": (section("geocode", bounds=[1, 2, 3]), ("c.yaml", "geocode.bounds")),
    "a seed below 0": (
        {**GOOD, "run": {"name": "x", "seeds": [-1]}},
        ("c.yaml", "run.seeds", "-1"),
    ),
    "no such data set": ({**GOOD, "dataset": "imagenet"}, ("c.yaml", "dataset", "imagenet")),
    "a data set that isn't there": (
        {**GOOD, "dataset": "ombria", "data_root": "none"},
        ("data_root", "none"),
    ),
    "a scheduler of another kind": (
        section("dask", scheduler="file:///etc/passwd"),
        ("c.yaml", "dask.scheduler"),
    ),
    "a sheet that isn't there": ({**GOOD, "scenes": "none.tsv"}, ("none.tsv", "not found")),
    "a sheet that is a folder": ({**GOOD, "scenes": "."}, ("scenes", ".")),
    "no scenes": ({k: v for k, v in GOOD.items() if k != "scenes"}, ("c.yaml", "scenes")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistaken_configuration_is_refused(name: str, trial: Trial) -> None:
    content, words = CASES[name]
    trial.file("s.tsv", HEADER + "a\te\tafter\tsimulated\n")
    path = trial.given / "c.yaml"
    if content is not None:
        text = (
            content
            if isinstance(content, str | bytes)
            else yaml.safe_dump(content, allow_unicode=True)
        )
        trial.file("c.yaml", text)
    trial.refuses(lambda: read(path), words=words)


def test_a_configuration_that_is_a_pipe_is_refused(trial: Trial) -> None:
    os.mkfifo(trial.given / "c.yaml")
    trial.refuses(lambda: read(trial.given / "c.yaml"), words=("c.yaml",))


ODD: dict[str, Callable[[str], bytes]] = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "lines that end as in DOS": lambda text: text.replace("\n", "\r\n").encode(),
    "comments": lambda text: f"# a comment\n{text}\n# another".encode(),
    "several letters": lambda text: text.replace("name: x", "name: x # ü ✓").encode(),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_configuration_is_read_as_it_is_meant(name: str, trial: Trial) -> None:
    trial.file("s.tsv", HEADER + "a\te\tafter\tsimulated\n")
    path = trial.file("c.yaml", ODD[name](yaml.safe_dump(GOOD)))
    found: list[Config] = []
    trial.accepts(lambda: found.append(read(path)))
    assert found == [load_config(GOOD)]


@pytest.mark.parametrize("name", ["Ahr-2021", "a", "S1_x.y", "n" * 100, "7a"])
def test_plain_names_of_events_are_taken(name: str, trial: Trial) -> None:
    trial.file("s.tsv", HEADER + f"a\t{name}\tafter\tsimulated\n")
    path = trial.file("c.yaml", yaml.safe_dump(event(name)))
    trial.accepts(lambda: read(path))
