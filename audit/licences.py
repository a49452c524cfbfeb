"""docs/licences.md: the licence of every pinned dependency, as its own metadata state it.

`python -m audit.licences` writes the page, from the environment that `make setup` made, and ends
with 1 if a licence isn't known to allow the use in software under the Apache License 2.0.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "licences.md"
CONSTRAINTS = REPOSITORY / "constraints.txt"

PERMISSIVE = re.compile(
    r"^(MIT( License)?|MIT-0|MIT-CMU|ISC.*|.*BSD.*|Apache.*|BSL-1.0|.*Apache (Software )?License.*|"
    r"Python Software Foundation License|PSF-2.0|PSFL|Zlib|HPND|Unlicense.*|Boost.*|0BSD|"
    r"Public Domain|The MIT License.*|Expat.*|CC0-1.0|CNRI-Python|Historical Permission.*)$",
    re.IGNORECASE,
)
"""Licences that ask for their text to be kept."""
WEAK = re.compile(r"LGPL|Lesser General Public|MPL|Mozilla Public|EPL", re.IGNORECASE)
"""Licences that bind changes of the dependency itself, which floodloom doesn't change."""

_HEAD = """# Licences of the dependencies

floodloom is under the [Apache License 2.0](https://www.apache.org/licenses/LICENSE-2.0). It copies
none of these packages: `pip` fetches them, in the versions of `constraints.txt`. `make audit`
writes this page from what the packages state of themselves, and ends in an error where a licence
isn't known to allow that. "Run" are those that floodloom needs to map, train and adapt; "tools"
those of its extras, tests and documentation.

| package | version | for | licence |
|---|---|---|---|
"""
EXAMINED = {
    "docutils": "only an editing mode for Emacs, which the wheel doesn't hold, is under the GPL",
}
"""Packages whose metadata name a licence that doesn't bind what is installed, and why not."""


def pinned() -> dict[str, str]:
    """Return the pinned packages: versions by name."""
    lines = CONSTRAINTS.read_text().splitlines()
    rows = (line.split(";")[0].strip().split("==") for line in lines)
    return {row[0]: row[1] for row in rows if len(row) == 2}


def licence_of(package: Distribution) -> str:
    """Return the licence that a package states: an SPDX expression, or its classifiers, or text."""
    stated = package.metadata
    if expression := stated.get("License-Expression"):
        return str(expression)
    classifiers = [
        one.rpartition(" :: ")[2]
        for one in stated.get_all("Classifier", [])
        if one.startswith("License ::") and not one.endswith("OSI Approved")
    ]
    if classifiers:
        return " / ".join(classifiers)
    text = str(stated.get("License") or "").strip().splitlines()
    return text[0][:60] if text else _of_file(package)


def _of_file(package: Distribution) -> str:
    """Return what the first line of the licence's own text says."""
    for file in package.files or ():
        if re.match(r"(LICEN[CS]E|COPYING)", file.name, re.IGNORECASE):
            lines = [line.strip() for line in file.read_text().splitlines() if line.strip()]
            return lines[0][:60] if lines else "not stated"
    return "not stated"


def allows(licence: str) -> bool:
    """Whether each part of a licence, or an alternative of it, is known to allow the use."""
    return all(_part_allows(part) for part in re.split(r"\s+AND\s+|\s+/\s+|;\s*|,\s*", licence))


def _part_allows(part: str) -> bool:
    names = re.split(r"\s+OR\s+", part.strip("() "), flags=re.IGNORECASE)
    plain = [re.sub(r"\s+WITH\s+.*", "", name.strip("() ")) for name in names]
    return any(PERMISSIVE.match(name) or WEAK.search(name) for name in plain)


def needed_to_run() -> set[str]:
    """Return the names of all packages that floodloom needs without extras."""
    found: set[str] = set()
    left = [Requirement(text) for text in requires("floodloom") or ()]
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if name in found or not _applies(one, ""):
            continue
        found.add(name)
        try:
            inner = [Requirement(text) for text in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        extras = one.extras or {""}
        left += [other for other in inner if any(_applies(other, extra) for extra in extras)]
    return found


def _applies(one: Requirement, extra: str) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": extra})


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, version, `run` or `tools`, and licence of each pinned package."""
    run = needed_to_run()
    for name, version in pinned().items():
        use = "run" if canonicalize_name(name) in run else "tools"
        try:
            licence = licence_of(distribution(name))
        except PackageNotFoundError:
            licence = "not installed"
        yield name, version, use, licence


def page(found: list[tuple[str, str, str, str]]) -> str:
    """Return the page."""
    lines = [f"| {' | '.join(row)} |" for row in found]
    notes = [f"{name}: {why}." for name, why in EXAMINED.items()]
    return _HEAD + "\n".join([*lines, "", *notes]) + "\n"


def main() -> int:
    """Write the page; 1 if a licence isn't known to allow the use."""
    found = list(rows())
    PAGE.write_text(page(found))
    doubtful = [row for row in found if row[0] not in EXAMINED and not allows(row[3])]
    for name, version, use, licence in doubtful:
        print(f"{name} {version} ({use}): {licence}: not known to allow the use; look into it")
    return int(bool(doubtful))


if __name__ == "__main__":
    sys.exit(main())
