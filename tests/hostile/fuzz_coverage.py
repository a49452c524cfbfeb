"""`make fuzz-coverage`: mutations of valid files that are led by the lines that they reach.

Each reader of `readers.py` runs under libFuzzer (by atheris) in a process of its own, which is
forked of one that has loaded and instrumented everything once. An input may take 5 s and 1 GB.
What is found lies beneath `results/fuzzing`, and further runs go on from there; `corpus.tar.xz`
beside this file holds what all begin with.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import re
import struct
import sys
import tarfile
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus.tar.xz"
LARGEST = 200_000
"""Bytes that the corpus in the repository may have."""
_KEPT = 40
"""Inputs of a reader that are kept, the smallest."""
SECONDS, MEGABYTES = 5, 1000
"""What one input may take."""
_MOST_FINDINGS = 5
"""Findings of a reader after which it is left: mend them, and remove its folder to begin anew."""
_PART = 20_000
"""Inputs after which what was done is written down."""
_MEMORY = Path("/dev/shm")
"""Where files are written, if there is one: inputs are many, and small."""
MEASURES = struct.Struct("=Qdd")
"""What a process tells of itself: inputs, processor seconds, and those of the slowest input."""


@dataclass
class Tally:
    """What has been done with a reader, in all runs together.

    Attributes
    ----------
    executions, seconds
        Inputs, and processor seconds that they took.
    coverage
        Branches that were reached.
    inputs
        Inputs of the corpus: each reaches something that the others don't.
    peak_mib
        Greatest memory of its process, with all that is loaded.
    slowest
        Processor seconds of the input that took longest.
    findings
        Last lines of what was raised, with the files of the inputs.
    """

    executions: int = 0
    seconds: float = 0.0
    coverage: int = 0
    inputs: int = 0
    peak_mib: int = 0
    slowest: float = 0.0
    findings: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Inputs in a processor second."""
        return self.executions / max(self.seconds, 0.1)


def fuzz(name: str, folder: Path, runs: int) -> Tally:
    """Give a reader so many more inputs.

    Parameters
    ----------
    name
        Reader.
    folder
        Folder of all readers, with the event in it.
    runs
        Inputs, those of the corpus among them.
    """
    place = folder / name
    (place / "corpus").mkdir(parents=True, exist_ok=True)
    (place / "findings").mkdir(exist_ok=True)
    for file, content in kept(name).items():
        (place / "corpus" / file).write_bytes(content)
    tally = read_tally(place)
    left = runs
    while left > 0 and len(tally.findings) < _MOST_FINDINGS:
        done = _part(name, folder, min(left, _PART), tally)
        left -= max(done, 1)
        (place / "tally.json").write_text(json.dumps(asdict(tally), indent=2) + "\n")
    return tally


def read_tally(place: Path) -> Tally:
    """Return what has been done with a reader so far, by its folder."""
    path = place / "tally.json"
    return Tally(**json.loads(path.read_text())) if path.exists() else Tally()


def _part(name: str, folder: Path, runs: int, tally: Tally) -> int:
    """Run a process until its inputs are done or it has found something; return its inputs."""
    from .fuzz_target import target_main

    place = folder / name
    before = {path.name for path in (place / "findings").iterdir()}
    measures = mmap.mmap(-1, MEASURES.size)
    memory = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as scratch:
        code, peak = _forked(
            lambda: target_main(place, runs, Path(scratch), measures), place / "log.txt"
        )
    executions, seconds, slowest = MEASURES.unpack(measures)
    text = (place / "log.txt").read_text(errors="replace")
    tally.executions += executions
    tally.seconds = round(tally.seconds + seconds, 1)
    tally.slowest = max(tally.slowest, round(slowest, 3))
    tally.peak_mib = max(tally.peak_mib, peak)
    covered = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)", text)
    if covered:
        tally.coverage = max(tally.coverage, int(covered[-1][0]))
        tally.inputs = int(covered[-1][1])
    new = {path.name for path in (place / "findings").iterdir()} - before
    if new or code:
        tally.findings.append(f"{_reason(text)} ({', '.join(sorted(new)) or 'no input kept'})")
        (place / f"log-{len(tally.findings)}.txt").write_text(text)
    return executions


