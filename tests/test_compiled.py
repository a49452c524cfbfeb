"""What is compiled once in tests serves every copy of the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.compiled import PACKAGE, copy_compiled, link_compiled, unlink_compiled

RUN = """
import sys
import numpy as np
from floodloom.raster import runs
assert runs.__file__.startswith(sys.argv[1])
runs.flatten(np.arange(3))
print(sum(runs.flatten.stats.cache_misses.values()))
"""


def compiled_by(package: Path) -> int:
    """Run a kernel of a package; return how often it had to be compiled for that."""
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(package)],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout)


def test_a_copy_compiles_only_what_was_edited(tmp_path: Path) -> None:
    compiled_by(PACKAGE)
    one, other = tmp_path / "one" / "floodloom", tmp_path / "other" / "floodloom"
    for package in (one, other):
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    link_compiled(one)
    copy_compiled(other)
    assert compiled_by(one) == compiled_by(other) == 0
    unlink_compiled(one)
    source = one / "raster/runs.py"
    source.write_text(source.read_text() + "\n")
    assert compiled_by(one) == 1
    assert compiled_by(PACKAGE) == 0
