"""Calibration of real tables against a direct evaluation in double precision, written anew here."""

import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
import pytest

from floodloom.raster.recipe import Flag
from floodloom.sentinel1.calibrate import Calibration
from floodloom.sentinel1.noise import Lut, Noise, calibration_lut, parse_noise

PRODUCTS = (
    "20150203T043109_20150203T043134_004454_00574F_6D00",
    "20150203T043109_20150203T043134_004454_00574F_FEC3",
    "20150222T170725_20150222T170750_004739_005DD8_CEAB",
    "20150222T170750_20150222T170815_004739_005DD8_3768",
    "20200708T182643_20200708T182708_033367_03DDAA_9550",
    "20210119T031653_20210119T031718_036201_043ED0_8255",
)


def xml(path: Path, kind: str, band: str) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if f"/{kind}s1a-iw-grd-{band}" in n)
        return ET.fromstring(archive.read(name))


def values(element: ET.Element, name: str) -> np.ndarray:
    return np.array(element.findtext(name, "").split(), dtype=np.float64)


def direct(
    vectors: list[ET.Element], name: str, lines: np.ndarray, samples: np.ndarray
) -> np.ndarray:
    """Vectors interpolated along pixels, then along lines."""
    table = np.stack([np.interp(samples, values(v, "pixel"), values(v, name)) for v in vectors])
    at = np.array([float(v.findtext("line", "")) for v in vectors])
    return np.stack([np.interp(lines, at, table[:, k]) for k in range(len(samples))], axis=-1)


def direct_noise(root: ET.Element, lines: np.ndarray, samples: np.ndarray) -> np.ndarray:
    old = root.findall(".//noiseVector")
    if old:
        return direct(old, "noiseLut", lines, samples)
    noise = direct(root.findall(".//noiseRangeVector"), "noiseRangeLut", lines, samples)
    factor = np.full(noise.shape, np.nan)
    for vector in root.findall(".//noiseAzimuthVector"):
        bounds = [
            int(vector.findtext(name, ""))
            for name in (
                "firstAzimuthLine",
                "lastAzimuthLine",
                "firstRangeSample",
                "lastRangeSample",
            )
        ]
        rows = np.flatnonzero((lines >= bounds[0]) & (lines <= bounds[1]))
        cols = np.flatnonzero((samples >= bounds[2]) & (samples <= bounds[3]))
        along = np.interp(lines[rows], values(vector, "line"), values(vector, "noiseAzimuthLut"))
        factor[np.ix_(rows, cols)] = along[:, None]
    assert np.isfinite(factor).all()
    return noise * factor


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("band", ["vv", "vh"])
def test_real_tables_against_direct_evaluation(shared_data, name, band) -> None:
    path = shared_data / f"sentinel1_safe/S1A_IW_GRDH_1SDV_{name}.zip"
    image = xml(path, "", band).find("imageAnnotation/imageInformation")
    assert image is not None
    lines, samples = (int(image.findtext(f"numberOf{k}", "")) for k in ("Lines", "Samples"))
    calibration, noise_root = xml(path, "calibration-", band), xml(path, "noise-", band)
    vectors = calibration.findall(".//calibrationVector")
    draw = np.random.default_rng(3)
    cols = np.unique(np.r_[0:60, draw.integers(0, samples, 900), samples - 60 : samples])
    for first in (0, lines // 3 + 1, lines - 7):
        rows = np.arange(first, first + 7)
        amplitude = direct(vectors, "sigmaNought", rows, cols)
        beta = direct(vectors, "betaNought", rows, cols)
        noise = direct_noise(noise_root, rows, cols)
        sigma0 = 10 ** draw.uniform(-2.0, 0.0, noise.shape)
        dn = np.full((7, samples), 200, dtype=np.uint16)
        dn[:, cols] = np.clip(np.rint(np.sqrt(sigma0 * amplitude**2 + noise)), 1, 65535)
        square = dn[:, cols].astype(np.float64) ** 2

        lut = calibration_lut(calibration, "beta0", "test")
        power, _, _ = Calibration(samples, lut, None, remove_noise=False).calibrate(dn, first)
        np.testing.assert_allclose(power[:, cols], square / beta**2, rtol=1e-6)

        lut = calibration_lut(calibration, "sigma0", "test")
        tables = Calibration(samples, lut, parse_noise(noise_root, "test"))
        power, floor, flags = tables.calibrate(dn, first, with_noise=True)
        expected = (square - noise) / amplitude**2
        over = expected > 0
        error = np.abs(10 * np.log10(power[:, cols][over] / expected[over]))
        assert np.median(error) < 0.001
        assert np.quantile(error, 0.99) < 0.02
        np.testing.assert_allclose(floor[:, cols], noise / amplitude**2, rtol=1e-5)
        np.testing.assert_array_equal(flags[:, cols] & Flag.BELOW_NOISE.value > 0, expected < 0)


def plain(samples: int, noisy_border: bool = False) -> Calibration:
    ones = Lut(np.zeros(1), np.zeros(1), np.ones((1, 1)))
    floor = Lut(np.zeros(1), np.zeros(1), np.full((1, 1), 400.0))
    return Calibration(samples, ones, Noise(floor, ()), noisy_border=noisy_border)


def test_empty_margin_and_what_is_beside_it() -> None:
    dn = np.full((20, 40), 100, dtype=np.uint16)
    dn[:, :6] = 0
    dn[10, :9] = 0
    dn[0, 20] = 0
    power, _, flags = plain(40).calibrate(dn, 0)
    assert (flags[:, :6] == Flag.NODATA.value).all()
    assert (flags[10, :9] == Flag.NODATA.value).all()
    assert (flags[0, 6:10] == Flag.BORDER.value).all()
    assert (flags[6:15, 10:13] & Flag.BORDER.value).all()
    assert flags[5, 10] == 0
    assert np.isnan(power[:, :10]).all()
    assert np.isfinite(power[:, 13:]).all()
    assert flags[0, 20] == Flag.BELOW_NOISE.value  # a hole inside is no margin
    assert (flags[:, -1] == 0).all()  # neither is the end of the image


def test_noisy_border_of_old_products_is_taken_off() -> None:
    draw = np.random.default_rng(0)
    dn = np.sqrt(draw.gamma(4.4, 2000 / 4.4, (30, 400))).astype(np.uint16)
    dn[:, :90] = draw.integers(1, 12, (30, 90))
    kept = plain(400).calibrate(dn, 0)[0]
    power, _, flags = plain(400, noisy_border=True).calibrate(dn, 0)
    assert np.isfinite(kept[:, :90]).all()
    assert np.isnan(power[:, :66]).all()
    assert (flags[:, :60] == Flag.NODATA.value).all()
    assert np.isfinite(power[:, 100:]).all()


def test_calm_water_from_edge_to_edge_is_no_border() -> None:
    dn = np.full((12, 200), 15, dtype=np.uint16)
    power, _, flags = plain(200, noisy_border=True).calibrate(dn, 0)
    assert (power == 0).all()
    assert (flags == Flag.BELOW_NOISE.value).all()
