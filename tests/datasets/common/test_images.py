"""Chips and masks in PNG files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from floodloom.adapters import read_mask, read_png
from floodloom.errors import InputError


def mask(folder: Path, values: np.ndarray, mode: str = "L") -> Path:
    image = Image.fromarray(values.astype("uint8"), mode="L")
    image.convert(mode).save(folder / "mask.png")
    return folder / "mask.png"


@pytest.mark.parametrize("value", [1, 100, 127, 128, 254])
def test_what_a_mask_does_not_say_is_unknown(tmp_path, caplog, value: int) -> None:
    values = np.zeros((8, 8))
    values[:2], values[2:4] = 255, value
    found = read_mask(mask(tmp_path, values))
    assert found[:, 0].tolist() == [1, 1, 255, 255, 0, 0, 0, 0]
    assert f"16 px are neither 0 nor 255, such as {value}" in caplog.text


def test_a_picture_is_no_mask(tmp_path) -> None:
    with pytest.raises(InputError, match=r"mask\.png: a picture of 3 bands, no mask"):
        read_mask(mask(tmp_path, np.zeros((8, 8)), "RGB"))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(20), b"GIF89a", b"<html>"])
def test_what_is_no_png_is_one_line(tmp_path, content) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.png: not a readable PNG .*fetch it again"):
        read_png(tmp_path / "x.png")
