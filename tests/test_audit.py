"""Every pinned dependency has a licence that allows its use, and stands in docs/licences.md."""

from __future__ import annotations

import re

import pytest

from audit.licences import CONSTRAINTS, EXAMINED, PAGE, allows, pinned, rows


def listed() -> dict[str, list[str]]:
    found = re.findall(r"^\| (\S+) \| (\S+) \| (run|tools) \| (.+) \|$", PAGE.read_text(), re.M)
    return {name: facts for name, *facts in found}


def test_the_page_lists_what_is_pinned() -> None:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if "==" in line]
    assert len(pinned()) == len(lines)
    assert {name: facts[0] for name, facts in listed().items()} == pinned()


def test_every_licence_on_the_page_allows_the_use() -> None:
    doubtful = {name for name, facts in listed().items() if not allows(facts[2])}
    assert doubtful == set(EXAMINED)


def test_the_page_says_what_installed_packages_state() -> None:
    page = listed()
    installed = [row for row in rows() if row[3] != "not installed"]
    assert len(installed) > 50
    assert [row for row in installed if page[row[0]][2] != row[3]] == []


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("GPL-3.0-only OR MIT", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GNU Library or Lesser General Public License (LGPL)", True),
        ("GPL-3.0-only", False),
        ("LGPL-2.1-only AND GPL-3.0-only", False),
        ("GNU Affero General Public License v3", False),
        ("MIT / GNU General Public License (GPL)", False),
        ("Proprietary", False),
        ("not stated", False),
        ("", False),
    ],
)
def test_licences_that_bind_floodloom_are_not_allowed(licence: str, is_allowed: bool) -> None:
    assert allows(licence) is is_allowed
