"""All results → report and map page."""
from __future__ import annotations
from pathlib import Path
def report(*, out: Path, map_page: Path, title: str = "Flood mapping run", examples: int = 6) -> Path:
    raise SystemExit(1)
