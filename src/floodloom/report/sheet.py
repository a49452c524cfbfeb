"""What a duty officer has to know of a map, on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from floodloom.report.texts import area, percent, score

_MOST_ROWS = 5
_DOUBTFUL = 0.05  # share of the flood from which it is worth a line


@dataclass(frozen=True)
class Sheet:
    """The texts of a sheet.

    Attributes
    ----------
    facts
        Where and when, by name.
    sure
        How sure the map is, line by line.
    unseen
        What couldn't be observed and its area.
    zones
        Name, flood, and share of the zone that wasn't observed; those with the most flood.
    checks
        What to check before acting, line by line.
    """

    facts: Mapping[str, str]
    sure: Sequence[str]
    unseen: Sequence[tuple[str, str]]
    zones: Sequence[tuple[str, str, str]]
    checks: Sequence[str]


def sheet_of(view: Mapping[str, Any], scores: Mapping[str, Any] | None) -> Sheet:
    """Return the sheet of an event.

    Parameters
    ----------
    view
        See `floodloom.report.scene.event_view`.
    scores
        Scores of the event as `evaluate` writes them, None without truth.
    """
    return Sheet(_facts(view), _sure(view, scores), _unseen(view), _zones(view), _checks(view))


def knows_no_water_before(view: Mapping[str, Any]) -> bool:
    """Return whether nothing showed what was water before the flood."""
    return not view["compared"] and not view["areas"]["permanent"]["pixels"]


def _facts(view: Mapping[str, Any]) -> dict[str, str]:
    dates, places = view["dates"], view["places"]
    before = dates["all_before"] or dates["before"]
    unknown = "an image at a time that isn't known" if view["compared"] else ""
    found = {
        "Seen": f"{dates['after']} UTC" if dates["after"] else "",
        "By": view["sensor"],
        "Compared with": f"{before} UTC" if before else unknown or "no image before the flood",
        "Where": _place(places) if places else "unknown: the scene has no georeference",
        "Grid": _grid(view),
    }
    return {name: text for name, text in found.items() if text}


def _place(places: Mapping[str, Any]) -> str:
    middle = len(places["longitude"]) // 2
    return (
        f"around {_degrees(places['latitude'][middle], 'NS')}, "
        f"{_degrees(places['longitude'][middle], 'EW')}"
    )


def _degrees(value: float, signs: str) -> str:
    return f"{abs(value):.3f}° {signs[value < 0]}"


def _grid(view: Mapping[str, Any]) -> str:
    if view["pixel"] is None:
        return ""
    across, down = view["pixel"]
    size = f"{view['width'] * across / 1000:.1f} x {view['height'] * down / 1000:.1f} km"
    name = view["crs"] if view["crs"].startswith("EPSG") else "a CRS of its own"
    return f"{size}, pixels of {(across * down) ** 0.5:.0f} m, {name}"


def _sure(view: Mapping[str, Any], scores: Mapping[str, Any] | None) -> list[str]:
    lines = []
    if view["likely"]:
        high, middle, low = (percent(view["likely"][key]) for key in ("high", "middle", "low"))
        lines.append(
            f"The model gives {high} of the flood a likelihood of water of 90\u202f% or more, "
            f"{middle} one of 70 to 90\u202f%, and {low} less."
        )
    if view.get("vegetation"):
        lines.append(
            f"{area(view['vegetation'])} of the flood are flooded vegetation: land beside open "
            "flood water that has become brighter. It is less certain than open water."
        )
    if scores is None:
        lines.append("Nobody has checked this map against what was seen on the ground.")
        return lines
    flood = scores["flood"]
    if flood["precision"] is not None:
        lines.append(f"Of the flood on the map, {percent(flood['precision'])} is true.")
    if flood["recall"] is not None:
        lines.append(f"Of the true flood, {percent(flood['recall'])} is on the map.")
    lines.append(f"Both together: IoU {score(flood['iou'])}.")
    return lines


def _unseen(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("no data: outside the image", area(view["areas"]["nodata"]))]
    reasons = sorted(view["excluded"].items(), key=lambda row: -row[1]["pixels"])
    rows += [(reason, area(found)) for reason, found in reasons[:_MOST_ROWS]]
    if len(reasons) > _MOST_ROWS:
        rows.append((f"{len(reasons) - _MOST_ROWS} more reasons, see below", ""))
    return rows


def _zones(view: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for zone in sorted(view["zones"], key=lambda row: -row["flood"])[:_MOST_ROWS]:
        whole = sum(value for name, value in zone.items() if name != "zone")
        unseen = (zone["excluded"] + zone["nodata"] + zone["outside"]) / whole if whole else 0.0
        found.append((zone["zone"], area({"ha": zone["flood"]}), percent(unseen)))
    return found


def _checks(view: Mapping[str, Any]) -> list[str]:
    areas, likely = view["areas"], view["likely"]
    lines = ["Water moves: the map shows one moment. Ask for the next pass."]
    if likely and likely["low"] >= _DOUBTFUL:
        lines.append(
            f"{percent(likely['low'])} of the flood has a likelihood below 70\u202f%: look at it "
            "first, on the map page with its likelihood."
        )
    if knows_no_water_before(view):
        lines.append("Rivers and lakes count as flood: nothing shows what was water before.")
    if areas["excluded"]["pixels"]:
        lines.append(
            f"{area(areas['excluded'])} aren't observable and may be flooded: an image from the "
            "other direction of flight, or an optical one, sees other ground."
        )
    lines += [
        "Much water under trees, between buildings and roughened by wind stays hidden from radar.",
        "Runways, wide roads, sand and smooth wet fields may be taken for water.",
    ]
    return lines
