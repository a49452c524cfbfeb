"""One small picture of a flood map, for a README or a mail."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

from floodloom.errors import InputError
from floodloom.files import atomic_path
from floodloom.mapping.products import COLOURS, describe_map, rows_of_map
from floodloom.raster.align import onto_grid
from floodloom.raster.grid import geobox_of
from floodloom.raster.product import FloodClass
from floodloom.raster.store import open_store
from floodloom.report.images import (
    Shrunk,
    brightness,
    map_picture,
    stretch_limits,
    to_greys,
)
from floodloom.report.results import ticks
from floodloom.report.scene import EventLayers, class_shares

_LARGEST = 420
_COLOURS = 96
_NAMES = {
    FloodClass.FLOOD: "flood",
    FloodClass.PERMANENT: "permanent water",
    FloodClass.EXCLUDED: "excluded: not observable by radar",
}


def map_figure(layers: EventLayers) -> bytes:
    """Draw a flood map beside its radar images.

    Parameters
    ----------
    layers
        An event with a scene; without a scene before the flood, its panel is left out.

    Returns
    -------
    bytes
        A PNG of less than 300 kB.

    Raises
    ------
    InputError
        If there is no scene.
    """
    if layers.scene is None:
        raise InputError(f"figure: event {layers.name} has no scene to draw; give its store")
    height, width = layers.classes.shape
    shrunk = Shrunk.to_fit(height, width, _LARGEST)
    values = brightness(layers.scene, shrunk)
    limits = stretch_limits(values)
    after, classes = to_greys(values, limits), shrunk.every(layers.classes[:])
    dry = np.zeros_like(classes)
    panels = {"after": map_picture(after, dry), "flood map": map_picture(after, classes)}
    if layers.before is not None:
        before = _before_greys(layers.before, shrunk, shrunk.grid(layers.geobox), limits)
        panels = {"before": map_picture(before, dry), **panels}
    return _png(_drawn(panels, layers, shrunk))


def _before_greys(
    before: xr.Dataset, shrunk: Shrunk, target: GeoBox, limits: tuple[float, float]
) -> NDArray[np.uint8]:
    """Grey steps of a scene before the flood on the shrunk grid of the map."""
    own = Shrunk(before.sizes["y"], before.sizes["x"], shrunk.factor)
    greys = to_greys(brightness(before, own), limits)
    return onto_grid(greys, own.grid(geobox_of(before)), target, 0, "scene before the flood")


def _drawn(panels: dict[str, Any], layers: EventLayers, shrunk: Shrunk) -> Figure:
    rows, cols = next(iter(panels.values())).shape[:2]
    width = 4.0
    figure = Figure(figsize=(width * len(panels), width * rows / cols + 0.75), dpi=100)
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    for frame, (name, image) in zip(axes, panels.items(), strict=True):
        frame.imshow(image, interpolation="nearest")
        frame.set_axis_off()
        frame.set_title(_title(name, layers), fontsize=11, loc="left", color="#1b2329")
    areas = class_shares(layers.classes, layers.geobox)
    handles = [
        Patch(**_filled(level), label=_labelled(level, areas))
        for level in _NAMES
        if areas[level.name.lower()]["pixels"]
    ]
    if handles:
        figure.legend(handles=handles, loc="lower right", ncols=3, fontsize=10, frameon=False)
    if layers.geobox.crs is not None and not layers.geobox.crs.geographic:
        _scale_bar(axes[0], abs(layers.geobox.affine.a) * shrunk.factor, rows, cols)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.92, bottom=0.11, wspace=0.02)
    return figure


def _filled(level: FloodClass) -> dict[str, Any]:
    if level is FloodClass.EXCLUDED:
        return {"facecolor": "white", "edgecolor": "#333333", "hatch": "//////"}
    return {"color": np.array(COLOURS[level.value][:3]) / 255}


def _title(name: str, layers: EventLayers) -> str:
    scene = {"before": layers.before, "after": layers.scene}.get(name)
    return name if scene is None else f"{name}, {str(scene.attrs.get('acquisition_time', ''))[:10]}"


def _labelled(level: FloodClass, areas: dict[str, dict[str, float]]) -> str:
    entry = areas[level.name.lower()]
    size = f"{entry['ha'] / 100:.1f} km²" if "ha" in entry else f"{entry['pixels']:,.0f} px"
    return f"{_NAMES[level]}, {size}"


def _scale_bar(frame: Any, pixel: float, rows: int, cols: int) -> None:
    length = ticks(0.0, cols * pixel)[1]
    frame.autoscale(False)
    frame.plot([0, length / pixel], [rows * 1.025] * 2, color="#1b2329", lw=2, clip_on=False)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    frame.text(length / pixel + 8, rows * 1.04, text, fontsize=9, color="#1b2329")


def _png(figure: Figure) -> bytes:
    buffer, small = BytesIO(), BytesIO()
    figure.savefig(buffer, format="png")
    image = Image.open(buffer).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True)
    return small.getvalue()


def event_of_run(run: Path) -> EventLayers:
    """Open the first mapped event of a finished run.

    Parameters
    ----------
    run
        Results folder of the run.

    Raises
    ------
    InputError
        If the run has no flood map.
    """
    found = sorted(run.glob("maps/*/flood.tif"))
    if not found:
        raise InputError(f"{run}: holds no maps/<event>/flood.tif; run the workflow first")
    grid, tags = describe_map(found[0])
    name = tags.get("FLOODLOOM_SCENE", "")
    scene = open_store(run / "geocoded" / f"{name}.zarr")
    return EventLayers(
        name=found[0].parent.name,
        geobox=grid,
        classes=rows_of_map(found[0]),
        reasons=rows_of_map(found[0], band=2),
        scene=scene,
        before=_earlier(run, scene),
    )


def _earlier(run: Path, scene: xr.Dataset) -> xr.Dataset | None:
    """The run's scene of the same grid that was seen before this one."""
    for path in sorted(run.glob("geocoded/*.zarr")):
        other = open_store(path)
        times = [str(store.attrs.get("acquisition_time", "")) for store in (other, scene)]
        if times[0] < times[1] and geobox_of(other) == geobox_of(scene):
            return other
    return None


def main(run: str, out: str) -> None:
    """Write the figure of a finished run."""
    picture = map_figure(event_of_run(Path(run)))
    with atomic_path(out) as temporary:
        temporary.write_bytes(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
