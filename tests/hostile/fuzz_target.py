"""One reader under libFuzzer: what runs in the processes that `fuzz_coverage` forks.

Whatever functions of floodloom and of the Python libraries that parse for it are loaded once the
valid files have been read tell libFuzzer which branches an input takes. Compiled loops don't: they
are given numbers that have been checked.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

from .fuzz_coverage import MEASURES, MEGABYTES, SECONDS
from .harness import Trial
from .mutations import Randomly, mutate
from .reader import Reader, names, refused
from .readers import READERS

_TOLD = ("floodloom", "yaml", "zipfile", "pystac", "pystac_client")
_ROUNDS = 500
"""Inputs after which the folder is looked at: nothing may be left in it."""
_WAIT = 60
"""Seconds of waiting; on a busy machine an input takes many times its processor seconds."""
_instrumented: set[types.FunctionType] = set()


def instrument() -> int:
    """Let the functions that are loaded tell which branches they take; return how many do."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _TOLD and not name.startswith("floodloom.kernels"):
            for function in set(_functions(module)) - _instrumented:
                atheris.instrument_func(function)
                _instrumented.add(function)
    return len(_instrumented)


def _functions(module: types.ModuleType) -> list[types.FunctionType]:
    """Return the functions and methods that are a module's own."""
    found = [
        one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__
    ]
    classes = [one for one in found if isinstance(one, type)]
    inner = [member for one in classes for member in vars(one).values()]
    bare = [getattr(one, "__func__", getattr(one, "fget", one)) for one in (*found, *inner)]
    return [one for one in bare if isinstance(one, types.FunctionType) and one.__code__.co_name]


def target(
    reader: Reader, place: Trial, findings: Path, measures: mmap.mmap
) -> Callable[[bytes], None]:
    """Return what libFuzzer calls with each input; it writes down what this took."""
    before, count, slowest = names(place), 0, 0.0
    began = time.process_time()

    def read(content: bytes) -> None:
        nonlocal count, slowest
        started = time.process_time()
        try:
            refused(reader.read, content)
        finally:
            now = time.process_time()
            count, slowest = count + 1, max(slowest, now - started)
            MEASURES.pack_into(measures, 0, count, now - began, slowest)
        if now - started > SECONDS:
            raise AssertionError(f"{now - started:.1f} processor seconds")
        if count % _ROUNDS == 0 and names(place) != before:
            raise AssertionError(f"left behind: {set(names(place)) - set(before)}")

    def kept(content: bytes) -> None:
        try:
            read(content)
        except BaseException:
            (findings / hashlib.sha256(content).hexdigest()[:12]).write_bytes(content)
            raise  # which libFuzzer keeps no input of

    return kept


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


def target_main(folder: Path, runs: int, scratch: Path, measures: mmap.mmap) -> None:
    """Give the reader of a folder so many inputs; ends the process."""
    name = folder.name
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    place = Trial(scratch, folder.parent / "event")
    reader = READERS[name](place)
    for number, seed in enumerate(reader.seeds):
        if refused(reader.read, seed):
            raise SystemExit(f"{name}: refuses its valid file {number}")
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    print(f"{name}: {instrument()} functions tell their branches", flush=True)
    longest = 2 * max(len(seed) for seed in reader.seeds) + 1000
    atheris.Setup(
        [
            name,
            str(folder / "corpus"),
            f"-runs={runs}",
            f"-timeout={_WAIT}",
            f"-rss_limit_mb={MEGABYTES}",
            f"-max_len={longest}",
            "-len_control=0",
            f"-artifact_prefix={folder / 'findings'}/",
        ],
        target(reader, place, folder / "findings", measures),
        custom_mutator=mutator(reader),
    )
    atheris.Fuzz()
