"""One reader under libFuzzer: the process that `fuzz_coverage` starts.

Whatever functions of floodloom and of the Python libraries that parse for it are loaded once the
valid files have been read tell libFuzzer which branches an input takes. Compiled loops don't: they
are given numbers that have been checked.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

from .fuzz_coverage import MEGABYTES, SECONDS
from .harness import Trial
from .mutations import Randomly, mutate
from .reader import Reader, names, refused
from .readers import READERS

_TOLD = ("floodloom", "yaml", "zipfile", "pystac", "pystac_client")
_ROUNDS = 500
"""Inputs after which the folder is looked at: nothing may be left in it."""


def instrument() -> int:
    """Let the functions that are loaded tell which branches they take; return how many do."""
    count = 0
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _TOLD and not name.startswith("floodloom.kernels"):
            for function in _functions(module):
                atheris.instrument_func(function)
                count += 1
    return count


def _functions(module: types.ModuleType) -> list[types.FunctionType]:
    """Return the functions and methods that are a module's own."""
    found = [
        one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__
    ]
    classes = [one for one in found if isinstance(one, type)]
    inner = [member for one in classes for member in vars(one).values()]
    bare = [getattr(one, "__func__", getattr(one, "fget", one)) for one in (*found, *inner)]
    return [one for one in bare if isinstance(one, types.FunctionType) and one.__code__.co_name]


def target(reader: Reader, place: Trial) -> Callable[[bytes], None]:
    """Return what libFuzzer calls with each input."""
    before, count = names(place), 0

    def read(content: bytes) -> None:
        nonlocal count
        refused(reader.read, content)
        count += 1
        if count % _ROUNDS == 0:
            print(f"processor seconds: {sum(os.times()[:2]):.1f}", flush=True)
        if count % _ROUNDS == 0 and names(place) != before:
            raise AssertionError(f"left behind: {set(names(place)) - set(before)}")

    return read


def mutator(reader: Reader) -> Callable[[bytes, int, int], bytes]:
    """Return what makes an input of another: mutations of libFuzzer and of the reader's kind."""
    kinds = [None, *reader.mutations]  # None for libFuzzer's own

    def change(content: bytes, most: int, seed: int) -> bytes:
        choices = Randomly(seed)
        kind = choices.one_of(kinds)
        if kind is None:
            return atheris.Mutate(content, most)
        return mutate(choices, bytes(content), kind)[:most]

    return change


def main(name: str, folder: Path, runs: int) -> None:
    """Give a reader so many inputs."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as scratch:
        place = Trial(Path(scratch), folder / "event")
        reader = READERS[name](place)
        for number, seed in enumerate(reader.seeds):
            if refused(reader.read, seed):
                raise SystemExit(f"{name}: refuses its valid file {number}")
            (folder / name / "corpus" / f"seed-{number}").write_bytes(seed)
        print(f"{name}: {instrument()} functions tell their branches", flush=True)
        longest = 2 * max(len(seed) for seed in reader.seeds) + 1000
        atheris.Setup(
            [
                name,
                str(folder / name / "corpus"),
                f"-runs={runs}",
                f"-timeout={SECONDS}",
                f"-rss_limit_mb={MEGABYTES}",
                f"-max_len={longest}",
                f"-artifact_prefix={folder / name / 'findings'}/",
                "-print_final_stats=1",
            ],
            target(reader, place),
            custom_mutator=mutator(reader),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
