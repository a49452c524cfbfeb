"""The pages, driven in a browser at the width of a desktop and of a phone."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from floodloom.raster.grid import grid_from_bounds
from floodloom.settings import arguments_of
from floodloom.stages.report import report
from tests.report.conftest import write_event

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if CHROMIUM is None:
    pytest.skip("no Chromium to drive the pages with", allow_module_level=True)
browsers = pytest.importorskip("playwright.sync_api")

LARGE = grid_from_bounds((400000, 5000000, 411000, 5009000), 32633, 10.0)  # six tiles
VIEWPORTS = {"desktop": (1280, 844), "phone": (390, 844)}
LAKE = (45.0, 35.0)  # column and row of the flood's middle
TO_DEGREES = Transformer.from_crs(LARGE.crs.to_wkt(), "EPSG:4326", always_xy=True)
MERIDIAN, PARALLEL = TO_DEGREES.transform(405500, 5004500)  # through the middle
WIDE = {"serious", "critical"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both pages of an event."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "maps").mkdir()
    files = write_event(folder / "maps" / "dunlin", LARGE)
    given = {
        "maps": [files.map], "stac_items": [files.item], "scenes": [files.scene],
        "before_scenes": [files.before], "probabilities": [files.probability],
        "truth": [files.truth], "events": ["dunlin"],
        "out": folder / "report.html", "map_page": folder / "map.html",
    }  # fmt: skip
    report(**arguments_of(report, given))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without its sandbox, which containers refuse."""
    with browsers.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=VIEWPORTS)
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page of which every complaint and every request beyond its file fails the test."""
    width, height = VIEWPORTS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    opened, complaints = context.new_page(), []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: _note(asked.url, complaints))
    yield opened
    context.close()
    assert complaints == []


def _note(address: str, complaints: list[str]) -> None:
    if not re.match(r"data:|file:.*/(map|report)\.html", address):
        complaints.append(address)


def show(page: Any, pages: Path, name: str = "map") -> None:
    """Open a page, and wait for its map."""
    page.goto((pages / f"{name}.html").as_uri())
    if name == "map":
        settled(page)


def settled(page: Any) -> None:
    """Wait until all tiles of the view are drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")
    page.wait_for_function("document.getElementById('map').dataset.drawn === 'dunlin'")


def pixels(page: Any) -> np.ndarray:
    """The canvas, (y, x, 4) uint8."""
    address = page.evaluate("document.getElementById('map').toDataURL('image/png')")
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    return np.asarray(image.convert("RGBA"))