def _forked(call: Callable[[], object], log: Path) -> tuple[int, int]:
    """Call a function in a fork of this process; return exit status and greatest memory, MiB."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            with log.open("wb") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            call()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss >> 10


def _reason(text: str) -> str:
    """Return the line that says why a process ended."""
    raised = re.findall(r"^(?:\w+\.)*\w*(?:[Ee]rror|Exception|Exit|Interrupt)\b.*", text, re.M)
    ended = re.findall(r"ERROR: libFuzzer: (.*)|==\d+== ?(ERROR: .*)", text)
    raised = [line for line in raised if line != "SystemExit: -1"]  # what libFuzzer makes of it
    return (raised or ["".join(one) for one in ended] or [text[-200:]])[-1][:300]


def shares(tallies: Mapping[str, Tally], total: int) -> dict[str, int]:
    """Share what is missing of a number of inputs among readers, the same time for each.

    Returns
    -------
    dict
        Inputs of each reader that goes on, the more the faster it reads.
    """
    missing = total - sum(one.executions for one in tallies.values())
    rates = {k: one.rate for k, one in tallies.items() if len(one.findings) < _MOST_FINDINGS}
    if missing <= 0 or not rates:
        return {}
    whole = sum(rates.values())
    return {name: int(missing * rate / whole) + 1 for name, rate in rates.items()}


def kept(name: str) -> dict[str, bytes]:
    """Return the inputs of a reader that are kept in the repository, by their names."""
    if not CORPUS.exists():
        return {}
    with tarfile.open(CORPUS) as archive:
        members = [one for one in archive if one.name.startswith(f"{name}/")]
        files = ((one.name.partition("/")[2], archive.extractfile(one)) for one in members)
        return {file: content.read() for file, content in files if content is not None}


def keep(folder: Path) -> None:
    """Put the smallest inputs of each reader's corpus into the repository."""
    with tarfile.open(CORPUS, "w:xz", preset=9) as archive:
        for corpus in sorted(folder.glob("*/corpus")):
            found = (path for path in corpus.iterdir() if not path.name.startswith("seed-"))
            for path in sorted(found, key=lambda one: (one.stat().st_size, one.name))[:_KEPT]:
                member = tarfile.TarInfo(f"{corpus.parent.name}/{path.name[:12]}")
                member.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(member, content)


def make_event_once(folder: Path) -> None:
    """Make the event of which every reader takes its valid files, if it isn't there yet."""
    event, part = folder / "event", folder / "event.part"
    if event.exists():
        return
    part.mkdir(parents=True, exist_ok=True)
    # In a process of its own: the threads that it starts don't go through a fork.
    code, _ = _forked(lambda: _make_event(part), folder / "event.log")
    if code:
        raise SystemExit((folder / "event.log").read_text())
    part.rename(event)


def _make_event(folder: Path) -> None:
    from .event import make_event

    make_event(folder)


def table(tallies: Mapping[str, Tally]) -> str:
    """Return what was done as a table."""
    rows = [
        f"{'reader':<18}{'inputs':>10}{'per s':>8}{'branches':>10}{'corpus':>8}{'slowest':>9}"
        f"{'MiB':>6}  found"
    ]
    for name, one in tallies.items():
        rows.append(
            f"{name:<18}{one.executions:>10,}{one.rate:>8.0f}{one.coverage:>10}{one.inputs:>8}"
            f"{one.slowest:>7.2f} s{one.peak_mib:>6}  {len(one.findings)}"
        )
        rows += [f"    {text}" for text in one.findings]
    found = tallies.values()
    rows.append(
        f"{'all':<18}{sum(one.executions for one in found):>10,}{'':>26}"
        f"{max((one.slowest for one in found), default=0.0):>7.2f} s"
        f"{max((one.peak_mib for one in found), default=0):>6}"
        f"  {sum(len(one.findings) for one in found)}"
    )
    return "\n".join(rows)


def main() -> int:
    """Fuzz all readers, or those that are named; 1 if anything was found."""
    from .readers import READERS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="further inputs of each reader")
    parser.add_argument(
        "--total", type=int, help="until each reader has had RUNS inputs, and all so many"
    )
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "results" / "fuzzing")
    parser.add_argument("readers", nargs="*", choices=[*READERS, []], help="all when not given")
    parser.add_argument("--keep", action="store_true", help="put the corpus into the repository")
    parser.add_argument("--summary", action="store_true", help="print what has been done so far")
    given = parser.parse_args()
    names = given.readers or list(READERS)
    if given.keep:
        keep(given.folder)
    elif not given.summary:
        _fuzz_all(names, given.folder, given.runs, given.total)
    tallies = {name: read_tally(given.folder / name) for name in names}
    print(table(tallies))
    return int(any(one.findings for one in tallies.values()))


def _fuzz_all(names: list[str], folder: Path, runs: int, total: int | None) -> None:
    """Give each reader so many more inputs; with a total, so many in all, and share the rest."""
    from .fuzz_target import instrument

    make_event_once(folder)
    instrument()
    tallies = {name: read_tally(folder / name) for name in names}
    for name in names:
        more = runs if total is None else runs - tallies[name].executions
        tallies[name] = _told(name, folder, more)
    for name, more in shares(tallies, total or 0).items():
        _told(name, folder, more)


def _told(name: str, folder: Path, runs: int) -> Tally:
    tally = fuzz(name, folder, runs)
    print(table({name: tally}).splitlines()[1], flush=True)
    return tally


if __name__ == "__main__":
    sys.exit(main())
