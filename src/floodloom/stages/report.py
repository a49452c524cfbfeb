"""All results of a run → report and map page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from floodloom.files import write_json
from floodloom.log import get_logger
from floodloom.mapping.collection import collection_of, items_of
from floodloom.mapping.item import collection_id
from floodloom.names import require_events
from floodloom.outputs import together, writes
from floodloom.report.comparison import compare_with_baseline
from floodloom.report.pages import EventFiles, open_events
from floodloom.report.pages import map_page as render_map
from floodloom.report.pages import report_page as render_report
from floodloom.report.run import ReportFiles, run_examples, run_sections
from floodloom.report.scene import EventLayers, event_view
from floodloom.report.settings import ReportSettings
from floodloom.stages import STAGES

_COMPARED = 800  # px
_MOST_THREADS = 4  # each holds strips of a scene


@writes("out", "map_page", "collection")
def report(
    *,
    out: Path,
    map_page: Path,
    collection: Path | None = None,
    event_files: EventFiles = EventFiles(),
    files: ReportFiles = ReportFiles(),
    settings: ReportSettings = ReportSettings(),
    threads: int = 1,
) -> Path:
    """Write the report and the map page; both open without network.

    Parameters
    ----------
    out
        Report to write (.html).
    map_page
        Map page to write (.html).
    collection
        STAC collection of the maps to write (.json); its folder is its identifier.
    event_files
        What there is of each event.
    files
        What there is of the whole run.
    settings
        What the pages are called and show.
    threads
        CPU threads.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If files and events aren't pairs, or a file can't be read or isn't what it should be.
    """
    require_events(*settings.events, *settings.before_events, *settings.truth_events)
    opened = open_events(event_files, settings, Path(map_page).parent)
    written = {"map_page": Path(map_page), "out": Path(out)}
    if collection is not None:  # before the pages, which take minutes
        items = items_of(event_files.stac_items, Path(collection).parent)
        described = collection_of(collection_id(Path(collection)), settings.title, items)
        written["collection"] = Path(collection)

    shown = run_examples(files, threads)
    views = [_view(layers, settings, len(opened), threads) for layers in opened]
    sections = run_sections(files, settings, tuple(STAGES))
    page = render_report(settings.title, views=views, examples=shown, **sections)
    map_text = render_map(settings.title, views, shown)

    with together(written) as made:
        made["map_page"].write_text(map_text, encoding="utf-8")
        made["out"].write_text(page, encoding="utf-8")
        if collection is not None:
            write_json(made["collection"], described)
    get_logger(__name__).info("%s: %d maps, %d example tiles", out, len(opened), len(shown))
    return Path(out)


def _view(
    layers: EventLayers, settings: ReportSettings, events: int, threads: int
) -> dict[str, Any]:
    """What the pages show of an event, with its comparison where one is asked for."""
    name = settings.baseline
    compared = None if name is None else compare_with_baseline(layers, name, _COMPARED)
    view = event_view(layers, events=events, threads=min(threads, _MOST_THREADS))
    return {**view, "comparison": compared}
