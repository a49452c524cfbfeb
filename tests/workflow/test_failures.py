"""What failed is listed for as long as it isn't made."""

from __future__ import annotations

from pathlib import Path

from floodloom.workflow.failures import LISTED, forget_failure, list_failures, note_failure


def test_what_failed_is_listed_until_it_is_made(tmp_path: Path) -> None:
    logs = [tmp_path / "logs" / name for name in ("calibrate/a.log", "geocode/b.log")]
    for log in logs:
        log.parent.mkdir(parents=True)
        note_failure(log, f"{log.parent.name} {log.stem} failed: broken")
    said = list_failures(tmp_path)
    assert said.splitlines()[0] == f"floodloom: 2 jobs failed, also listed in {tmp_path / LISTED}:"
    listed = (tmp_path / LISTED).read_text()
    assert listed == "calibrate a failed: broken\ngeocode b failed: broken\n"
    forget_failure(logs[0])
    assert list_failures(tmp_path) == ""  # the run has shown it
    assert (tmp_path / LISTED).read_text() == "geocode b failed: broken\n"
    forget_failure(logs[1])
    assert list_failures(tmp_path) == ""
    assert not (tmp_path / LISTED).exists()
