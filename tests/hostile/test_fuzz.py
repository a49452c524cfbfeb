"""Whatever is done to a valid file: what it is read as keeps its promises, or it is refused.

`make test` takes 100 examples of each, always the same, and what fuzzing by coverage has kept;
`make fuzz` takes as many as FLOODLOOM_FUZZ says.
"""

from __future__ import annotations

import os
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings

from .fuzz_coverage import CORPUS, LARGEST, kept
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
