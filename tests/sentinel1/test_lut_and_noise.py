import xml.etree.ElementTree as ET

import numpy as np
import pytest

from floodloom.errors import InputError
from floodloom.sentinel1.calibrate import Calibration
from floodloom.sentinel1.noise import calibration_lut, parse_noise

CALIBRATION = """<calibration><calibrationVectorList>
<calibrationVector><line>0</line><pixel>0 10</pixel><sigmaNought>100 200</sigmaNought>
<betaNought>50 50</betaNought></calibrationVector>
<calibrationVector><line>20</line><pixel>0 10</pixel><sigmaNought>300 400</sigmaNought>
<betaNought>50 50</betaNought></calibrationVector>
</calibrationVectorList></calibration>"""

OLD = """<noise><noiseVectorList>
<noiseVector><line>0</line><pixel>0 10</pixel><noiseLut>1000 2000</noiseLut></noiseVector>
<noiseVector><line>10</line><pixel>0 10</pixel><noiseLut>3000 4000</noiseLut></noiseVector>
</noiseVectorList></noise>"""

NEW = """<noise><noiseRangeVectorList>
<noiseRangeVector><line>0</line><pixel>0 10</pixel><noiseRangeLut>1000 2000</noiseRangeLut>
</noiseRangeVector></noiseRangeVectorList>
<noiseAzimuthVectorList>{blocks}</noiseAzimuthVectorList></noise>"""

BLOCK = """<noiseAzimuthVector><firstAzimuthLine>{0}</firstAzimuthLine>
<lastAzimuthLine>{1}</lastAzimuthLine><firstRangeSample>{2}</firstRangeSample>
<lastRangeSample>{3}</lastRangeSample><line>{4}</line><noiseAzimuthLut>{5}</noiseAzimuthLut>
</noiseAzimuthVector>"""

UNIT = calibration_lut(ET.fromstring("<calibration/>"), "dn", "none")


def noise(text: str, rows: list[int], cols: list[int]) -> np.ndarray:
    """Noise power in squared digital numbers on a few lines and pixels."""
    tables = Calibration(max(cols) + 1, UNIT, parse_noise(ET.fromstring(text), "noise"))
    dn = np.ones((max(rows) + 1, max(cols) + 1), dtype=np.uint16)
    _, floor, _ = tables.calibrate(dn, 0, with_noise=True)
    return floor[np.ix_(rows, cols)]


def table(rows: list[int], samples: int) -> np.ndarray:
    lut = calibration_lut(ET.fromstring(CALIBRATION), "sigma0", "calibration")
    dn = np.ones((max(rows) + 1, samples), dtype=np.uint16)
    power, _, _ = Calibration(samples, lut, None, remove_noise=False).calibrate(dn, 0)
    return 1 / np.sqrt(power[rows].astype(np.float64))


def test_a_value_that_nothing_can_be_divided_by_is_named() -> None:
    damaged = ET.fromstring(CALIBRATION.replace("300 400", "0 400"))
    with pytest.raises(
        InputError, match=r"calibration-vv\.xml: sigmaNought holds 0 but all must be"
    ):
        calibration_lut(damaged, "sigma0", "calibration-vv.xml")


def test_vectors_that_share_no_pixel_are_refused_before_they_are_put_together() -> None:
    pixels = [range(k, 100_000, 400) for k in range(400)]
    vectors = "".join(
        f"<calibrationVector><line>{k}</line><pixel>{' '.join(map(str, own))}</pixel>"
        f"<gamma>{' '.join(['300'] * len(own))}</gamma></calibrationVector>"
        for k, own in enumerate(pixels)
    )
    root = ET.fromstring(f"<c><calibrationVectorList>{vectors}</calibrationVectorList></c>")
    with pytest.raises(InputError, match=r"on 100,000 different pixels, more than any image"):
        calibration_lut(root, "gamma0", "calibration-vv.xml")


def test_calibration_table_is_bilinear_and_ends_with_its_last_values() -> None:
    expected = [
        [100, 150, 200, 200],
        [150, 200, 250, 250],
        [300, 350, 400, 400],
        [300, 350, 400, 400],
    ]
    found = table([0, 5, 20, 30], 13)[:, [0, 5, 10, 12]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_digital_numbers_stay_as_they_are() -> None:
    dn = np.array([[7, 300, 65535]], dtype=np.uint16)
    power, _, _ = Calibration(3, UNIT, None).calibrate(dn, 0)
    np.testing.assert_allclose(power, [[49, 90000, 65535**2]], rtol=1e-7)


def test_old_noise_is_range_only() -> None:
    np.testing.assert_allclose(
        noise(OLD, [0, 5, 50], [0, 5]), [[1000, 1500], [2000, 2500], [3000, 3500]]
    )


def test_new_noise_is_scaled_along_azimuth() -> None:
    text = NEW.format(blocks=BLOCK.format(0, 10, 0, 10, "0 10", "1 3"))
    np.testing.assert_allclose(
        noise(text, [0, 5, 10], [0, 10]), [[1000, 2000], [2000, 4000], [3000, 6000]]
    )


def test_pixels_outside_every_block_take_the_nearest() -> None:
    blocks = BLOCK.format(0, 4, 0, 4, "0 4", "2 2") + BLOCK.format(0, 4, 6, 9, "0 4", "5 5")
    factor = noise(NEW.format(blocks=blocks), [0, 100], [0, 4, 6, 10]) / noise(
        NEW.format(blocks=""), [0, 100], [0, 4, 6, 10]
    )
    np.testing.assert_allclose(factor, [[2, 2, 5, 5]] * 2)


def test_of_overlapping_blocks_the_first_counts() -> None:
    blocks = BLOCK.format(0, 9, 0, 6, "0", "2") + BLOCK.format(0, 9, 4, 9, "0", "3")
    found = noise(NEW.format(blocks=blocks), [0], [0, 5, 8]) / noise(
        NEW.format(blocks=""), [0], [0, 5, 8]
    )
    np.testing.assert_allclose(found, [[2, 2, 3]])


@pytest.mark.parametrize("values", ["3", ""])
def test_one_value_and_missing_azimuth_tables_are_constant(values: str) -> None:
    text = NEW.format(blocks=BLOCK.format(0, 9, 0, 10, "0", values))
    expected = 3000 if values else 1000
    np.testing.assert_allclose(noise(text, [0, 9], [0]), [[expected]] * 2)


def test_noise_without_vectors_is_refused() -> None:
    with pytest.raises(InputError, match="no noise vector inside"):
        noise("<noise/>", [0], [0])
