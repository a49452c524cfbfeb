"""Dockerfile and Kubernetes job name what is there, and agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
JOB = yaml.safe_load((REPOSITORY / "deploy/kubernetes.yaml").read_text())
POD = JOB["spec"]["template"]["spec"]


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_what_is_copied_is_there_and_comes_into_the_context() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert copied()
    for name in copied():
        assert (REPOSITORY / name).exists(), name
        assert f"!{name}" in ignored, name


def test_nothing_else_comes_into_the_context() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())


def test_the_image_has_the_pinned_packages_and_a_python_that_they_are_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    python = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)[1]
    assert project["requires-python"] == f">={python}"
    assert "--constraint constraints.txt" in DOCKERFILE
    extras = re.search(r"'\.\[(.+)\]'", DOCKERFILE)[1].split(",")
    assert set(extras) <= project["optional-dependencies"].keys()
    pinned = (REPOSITORY / "constraints.txt").read_text().lower().replace("_", "-")
    for extra in extras:
        for line in project["optional-dependencies"][extra]:
            name = re.match(r"[\w.-]+", line)[0]
            assert re.search(rf"^{re.escape(name)}==", pinned, re.MULTILINE), name


@pytest.mark.parametrize("container", [*POD["initContainers"], *POD["containers"]])
def test_pods_are_without_rights(container: dict[str, object]) -> None:
    user, group = map(int, re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE).groups())
    assert user > 0
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert (POD["securityContext"]["runAsUser"], POD["securityContext"]["runAsGroup"]) == (
        user,
        group,
    )
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
