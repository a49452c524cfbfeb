"""Calibration: noise removed, border noise masked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from floodloom.arrays import Doubles
from floodloom.kernels import jit
from floodloom.raster.recipe import Flag
from floodloom.sentinel1.noise import Lut, Noise, azimuth_row

EROSION = 4
"""Pixels taken off beside every empty margin, where the edge of the swath fades in."""

RUN = 25
"""Samples whose mean power must exceed the noise before a line counts as begun."""

Spans = NDArray[np.int64]


@jit()
def lit_span(dn):  # type: ignore[no-untyped-def]
    """Return the first and the last non-zero sample of a line; (samples, -1) if there is none."""
    first, last = len(dn), -1
    for sample in range(len(dn)):
        if dn[sample] > 0:
            first = sample
            break
    for sample in range(len(dn) - 1, first - 1, -1):
        if dn[sample] > 0:
            last = sample
            break
    return first, last


@jit()
def echo_span(dn, noise):  # type: ignore[no-untyped-def]
    """Return the samples between the outermost runs of a line that rise above the noise.

    Without such a run the whole line stays: calm water may lie below the noise from edge to edge.
    """
    first, last = lit_span(dn)
    begin = _run(dn, noise, first, last, 1)
    if begin < 0:
        return first, last
    return begin, _run(dn, noise, last, first, -1)


@jit()
def _run(dn, noise, start, stop, step):  # type: ignore[no-untyped-def]
    """Return where the first run of samples with more power than noise begins, or -1."""
    count = abs(stop - start) + 1
    excess = 0.0
    for k in range(count):
        sample = start + step * k
        excess += float(dn[sample]) ** 2 - noise[sample]
        if k >= RUN:
            gone = sample - step * RUN
            excess -= float(dn[gone]) ** 2 - noise[gone]
        if k >= RUN - 1 and excess > 0:
            return sample - step * (RUN - 1)
    return -1


def eroded_spans(spans: Spans, samples: int, pixels: int = EROSION) -> Spans:
    """Shrink the spans of echo by a distance along and across.

    Parameters
    ----------
    spans
        (line, 2) int64, first and last sample with an echo; (samples, -1) for none.
    samples
        Samples of a line.
    pixels
        Distance to an empty margin below which an echo is doubted, px.

    Returns
    -------
    ndarray
        (line, 2) int64; a sample in `spans` but not in here is in doubt. The image's own edge is
        no margin.
    """
    first = np.where(spans[:, 0] > 0, spans[:, 0] + pixels, 0)
    last = np.where(spans[:, 1] < samples - 1, spans[:, 1] - pixels, samples - 1)
    near = range(-pixels, pixels + 1)
    lines = np.arange(len(spans))
    around = [np.clip(lines + shift, 0, len(spans) - 1) for shift in near]
    latest = np.max([first[line] for line in around], axis=0)
    earliest = np.min([last[line] for line in around], axis=0)
    return np.stack([latest, earliest], axis=-1)


_BELOW_NOISE, _BORDER, _NODATA = (
    Flag.BELOW_NOISE.value,
    Flag.BORDER.value,
    Flag.NODATA.value,
)


@dataclass(frozen=True)
class Calibration:
    """What turns the digital numbers of one polarisation into backscatter.

    `lut` and `noise` are the product's tables; `remove_noise` subtracts the noise; `noisy_border`:
    the margin of the image holds small numbers instead of zeros.
    """

    samples: int
    lut: Lut
    noise: Noise | None
    remove_noise: bool = True
    noisy_border: bool = False
    _scale: Doubles = field(init=False, repr=False)
    _noise: Doubles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        across = np.zeros((1, self.samples))
        if self.noise is not None:
            across = self.noise.range_lut.across(self.samples)
        object.__setattr__(self, "_scale", self.lut.across(self.samples))
        object.__setattr__(self, "_noise", across)

    def calibrate(
        self, dn: NDArray[np.uint16], first_line: int, *, with_noise: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """Calibrate whole lines.

        Parameters
        ----------
        dn
            (line, pixel) uint16 digital numbers.
        first_line
            Line of the image at which the block begins.
        with_noise
            Give the noise, too; empty otherwise.

        Returns
        -------
        power
            (line, pixel) float32: max(DN² − noise, 0) / A², linear power; NaN where there is no
            echo.
        noise
            (line, pixel) float32: noise / A², the noise-equivalent backscatter.
        flags
            (line, pixel) uint8, see `floodloom.raster.recipe.Flag`. The `EROSION` lines at either
            end of the block know only half of their neighbours.
        """
        lines = np.arange(first_line, first_line + len(dn), dtype=np.float64)
        noise = self.noise or Noise(Lut(np.zeros(1), np.zeros(1), np.zeros((1, 1))), ())
        power = np.empty(dn.shape, dtype=np.float32)
        floor = np.empty(dn.shape if with_noise else (0, 0), dtype=np.float32)
        flags = np.empty(dn.shape, dtype=np.uint8)
        spans = np.empty((len(dn), 2), dtype=np.int64)
        _calibrate(
            dn,
            lines,
            (*self.lut.vectors_at(lines), self._scale),
            (*noise.range_lut.vectors_at(lines), self._noise),
            (noise.bounds, noise.block_factors(lines)),
            (self.remove_noise, self.noisy_border, with_noise),
            (power, floor, flags),
            spans,
        )
        _blank(power, flags, spans, eroded_spans(spans, dn.shape[1]))
        return power, floor, flags


@jit()
def _calibrate(  # type: ignore[no-untyped-def]
    dn, lines, amplitude, range_noise, azimuth_noise, switches, layers, spans
):
    lower, weight, scale = amplitude
    noise_lower, noise_weight, noise_across = range_noise
    bounds, factors = azimuth_noise
    remove_noise, noisy_border, with_noise = switches
    power, floor, flags = layers
    samples = dn.shape[1]
    noise = np.empty(samples)
    factor = np.empty(samples)
    for row in range(dn.shape[0]):
        k, w = lower[row], weight[row]
        k_next = min(k + 1, scale.shape[0] - 1)
        n, v = noise_lower[row], noise_weight[row]
        n_next = min(n + 1, noise_across.shape[0] - 1)

        azimuth_row(int(lines[row]), bounds, factors[row], factor)
        before, after = noise_across[n], noise_across[n_next]
        for col in range(samples):
            noise[col] = (before[col] * (1.0 - v) + after[col] * v) * factor[col]

        _scale_row(dn[row], noise, scale[k], scale[k_next], w, remove_noise, power[row], flags[row])
        if with_noise:
            _scale_noise(noise, scale[k], scale[k_next], w, floor[row])
        first, last = echo_span(dn[row], noise) if noisy_border else lit_span(dn[row])
        spans[row, 0], spans[row, 1] = first, last


@jit(error_model="numpy")
def _scale_row(  # type: ignore[no-untyped-def]
    dn, noise, before, after, weight, remove_noise, power, flags
):  # fmt: skip
    """Calibrate one line; loops without branches, for the compiler to work on several pixels."""
    removed = 1.0 if remove_noise else 0.0
    for col in range(dn.size):
        a = before[col] * (1.0 - weight) + after[col] * weight
        number = float(dn[col])
        square = number * number - removed * noise[col]
        power[col] = max(square, 0.0) / (a * a)
    for col in range(dn.size):
        number = float(dn[col])
        flags[col] = _BELOW_NOISE if number * number < removed * noise[col] else 0


@jit(error_model="numpy")
def _scale_noise(noise, before, after, weight, floor):  # type: ignore[no-untyped-def]
    for col in range(noise.size):
        a = before[col] * (1.0 - weight) + after[col] * weight
        floor[col] = noise[col] / (a * a)


@jit()
def _blank(power, flags, spans, sure):  # type: ignore[no-untyped-def]
    """Take out what lies outside the spans of echo, and what is in doubt beside them."""
    samples = power.shape[1]
    for row in range(power.shape[0]):
        first, last = spans[row]
        begin, end = sure[row]
        for col in range(min(max(first, begin), samples)):
            power[row, col] = np.nan
            flags[row, col] = _NODATA if col < first else flags[row, col] | _BORDER
        for col in range(max(min(last, end) + 1, 0), samples):
            power[row, col] = np.nan
            flags[row, col] = _NODATA if col > last else flags[row, col] | _BORDER
