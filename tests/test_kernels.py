"""Compiled loops work wherever floodloom is installed."""

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "floodloom"
KERNEL = """
from floodloom.kernels import jit

@jit()
def twice(number):
    return 2 * number

print(twice(21))
"""


def run_kernel(folder: Path, **variables: str) -> None:
    """Run a kernel of a module that numba can't write beside, and without a home directory."""
    module = folder / "module.py"
    module.write_text(KERNEL, encoding="utf-8")
    (folder / "__pycache__").touch()
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE.parent), "HOME": "/dev/null"}
    result = subprocess.run(
        [sys.executable, str(module)], env={**kept, **variables}, capture_output=True, text=True
    )
    assert result.stdout == "42\n", result.stderr
    assert "Error" not in result.stderr


def machine_code(folder: Path) -> list[Path]:
    return list(folder.rglob("*.nbc"))


def test_without_a_home_the_cache_is_a_private_folder(tmp_path) -> None:
    for _ in range(2):
        run_kernel(tmp_path, TMPDIR=str(tmp_path))
    (folder,) = tmp_path.glob("floodloom-numba-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(machine_code(folder)) == 1


def test_a_folder_that_others_can_write_to_is_not_trusted(tmp_path) -> None:
    folder = tmp_path / f"floodloom-numba-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    run_kernel(tmp_path, TMPDIR=str(tmp_path))
    assert not machine_code(tmp_path)


def test_without_any_folder_kernels_run_uncached(tmp_path) -> None:
    (tmp_path / f"floodloom-numba-{os.getuid()}").touch()
    run_kernel(tmp_path, TMPDIR=str(tmp_path))
    assert not machine_code(tmp_path)


def test_the_folder_of_the_environment_is_honoured(tmp_path) -> None:
    run_kernel(tmp_path, TMPDIR=str(tmp_path), NUMBA_CACHE_DIR=str(tmp_path / "mine"))
    assert len(machine_code(tmp_path / "mine")) == 1
    assert not list(tmp_path.glob("floodloom-numba-*"))


def test_the_cache_outlasts_a_run_whose_temporary_files_go(tmp_path) -> None:
    (tmp_path / "run").mkdir()
    run_kernel(tmp_path, TMPDIR=str(tmp_path / "run"), FLOODLOOM_LASTING_TMPDIR=str(tmp_path))
    (folder,) = tmp_path.glob("floodloom-numba-*")
    assert len(machine_code(folder)) == 1
    assert not list((tmp_path / "run").iterdir())


def test_every_kernel_is_compiled_in_this_way() -> None:
    users = [p.name for p in SOURCE.rglob("*.py") if "njit" in p.read_text(encoding="utf-8")]
    assert users == ["kernels.py"]


ENDED = """
import signal
import numba, numpy as np
from numba.core.event import Listener, install_listener
from floodloom.kernels import jit

class Ended(BaseException):
    pass

class EndsCompiling(Listener):
    def on_start(self, event):
        signal.raise_signal(signal.SIGTERM)

    def on_end(self, event):
        pass

def end(number, frame):
    raise Ended

@jit()
def longest_run(values):
    longest, run = 0, 0
    for index in range(1, values.size):
        run = run + 1 if values[index] > values[index - 1] else 0
        longest = max(longest, run)
    return longest

signal.signal(signal.SIGTERM, end)
try:
    with install_listener("numba:compile", EndsCompiling()):
        longest_run(np.arange(9.0))
except Ended:
    print("ended;", len(longest_run.signatures), "compiled")
"""


def test_a_signal_waits_until_a_kernel_is_compiled(tmp_path) -> None:
    module = tmp_path / "module.py"
    module.write_text(ENDED, encoding="utf-8")
    names = {**os.environ, "PYTHONPATH": str(SOURCE.parent), "NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, str(module)], env=names, capture_output=True, text=True, check=False
    )
    assert result.stdout == "ended; 1 compiled\n", result.stderr


AT_ONCE = """
import sys
import numpy as np
from floodloom.kernels import jit

@jit()
def total(values):
    found = values[0] * 0
    for value in values:
        found += value
    return found

@jit()
def mean(values):
    return total(values) / values.size

given = np.arange(9, dtype=sys.argv[1])
sys.stdin.readline()
print(float(mean(given)), sum(total.stats.cache_misses.values()))
"""


def test_processes_that_compile_a_kernel_at_once_take_turns(tmp_path) -> None:
    """Each type is compiled once, and loaded as what it is."""
    module = tmp_path / "module.py"
    module.write_text(AT_ONCE, encoding="utf-8")
    cache = tmp_path / "cache"
    names = {**os.environ, "PYTHONPATH": str(SOURCE.parent), "NUMBA_CACHE_DIR": str(cache)}
    for compiled in (2, 0):
        running = [
            subprocess.Popen(
                [sys.executable, str(module), kind],
                env=names,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for kind in ("float32", "float32", "int64", "int64")
        ]
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ended = [process.communicate()[0].split() for process in running]
        assert [float(mean) for mean, _ in ended] == [4.0] * 4
        assert sum(int(misses) for _, misses in ended) == compiled
    assert len(machine_code(cache)) == 4
