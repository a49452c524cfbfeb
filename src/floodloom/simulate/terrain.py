"""The ground: relief, drainage, and the waters that are always there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftfreq, irfft2, next_fast_len, rfft2, rfftfreq
from scipy.ndimage import binary_dilation

from floodloom.arrays import Doubles, Floats, Mask
from floodloom.kernels import jit
from floodloom.raster.drainage import OUTLET, accumulate, fill_depressions, steepest_receivers
from floodloom.simulate.fields import course, distance_to, fractal_field, organic_field, ranks
from floodloom.simulate.place import Place


@dataclass
class Ground:
    """The shape of a place and its permanent water; everything (y, x) float32 or bool.

    `elevation` m; `water` permanent water; `sea` the part of it that is sea; `brook` share of a
    pixel that is flowing water too narrow for it, 0-1; `bank` m to the nearest large river;
    `above` m above the water surface that the nearest drainage has; `hollow` depth of depressions,
    m; `swale` relief of ridges and swales that a river left, -1 to 1; `bar` bare sand beside
    rivers; `scar` former courses, grown over; `dyke` banks that keep water out.
    """

    elevation: Floats
    water: Mask
    sea: Mask
    brook: Floats
    bank: Floats
    above: Floats
    hollow: Floats
    swale: Floats
    bar: Mask
    scar: Mask
    dyke: Mask


def make_ground(draw: np.random.Generator, place: Place, side: int, spacing: float) -> Ground:
    """Make the ground of a place.

    Parameters
    ----------
    draw
        Source of random numbers.
    place
        What the place is like.
    side
        Pixels along each side.
    spacing
        Pixel spacing, m.

    Returns
    -------
    Ground
    """
    zero = np.zeros((side, side), np.float32)
    none = np.zeros((side, side), bool)
    ground = Ground(
        elevation=_hills(draw, place, side, spacing),
        water=none.copy(), sea=none.copy(), brook=zero.copy(), bank=zero + np.float32(1e5),
        above=zero.copy(), hollow=zero.copy(), swale=zero.copy(), bar=none.copy(),
        scar=none.copy(), dyke=none.copy(),
    )  # fmt: skip
    if place.coast:
        _add_sea(draw, ground, spacing)
    for _ in range(place.rivers):
        _add_river(draw, place, ground, spacing)
    if place.lakes > 0:
        _add_lakes(draw, place.lakes, ground)
    if place.ponds > 0:
        _add_ponds(draw, place.ponds, ground, spacing)
    _drain(draw, place, ground, spacing)
    return ground


_STEEPEST = 0.35  # standard deviation of the slope; soil slips beyond


def _hills(draw: np.random.Generator, place: Place, side: int, spacing: float) -> Floats:
    outer = draw.uniform(0.4, 1.6) * side
    shape = organic_field(draw, side, place.roughness, outer, bend=0.02, stretch=2)
    if place.relief > 20 and draw.random() < 0.5:
        shape = np.float32(1.6) - 2 * np.abs(shape)  # ridges
    steepness = float(np.std(np.gradient(shape, spacing)))
    relief = min(place.relief, draw.uniform(0.15, _STEEPEST) / steepness)
    tilt = draw.normal(0, 0.0015, 2) * spacing
    rows, cols = np.indices((side, side), dtype=np.float32)
    micro = draw.uniform(0.02, 0.2) * fractal_field(draw, side, 3, 60)
    return np.asarray(relief * shape + tilt[0] * rows + tilt[1] * cols + micro, np.float32)


def _add_sea(draw: np.random.Generator, ground: Ground, spacing: float) -> None:
    side = len(ground.elevation)
    rows, cols = np.indices((side, side), dtype=np.float32) - np.float32(side / 2)
    angle = draw.uniform(0, 2 * np.pi)
    inland = np.cos(angle) * rows + np.sin(angle) * cols + draw.uniform(-0.5, 0.5) * side
    wild = draw.uniform(0.01, 0.12) * side
    inland += wild * fractal_field(draw, side, draw.uniform(3, 4.6), side * draw.uniform(0.2, 1))
    rise = inland * spacing * np.exp(draw.uniform(np.log(0.001), np.log(0.03)))
    hills = np.clip(ground.elevation - ground.elevation.min(), 0, None)
    elevation = rise + np.tanh(np.clip(rise, 0, None) / 3) * hills * 0.5
    ground.sea |= elevation < 0
    ground.water |= ground.sea
    ground.elevation = np.where(ground.sea, np.clip(elevation, -3, 0), elevation).astype(np.float32)


_SWING = {"meandering": (0.6, 1.65), "straight": (0.2, 0.6), "braided": (0.1, 0.4)}


def _add_river(draw: np.random.Generator, place: Place, ground: Ground, spacing: float) -> None:
    """Carve a river with its plain, bars, swales and former courses."""
    side = len(ground.elevation)
    width = min(place.river_width / spacing, side / 5)
    wavelength = max(width, 2.5) * draw.uniform(9, 14) * draw.uniform(1, 2)
    swing = draw.uniform(*_SWING.get(place.river, (0.0, 0.03)))
    line = course(draw, side, wavelength, swing)
    found = distance_to(line, side)
    if found is None:
        return
    distance, nearest = found
    plain = place.plain * width + swing * 8
    ground.bank = np.minimum(ground.bank, distance * spacing)
    if place.river == "meandering":
        _add_swales(draw, ground, distance, width, plain)
    _lower(draw, place, ground, distance, nearest / len(line), plain)
    channel = _channel(draw, place, ground, distance, nearest / wavelength, width)
    if place.perennial:
        ground.water |= channel
        ground.brook = np.maximum(ground.brook, np.clip(width / 2 + 0.5 - distance, 0, 1))
    else:
        ground.bar |= channel
    if place.river == "meandering":
        _add_oxbows(draw, ground, width, wavelength, swing)


def _add_swales(
    draw: np.random.Generator, ground: Ground, distance: Floats, width: float, plain: float
) -> None:
    """Ridges and swales run along a river that has moved sideways."""
    side = len(distance)
    length = draw.uniform(0.4, 1.5) * max(width, 5)
    warp = draw.uniform(0.5, 3) * fractal_field(draw, side, 4, side / 3)
    fade = np.exp(-distance / plain) * np.clip(fractal_field(draw, side, 4, side / 3) + 0.8, 0, 1)
    ground.swale += (np.sin(2 * np.pi * distance / length + warp) * fade).astype(np.float32)


def _lower(
    draw: np.random.Generator,
    place: Place,
    ground: Ground,
    distance: Floats,
    along: Doubles,
    plain: float,
) -> None:
    """Replace the relief near a river by its flood plain, which falls along its course."""
    side = len(distance)
    away = distance / plain
    base = np.quantile(ground.elevation, 0.1)
    fall = draw.uniform(0.0, 3.0) * (along - 0.5)
    levee = draw.uniform(0, 1.2) * np.exp(-distance / max(plain / 8, 1.5))
    floor = base + fall + levee + place.rise * np.minimum(away, 1.8) ** 1.5
    floor += draw.uniform(0.1, 0.6) * organic_field(draw, side, 3.4, 90)
    floor += draw.uniform(0, 0.6) * ground.swale
    blend = np.clip((away - 0.6) / 1.2, 0, 1) ** 2
    hills = np.maximum(ground.elevation, floor)
    bed = distance < 1.5
    ground.elevation = ((1 - blend) * floor + blend * hills).astype(np.float32)
    ground.elevation[bed] = (base + fall - 1.5)[bed]


def _channel(
    draw: np.random.Generator,
    place: Place,
    ground: Ground,
    distance: Floats,
    beat: Doubles,
    width: float,
) -> Mask:
    """Water of a river; bars and dykes go to the ground."""
    side = len(distance)
    if place.river == "braided":
        across = organic_field(draw, side, 4, width * 1.5)
        thread = (np.abs(across) < draw.uniform(0.25, 0.6)) & (distance < width / 2)
        ground.bar |= (distance < width / 2) & ~thread
        return np.asarray(thread)
    if place.river == "canal":
        rim = (distance > width / 2 + 0.5) & (distance < width / 2 + 2)
        ground.dyke |= rim & (draw.random() < 0.7)
        return np.asarray(distance < width / 2)
    swell = 1 + 0.2 * np.sin(2 * np.pi * beat + draw.uniform(0, 6))
    swell += 0.12 * fractal_field(draw, side, 3.6, 40)
    reach = distance / np.clip(swell, 0.5, 1.8)
    channel = reach < width / 2
    beach = 0.5 * width * draw.uniform(0, 1.4) * (fractal_field(draw, side, 3.4, 60) > 0.7)
    ground.bar |= ~channel & (reach < width / 2 + beach)
    if width > 12 and draw.random() < 0.4:
        channel &= ~(organic_field(draw, side, 4, width) > draw.uniform(1.2, 2.5))  # islands
    return np.asarray(channel)


def _add_oxbows(
    draw: np.random.Generator, ground: Ground, width: float, wavelength: float, swing: float
) -> None:
    side = len(ground.elevation)
    for _ in range(int(draw.integers(0, 4))):
        found = distance_to(course(draw, side, wavelength, min(swing + 0.3, 1.8)), side)
        if found is None:
            continue
        distance, nearest = found
        valley = ground.bank < draw.uniform(8, 30) * width * 10
        old = (distance < width * draw.uniform(0.25, 0.5)) & valley & ~ground.sea
        stretch = np.sin(nearest / (wavelength * draw.uniform(0.5, 1.5)) + draw.uniform(0, 6))
        ground.elevation[old] -= 0.6
        ground.water |= old & (stretch > draw.uniform(0.5, 0.95))
        ground.scar |= old
        if draw.random() < 0.6:
            _add_swales(draw, ground, distance, width, 3 * width + 6)


def _add_lakes(draw: np.random.Generator, share: float, ground: Ground) -> None:
    side = len(ground.elevation)
    outer = side * np.exp(draw.uniform(np.log(0.08), np.log(0.6)))
    basin = organic_field(draw, side, draw.uniform(3.6, 5), outer)
    lake = ranks(basin - 0.3 * ground.elevation / max(ground.elevation.std(), 0.1)) > 1 - share
    ground.elevation = np.where(lake, ground.elevation - 1, ground.elevation).astype(np.float32)
    ground.water |= lake & ~ground.sea


def _add_ponds(draw: np.random.Generator, share: float, ground: Ground, spacing: float) -> None:
    """Lay out bunded fish ponds or salt pans in a part of the lowland."""
    side = len(ground.elevation)
    area = ranks(fractal_field(draw, side, 4, side / 2) - 0.2 * ground.elevation) > 1 - share
    area &= ~ground.water
    long = max(draw.uniform(40, 300) / spacing, 4)
    rim, pond = grid_cells(draw, side, long, max(long * draw.uniform(0.3, 1), 4), 1.0)
    filled = draw.random(4096) < draw.uniform(0.4, 0.98)
    ground.water |= area & ~rim & filled[pond]
    ground.dyke |= area & rim
    ground.elevation[area & rim] += 0.8


def grid_cells(
    draw: np.random.Generator, side: int, long: float, wide: float, rim: float
) -> tuple[Mask, NDArray[np.int_]]:
    """Return rims and numbers (0-4095) of the cells of a turned, staggered grid, (side, side)."""
    rows, cols = np.indices((side, side), dtype=np.float32)
    angle = draw.uniform(0, np.pi)
    u = (np.cos(angle) * rows + np.sin(angle) * cols) / long + 500
    strip = np.floor(u).astype(int)
    v = (np.cos(angle) * cols - np.sin(angle) * rows) / wide + 500
    v = v + draw.uniform(0, 1, 4096)[strip % 4096] * (draw.random() < 0.5)
    cell = np.floor(v).astype(int)
    edge = ((u - strip) * long < rim) | ((v - cell) * wide < rim)
    return np.asarray(edge), (strip * 7919 + cell * 104729) % 4096


def _drain(draw: np.random.Generator, place: Place, ground: Ground, spacing: float) -> None:
    """Let water run: brooks, the height above them, and hollows that hold rain."""
    surface = ground.elevation.astype(np.float64)
    surface[ground.water] -= 0.5
    filled, order = fill_depressions(surface)
    receiver = steepest_receivers(filled, order, spacing, spacing)
    upstream = accumulate(receiver, order)
    ground.hollow = (filled - surface).astype(np.float32)

    # A channel that drains 1 km² of humid land is some 3 m wide, and grows as the area's root
    # (Leopold and Maddock 1953); rain and the land beyond the border differ from place to place.
    area = upstream.reshape(surface.shape) * spacing**2 / 1e6 * np.exp(draw.normal(1.0, 1.0))
    width = 3.0 * np.sqrt(area) / spacing
    stream = area > draw.uniform(0.3, 1.5)
    if place.perennial:
        share = np.where(stream, np.clip(width, 0, 1), 0)
        ground.brook = np.maximum(ground.brook, share.astype(np.float32))
        ground.water |= binary_dilation(stream & (width > 2.0)) & ~ground.sea
        ground.water |= stream & (width > 1.0)
    if draw.random() < 0.4 and place.relief > 8:
        _dam(draw, ground, filled, receiver, order)

    # Brooks rise less than rivers do.
    rising = ground.elevation - np.where(ground.water, 0, draw.uniform(1.4, 2.6)).astype(np.float32)
    level = channel_level(rising, stream | ground.water, spacing)
    ground.above = np.asarray(ground.elevation - level, np.float32)
    ground.brook[ground.water] = 1.0


def _dam(
    draw: np.random.Generator,
    ground: Ground,
    filled: Doubles,
    receiver: NDArray[np.int64],
    order: NDArray[np.int64],
) -> None:
    """Flood a valley above a dam to a level."""
    upstream = accumulate(receiver, order)
    large = np.flatnonzero((upstream > 0.03 * upstream.size) & ~ground.sea.ravel())
    if large.size == 0:
        return
    place = int(draw.choice(large))
    basin = _drains_through(receiver, order, place).reshape(filled.shape)
    level = filled.flat[place] + draw.uniform(0.1, 0.5) * ground.elevation.std()
    ground.water |= basin & (ground.elevation < level)


@jit()
def _drains_through(receiver, order, place):  # type: ignore[no-untyped-def]
    """Whether the water of each pixel passes a pixel, flat (n,) bool."""
    passes = np.zeros(receiver.size, np.bool_)
    passes[place] = True
    for pixel in order:
        if receiver[pixel] != OUTLET and passes[receiver[pixel]]:
            passes[pixel] = True
    return passes


_REACHES = ((150.0, 1.0), (500.0, 0.1), (2000.0, 0.01))


def channel_level(elevation: Floats, channel: Mask, spacing: float) -> Floats:
    """Return a smooth surface through the channels.

    It is the mean of the channels' heights, in which near ones count more than far ones. Heights
    above it have no steps between catchments, as those above the pixel that the ground drains to
    have.

    Parameters
    ----------
    elevation
        (y, x) float32, m.
    channel
        (y, x) bool.
    spacing
        Pixel spacing, m.

    Returns
    -------
    ndarray
        (y, x) float32, m; the lowest ground where there is no channel.
    """
    if not channel.any():
        return np.full(elevation.shape, elevation.min(), np.float32)
    side = len(elevation)
    padded = next_fast_len(side + side // 3, real=True)
    rows, cols = fftfreq(padded)[:, np.newaxis], rfftfreq(padded)[np.newaxis]
    square = 2 * np.pi**2 * (rows**2 + cols**2)
    transfer = np.zeros_like(square)
    for reach, trust in _REACHES:
        transfer += trust * np.exp(-square * min(reach / spacing, side / 4) ** 2)
    spread = [
        irfft2(rfft2(values, s=(padded, padded)) * transfer, s=(padded, padded))[:side, :side]
        for values in (np.where(channel, elevation, 0.0), channel.astype(float))
    ]
    return np.asarray(spread[0] / np.maximum(spread[1], 1e-12), np.float32)
