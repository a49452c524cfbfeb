"""Numbers as the pages write them."""

from __future__ import annotations

from collections.abc import Mapping

_SMALL_HA, _WHOLE_HA = 99.5, 9.95  # below 1 km², and 10 ha
_NARROW = "\u202f"  # a narrow space that breaks no line


def score(value: float | None) -> str:
    """Return a score with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def whole(value: float) -> str:
    """Return a whole number, its thousands apart."""
    return f"{value:,.0f}".replace(",", _NARROW)


def area(entry: Mapping[str, float]) -> str:
    """Return an area in km² by its `ha`, in ha below one of them, or in `pixels` without."""
    if "ha" not in entry:
        return f"{whole(entry['pixels'])} px"
    if entry["ha"] < _SMALL_HA:
        return f"{entry['ha']:.{1 if 0 < entry['ha'] < _WHOLE_HA else 0}f} ha"
    return f"{entry['ha'] / 100:,.2f} km²".replace(",", _NARROW)


def percent(share: float) -> str:
    """Return a share in percent, a small one with a decimal."""
    return f"{100 * share:.{0 if share >= 0.1 or share == 0 else 1}f}{_NARROW}%"


def clock(seconds: float) -> str:
    """Return a duration."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
