"""Whatever is done to a valid file: what it is read as keeps its promises, or it is refused.

`make test` takes 100 examples of each, always the same, and what fuzzing by coverage has kept;
`make fuzz` takes as many as FLOODLOOM_FUZZ says.
"""

from __future__ import annotations

import json
import os
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings

from . import fuzz_coverage
from .fuzz_coverage import CORPUS, LARGEST, Tally, keep, kept, shares, table
from .harness import Trial, alarm
from .reader import names, refused
from .readers import READERS

EXAMPLES = int(os.environ.get("FLOODLOOM_FUZZ", "100"))
QUICK = EXAMPLES <= 100

fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=QUICK,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_mutated_file_is_read_or_refused(name: str, trial: Trial) -> None:
    reader = READERS[name](trial)
    number = max(EXAMPLES // 4, 25) if reader.is_slow else EXAMPLES

    def check_one(content: bytes) -> None:
        with alarm():
            refused(reader.read, content)
        assert names(trial) == before

    @settings(fuzzed, max_examples=number)
    @given(reader.examples)
    def check(content: bytes) -> None:
        check_one(content)

    for seed in reader.seeds:
        assert not refused(reader.read, seed)
    before = names(trial)
    for content in kept(name).values():
        check_one(content)
    check()


def test_the_corpus_is_small_and_of_known_readers() -> None:
    assert CORPUS.stat().st_size < LARGEST
    with tarfile.open(CORPUS) as archive:
        found = {name.partition("/")[0] for name in archive.getnames()}
    assert found
    assert found <= set(READERS)


def test_what_is_kept_is_found_again_by_its_reader(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fuzz_coverage, "CORPUS", tmp_path / "corpus.tar.xz")
    for reader, inputs in {"item": (b"{}", b"\0" * 99), "item-of-scene": (b"[]",)}.items():
        corpus = tmp_path / reader / "corpus"
        corpus.mkdir(parents=True)
        (corpus / "seed-0").write_bytes(b"made by the code")
        for number, content in enumerate(inputs):
            (corpus / f"{number}").write_bytes(content)
    assert kept("item") == {}
    keep(tmp_path)
    assert kept("item") == {"0": b"{}", "1": b"\0" * 99}
    assert kept("item-of-scene") == {"0": b"[]"}
    assert kept("zip") == {}


def test_the_table_names_what_was_found() -> None:
    found = table({"item": Tally(2000, 4.0, 98, 18, 486, 0.25, ["KeyError: 'x' (crash-1)"])})
    row = ["item", "2,000", "500", "98", "18", "0.25", "s", "486", "1"]
    assert found.splitlines()[1].split() == row
    assert "KeyError: 'x' (crash-1)" in found
    assert found.splitlines()[-1].split() == ["all", "2,000", "0.25", "s", "486", "1"]


def test_what_is_missing_is_shared_by_the_time_that_readers_take() -> None:
    tallies = {"a": Tally(100, 1.0), "b": Tally(300, 1.0), "c": Tally(50, 1.0, findings=["x"] * 5)}
    assert shares(tallies, 450) == {}
    assert shares(tallies, 450 + 400) == {"a": 101, "b": 301}


@pytest.mark.parametrize("form", ["zarr-2", "zarr-3"])
@pytest.mark.parametrize("value", [True, 3, 0.5, "gzip", {}, [True], [None]])
def test_codecs_of_any_type_are_read_or_refused(form: str, value: object, trial: Trial) -> None:
    reader = READERS[form](trial)
    for key in ("filters", "codecs", "index_codecs", "compressor"):
        refused(reader.read, json.dumps({**json.loads(reader.seeds[0]), key: value}).encode())
