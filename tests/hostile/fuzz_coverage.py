"""`make fuzz-coverage`: mutations of valid files that are led by the lines that they reach.

Each reader of `readers.py` runs in a process of its own under libFuzzer (by atheris), which
stops it at 5 s for one input or 1 GB of memory. What it finds lies beneath `results/fuzzing`, and
further runs go on from there; `corpus.tar.xz` beside this file holds what all begin with.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import time
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
_FINAL = {
    "executions": r"stat::number_of_executed_units:\s*(\d+)",
    "peak_mib": r"stat::peak_rss_mb:\s*(\d+)",
}


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
        Greatest memory of its process.
    findings
        Last lines of what was raised, with the files of the inputs.
    """

    executions: int = 0
    seconds: float = 0.0
    coverage: int = 0
    inputs: int = 0
    peak_mib: int = 0
    findings: list[str] = field(default_factory=list)


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
    tally = _read(place)
    left = runs
    while left > 0 and len(tally.findings) < _MOST_FINDINGS:
        done = _part(name, folder, left, tally)
        left -= max(done, 1)
        (place / "tally.json").write_text(json.dumps(asdict(tally), indent=2) + "\n")
    return tally


def _read(place: Path) -> Tally:
    path = place / "tally.json"
    return Tally(**json.loads(path.read_text())) if path.exists() else Tally()


def _part(name: str, folder: Path, runs: int, tally: Tally) -> int:
    """Run a process until its inputs are done or it has found something; return its inputs."""
    before = {path.name for path in (folder / name / "findings").iterdir()}
    command = [sys.executable, "-m", "tests.hostile.fuzz_target", name, str(folder), str(runs)]
    started = time.time()
    with (folder / name / "log.txt").open("w+", errors="replace") as log:
        code = subprocess.run(command, cwd=REPOSITORY, stdout=log, stderr=log, check=False)
        log.seek(0)
        text = log.read()
    found = {key: re.search(pattern, text) for key, pattern in _FINAL.items()}
    numbers = {key: int(match[1]) if match else 0 for key, match in found.items()}
    covered = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)", text)
    executions = numbers["executions"] or max(
        map(int, re.findall(r"^#(\d+)", text, re.M)), default=0
    )
    tally.executions += executions
    tally.seconds += round(_processor_seconds(text) or time.time() - started, 1)
    tally.peak_mib = max(tally.peak_mib, numbers["peak_mib"])
    if covered:
        tally.coverage = max(tally.coverage, int(covered[-1][0]))
        tally.inputs = int(covered[-1][1])
    new = {path.name for path in (folder / name / "findings").iterdir()} - before
    if new or code.returncode:
        tally.findings.append(f"{_reason(text)} ({', '.join(sorted(new)) or 'no input kept'})")
    return executions


def _processor_seconds(text: str) -> float:
    found = re.findall(r"processor seconds: ([\d.]+)", text)
    return float(found[-1]) if found else 0.0


def _reason(text: str) -> str:
    """Return the line that says why a process ended."""
    raised = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*", text, re.M)
    ended = re.findall(r"ERROR: libFuzzer: (.*)|==\d+== ?(ERROR: .*)", text)
    return (raised or ["".join(one) for one in ended] or [text[-200:]])[-1][:300]


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
    from .event import make_event

    event, part = folder / "event", folder / "event.part"
    if not event.exists():
        part.mkdir(parents=True)
        make_event(part)
        part.rename(event)


def table(tallies: dict[str, Tally]) -> str:
    """Return what was done as a table."""
    rows = [
        f"{'reader':<18}{'inputs':>10}{'per s':>8}{'branches':>10}{'corpus':>8}{'MiB':>6}  found"
    ]
    for name, one in tallies.items():
        rate = one.executions / max(one.seconds, 0.1)
        rows.append(
            f"{name:<18}{one.executions:>10,}{rate:>8.0f}{one.coverage:>10}{one.inputs:>8}"
            f"{one.peak_mib:>6}  {len(one.findings)}"
        )
        rows += [f"    {text}" for text in one.findings]
    rows.append(f"{'all':<18}{sum(one.executions for one in tallies.values()):>10,}")
    return "\n".join(rows)


def main() -> int:
    """Fuzz all readers, or those that are named; 1 if anything was found."""
    from .readers import READERS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="inputs of each reader")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "results" / "fuzzing")
    parser.add_argument("readers", nargs="*", choices=[*READERS, []], help="all when not given")
    parser.add_argument("--keep", action="store_true", help="put the corpus into the repository")
    given = parser.parse_args()
    if given.keep:
        keep(given.folder)
        return 0
    make_event_once(given.folder)
    tallies = {}
    for name in given.readers or READERS:
        tallies[name] = fuzz(name, given.folder, given.runs)
        print(table({name: tallies[name]}).splitlines()[1], flush=True)
    print(table(tallies))
    return int(any(one.findings for one in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
