"""What the pages say can be done: commands, Python, configurations, links and messages."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import get_argument_parser

from floodloom.cli import app
from floodloom.config.load import load_config
from floodloom.stages import STAGES
from floodloom.workflow.plan import targets
from tests.conftest import REPOSITORY
from tests.workflow.plans import plan

PAGES = sorted([
    *(REPOSITORY / "docs").glob("*.md"),
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    REPOSITORY / "benchmarks/README.md",
])  # fmt: skip
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OTHERS = {
    ".", ".venv/bin/pre-commit", "cd", "conda", "dask", "docker", "export", "gdal2tiles.py",
    "gdal_translate", "gdalinfo", "git", "pip", "python3",
}  # fmt: skip
"""Programs of others, or commands that other tests run."""


def blocks(kind: str) -> list[Any]:
    """Blocks of code of a kind, with the page and line that they are on."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in _BLOCK.finditer(text):
            if match[1] == kind:
                line = text.count("\n", 0, match.start()) + 2
                found.append(pytest.param(match[2], id=f"{page.relative_to(REPOSITORY)}:{line}"))
    return found


def commands(block: str) -> Iterator[list[str]]:
    """Words of each command of a block; `…` at its end stands for more options."""
    for line in block.replace("\\\n", " ").splitlines():
        for command in line.split("&&"):
            if words := shlex.split(command, comments=True):
                yield words[:-1] if words[-1] == "…" else words


@pytest.mark.parametrize("block", blocks("console"))
def test_commands_are_understood(block: str) -> None:
    for words in commands(block):
        program = words[0]
        check = {"floodloom": understands, "snakemake": runs, "make": makes, "torchrun": spreads}
        if program in check:
            check[program](words[1:])
        else:
            assert program in _OTHERS, " ".join(words)


def understands(options: list[str]) -> None:
    app.parse_args(options, exit_on_error=False, print_error=False)


def spreads(options: list[str]) -> None:
    understands(options[options.index("floodloom.cli") + 1 :])


def makes(words: list[str]) -> None:
    rules = re.findall(r"^([\w%-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    for target in (word for word in words if "=" not in word):
        pattern = target if target in rules else re.sub(r"^bench-.*", "bench-%", target)
        assert pattern in rules, target
        if pattern != target:
            assert (REPOSITORY / f"benchmarks/{target.removeprefix('bench-')}.py").exists()


def runs(options: list[str]) -> None:
    """Snakemake knows the options, the workflow the targets, rules and configurations."""
    options = [word for word in options if word not in ("--executor", "slurm")]
    given = get_argument_parser().parse_args(options)
    known = {*targets(plan()), *STAGES, "all"}
    assert {*(given.targets or ()), *(given.forcerun or ())} <= known
    for path in given.configfile or ():
        assert path.name == "mine.yaml" or (REPOSITORY / path).exists(), path


@pytest.mark.parametrize("block", blocks("python"))
def test_python_is_that_of_the_package(block: str) -> None:
    tree = ast.parse(block)
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            names |= {one.asname or one.name: getattr(module, one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            names |= {o.asname or o.name: importlib.import_module(o.name) for o in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            try:
                called = inspect.signature(names[node.func.id])
            except ValueError:  # of a compiled function
                continue
            keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            called.bind_partial(*(None for _ in node.args), **keywords)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_configurations_are_valid(block: str) -> None:
    content = yaml.safe_load(block)
    minimal = {
        "run": {"name": "x"},
        "scenes": "s.tsv",
        "events": {"e": {"split": "train"}},
        **({"teach": {}} if "distill" in content else {}),
    }
    load_config(merged(minimal, content))


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], Mapping) and isinstance(other[key], Mapping):
            both[key] = merged(one[key], other[key])
    return both


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as the forge and the site make them."""
    text = _BLOCK.sub("", page.read_text())
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()).strip() for title in titles)
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text())
    for path, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert target.is_relative_to(REPOSITORY), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def messages() -> str:
    """All texts of the package but docstrings, what is filled in being left out."""
    found = []
    for path in (REPOSITORY / "src/floodloom").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in (node for node in nodes if id(node) not in docstrings):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value for p in node.values if isinstance(p, ast.Constant))
                found.append("…".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_the_messages_that_troubleshooting_names_exist() -> None:
    page = (REPOSITORY / "docs/troubleshooting.md").read_text()
    table = page.partition("## What kind")[2].partition("\n## ")[0]
    known = messages()
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for quoted in re.findall(r"`([^`]+)`", row):
            for part in filter(None, map(str.strip, quoted.split("…"))):
                assert part in known, quoted