def orange(image: np.ndarray) -> np.ndarray:
    """Where flood is drawn, (y, x) bool."""
    red, green, blue, _ = np.moveaxis(image.astype(int), -1, 0)
    return (red > green + 30) & (green > blue)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images show the same, however they were scaled."""
    return float((np.abs(one.astype(int) - other) > 20).mean()) < 1e-4


def middle_of(mask: np.ndarray) -> tuple[float, float]:
    rows, cols = np.nonzero(mask)
    return float(cols.mean()), float(rows.mean())


def pressed(page: Any, *keys: str) -> None:
    page.focus("#map")
    for key in keys:
        page.keyboard.press(key)
    settled(page)


def test_whole_frame_is_shown_and_no_part_of_the_page_lies_beside_the_screen(
    page: Any, pages: Path
) -> None:
    show(page, pages)
    alpha = pixels(page)[..., 3]
    for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]):
        assert not edge.any()
    rows, cols = np.nonzero(alpha)
    sides = np.ptp(cols) / alpha.shape[1], np.ptp(rows) / alpha.shape[0]
    assert max(sides) == pytest.approx(0.94, abs=0.02)
    assert np.ptp(cols) / np.ptp(rows) == pytest.approx(1100 / 900, abs=0.02)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_flood_lies_where_it_is_and_can_be_left_out(page: Any, pages: Path) -> None:
    show(page, pages)
    image = pixels(page)
    rows, cols = np.nonzero(image[..., 3])
    scale = np.ptp(cols) / 1100
    found = middle_of(orange(image))
    expected = cols.min() + scale * LAKE[0], rows.min() + scale * LAKE[1]
    assert found == pytest.approx(expected, abs=2)
    page.uncheck("#show-flood")
    settled(page)
    assert not orange(pixels(page)).any()
    page.check("#show-likelihood")
    settled(page)
    assert orange(pixels(page)).sum() < image.size  # nothing fails where likelihood is drawn


def test_keys_zoom_and_pan_and_bring_everything_back(page: Any, pages: Path) -> None:
    show(page, pages)
    page.uncheck("#show-excluded")  # its hatching doesn't move with the ground
    settled(page)
    first, whole = pixels(page), page.inner_text("#scaleText")
    pressed(page, "+", "+", "+", "+", "+", "+")
    assert page.inner_text("#scaleText") != whole
    assert page.inner_text("#readout").startswith("45.1")
    zoomed = pixels(page)
    pressed(page, "ArrowRight")
    moved = pixels(page)
    np.testing.assert_array_equal(moved[:, :-60], zoomed[:, 60:])
    pressed(page, "0")
    np.testing.assert_array_equal(pixels(page), first)


def test_readout_tells_class_and_likelihood(page: Any, pages: Path) -> None:
    show(page, pages)
    x, y = middle_of(orange(pixels(page)))
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    settled(page)
    page.mouse.move(box["x"] + x + 1, box["y"] + y)
    text = page.inner_text("#readout")
    assert "flood" in text
    assert "water 97 %" in text


def test_swipe_shows_one_date_on_either_side(page: Any, pages: Path) -> None:
    show(page, pages)
    page.check("input[value=before]", force=True)
    settled(page)
    before = pixels(page)
    page.check("input[value=compare]", force=True)
    settled(page)
    handle = page.locator("#handle")
    assert handle.get_attribute("aria-valuenow") == "50"
    handle.focus()
    page.keyboard.press("ArrowLeft")
    settled(page)
    assert handle.get_attribute("aria-valuenow") == "47"
    box = page.locator("#map").bounding_box()
    at = handle.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 50)
    page.mouse.up()
    settled(page)
    image, edge = pixels(page), int(0.75 * before.shape[1])
    assert same(image[:, : edge - 2], before[:, : edge - 2])
    assert not same(image, before)
    page.check("input[value=after]", force=True)
    settled(page)
    assert same(image[:, edge + 2 :], pixels(page)[:, edge + 2 :])


def test_lengths_and_areas_are_measured_by_keyboard(page: Any, pages: Path) -> None:
    show(page, pages)
    metres = 11_000 / np.ptp(np.nonzero(pixels(page)[..., 3])[1])
    page.click("#measure")
    pressed(page, "Enter", "ArrowRight", "Enter", "ArrowDown", "Enter")
    text = page.inner_text("#measuredText").replace("\u202f", "")
    length, unit = re.search(r"length ([\d.]+) (km|m)", text).groups()
    assert float(length) * (1000 if unit == "km" else 1) == pytest.approx(120 * metres, rel=0.02)
    area, unit = re.search(r"area ([\d.]+) (km²|ha)", text).groups()
    square = 0.5 * (60 * metres) ** 2
    assert float(area) * (1e6 if unit == "km²" else 1e4) == pytest.approx(square, rel=0.03)
    pressed(page, "Escape")
    assert page.locator("#measured").is_hidden()


def test_files_are_linked_where_they_lie(page: Any, pages: Path) -> None:
    show(page, pages)
    links = page.eval_on_selector_all(
        "#products a", "(all) => all.map((one) => one.getAttribute('href'))"
    )
    assert "maps/dunlin/flood.tif" in links
    assert all((pages / link).is_file() for link in links)


@pytest.mark.parametrize("name", ["map", "report"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(page: Any, pages: Path, name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.emulate_media(color_scheme=scheme)
    show(page, pages, name)
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["target"]) for one in found if one["impact"] in WIDE] == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(level) for level in re.findall(r"\d+", ground)]
    assert (max(levels) < 60) == (scheme == "dark")


def street_tile(zoom: int, col: int, row: int) -> bytes:
    """A tile of the world: red west and blue east of a meridian, brighter north of a parallel."""
    x, y = (np.arange(256) + 0.5) / 256 + col, (np.arange(256) + 0.5) / 256 + row
    west = x / 2**zoom * 360 - 180 < MERIDIAN
    north = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y / 2**zoom)))) > PARALLEL
    image = np.zeros((256, 256, 3), np.uint8)
    image[..., 0], image[..., 2] = 255 * west, 255 * ~west
    image[..., 1] = 120 * north[:, np.newaxis]
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_street_map_is_fetched_when_it_is_asked_for_and_lies_in_its_place(
    browser: Any, pages: Path
) -> None:
    context, asked = browser.new_context(viewport={"width": 1280, "height": 844}), []
    page = context.new_page()

    def answer(route: Any) -> None:
        asked.append(route.request)
        zoom, row, col = map(int, re.findall(r"/(\d+)/(\d+)/(\d+)\.jpg", route.request.url)[0])
        route.fulfill(body=street_tile(zoom, col, row), content_type="image/png")

    page.route(re.compile("^https:"), answer)
    show(page, pages)
    for name in ("flood", "permanent", "excluded"):
        page.uncheck(f"#show-{name}")
    assert not asked
    with page.expect_response("https://tiles.maps.eox.at/**"):
        page.check("#show-streets")
    settled(page)
    assert not any("referer" in request.headers for request in asked)
    assert page.is_visible("#credit")

    stage = page.locator("#stage").bounding_box()
    shot = page.screenshot(clip=stage)
    image = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    height, width = LARGE.shape.yx
    scale = min(stage["width"] / width, stage["height"] / height) * 0.94
    across, down = np.meshgrid(np.linspace(0.02, 0.9, 60), np.linspace(0.1, 0.9, 60))
    x, y = LARGE.affine @ (across * width, down * height)
    longitude, latitude = TO_DEGREES.transform(x, y)
    cols = (stage["width"] - width * scale) / 2 + across * width * scale
    rows = (stage["height"] - height * scale) / 2 + down * height * scale
    found = image[rows.astype(int), cols.astype(int)]
    near = (np.abs(longitude - MERIDIAN) < 6e-4) | (np.abs(latitude - PARALLEL) < 4e-4)  # 45 m
    right = (found[..., 0] > 128) == (longitude < MERIDIAN)
    right &= (found[..., 1] > 60) == (latitude > PARALLEL)
    assert (right | near).mean() > 0.995

    page.check("input[value=before]", force=True)
    assert not page.is_checked("#show-streets")
    context.close()


def test_sheet_prints_on_one_page_and_the_rest_where_it_is_asked_for(
    browser: Any, pages: Path
) -> None:
    context = browser.new_context()
    page = context.new_page()
    counts = []
    for place in ("", "#review"):
        page.goto("about:blank")
        page.goto((pages / "report.html").as_uri() + place)
        counts.append(len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))))
    context.close()
    assert counts[0] == 1
    assert counts[1] > 1
