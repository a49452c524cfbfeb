import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from pyproj import Transformer

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.mapping.sources import DATES_BEFORE
from floodloom.models.choices import DEFAULT_CHECKPOINT
from floodloom.report.figures import map_figure
from floodloom.report.pages import EventFiles, caveats, map_page, open_events, report_page
from floodloom.report.products import linked_products, zones_beside
from floodloom.report.run import ReportFiles, run_sections
from floodloom.report.scene import EventLayers, event_view
from floodloom.report.settings import ReportSettings
from floodloom.settings import arguments_of
from floodloom.stages.evaluate import evaluate
from floodloom.stages.report import report
from floodloom.texts import printable
from tests.report.conftest import GRID, Files, write_event
from tests.report.test_images import decoded


def opened(files: Files, name: str = "dunlin") -> EventLayers:
    found = EventFiles(
        maps=[files.map],
        stac_items=[files.item],
        scenes=[files.scene],
        before_scenes=[files.before],
        probabilities=[files.probability],
        truth=[files.truth],
    )
    (layers,) = open_events(found, ReportSettings(events=("dunlin",)), files.map.parent)
    return replace(layers, name=name)


def embedded(page: str) -> dict[str, object]:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))


def needs_network(page: str) -> list[str]:
    """Everything that a browser would fetch."""
    found = re.findall(r'(?:src|href|action)\s*=\s*"(?!data:|#)([^"]*)"', page)
    found += re.findall(r"url\(\s*['\"]?(?!#)([^)]*)\)|@import\s+(\S+)|fetch\(", page)
    return [str(each) for each in found if each not in ("map.html", "report.html")]


def finest(view: dict[str, Any], layer: str) -> np.ndarray:
    """The only tile of a small layer."""
    ((tile,),) = [level["tiles"] for level in view["layers"][layer]]
    return np.asarray(decoded(f"data:image/webp;base64,{tile}"))


def test_view_agrees_with_the_map_to_the_pixel(event: Files) -> None:
    layers = opened(event)
    view = event_view(layers)
    classes = layers.classes[:]
    for name, value in (("flood", 2), ("excluded", 3), ("nodata", 255)):
        mask = classes == value
        assert mask.any()
        assert view["areas"][name]["pixels"] == mask.sum()
        assert view["areas"][name]["ha"] == pytest.approx(mask.sum() / 100, rel=2e-3)
    values = finest(view, "values")
    assert values.shape == (81, 101, 3)  # a pixel of the neighbours, too
    for band, layer in enumerate((layers.classes, layers.reasons, layers.truth)):
        np.testing.assert_array_equal(values[:80, :100, band], layer[:])
    np.testing.assert_array_equal(values[80], values[79])
    np.testing.assert_array_equal(finest(view, "percent")[..., 0], layers.percent[:])
    assert view["likely"] == {"high": 1.0, "middle": 0.0, "low": 0.0}
    assert view["crs"] == "EPSG:32633"
    assert view["pixel"] == pytest.approx((10.0, 10.0), rel=1e-3)


def test_radar_images_are_transparent_without_data_and_dark_on_water(event: Files) -> None:
    view = event_view(opened(event))
    for name in ("after", "before"):
        grey, *_, alpha = np.moveaxis(finest(view, name).astype(int), -1, 0)
        assert (alpha[:4] == 0).all()
        assert (alpha[4:] == 255).all()
        assert np.median(grey[22:48, 32:58]) + 60 < np.median(grey[55:, :30])


def test_products_and_zones_are_those_beside_the_map(event: Files) -> None:
    view = event_view(opened(event))
    named = {product["title"]: product for product in view["products"]}
    assert named["Flood map (GeoTIFF)"]["href"] == "flood.tif"
    assert named["Flood map (GeoTIFF)"]["size"] == event.map.stat().st_size
    assert {"Polygons (GeoPackage)", "Areas (CSV)", "STAC item"} <= named.keys()
    areas = {zone["zone"]: zone["flood"] for zone in view["zones"]}
    assert areas == {"west": pytest.approx(4.5, rel=0.01), "east": pytest.approx(4.5, rel=0.01)}


def test_products_elsewhere_are_not_linked(event: Files, tmp_path: Path) -> None:
    assert linked_products(event.item, tmp_path) == []
    way = event.item.parent.name
    assert linked_products(event.item, event.item.parent.parent)[0]["href"] == f"{way}/flood.tif"
    item = write_json(tmp_path / "i.json", {"assets": {"areas": {"href": f"../{way}/areas.csv"}}})
    assert zones_beside(item) == []


@pytest.mark.parametrize("content", ["", "zone,dry\na,1\n", "\x00\x01"])
def test_table_that_is_none_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "areas.csv").write_text(content)
    item = write_json(tmp_path / "flood.json", {"assets": {"areas": {"href": "areas.csv"}}})
    with pytest.raises(InputError, match=r"areas\.csv: no table of areas .*; run"):
        zones_beside(item)


def test_places_are_where_the_corners_are(event: Files) -> None:
    places = event_view(opened(event))["places"]
    to_degrees = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    for at, corner in ((0, (400000, 5000800)), (-1, (401000, 5000000))):
        longitude, latitude = to_degrees.transform(*corner)
        assert places["longitude"][at] == pytest.approx(longitude, abs=1e-6)
        assert places["latitude"][at] == pytest.approx(latitude, abs=1e-6)
    assert len(places["longitude"]) == places["side"] ** 2


def test_map_page_needs_no_network_and_carries_its_data(event: Files) -> None:
    view = event_view(opened(event, name="</script><b>"))
    page = map_page("Title & more", [view], [])
    assert needs_network(page) == []
    on_request = "https://tiles.maps.eox.at/"  # the street map
    assert re.findall(r"https?://[^/]*/", page) == [on_request]
    assert page.count("</script>") == 2
    assert "Title &amp; more" in page
    (event,) = embedded(page)["events"]
    assert event["layers"] == view["layers"]
    assert "pictures" not in event
    assert event["name"] == "</script><b>"


def test_scene_without_georeference_is_shown_in_pixels(plain_event: Files) -> None:
    view = event_view(opened(plain_event))
    assert view["places"] is None
    assert view["pixel"] is None
    assert view["areas"]["flood"] == {"pixels": 900, "share": 900 / 8000}
    assert "no georeference" in " ".join(caveats([view], {}))
    assert embedded(map_page("t", [view], []))["events"][0]["crs"] is None


def test_run_without_a_mosaic_says_so(tmp_path: Path) -> None:
    report(out=tmp_path / "report.html", map_page=tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text()
    assert "This run has no map" in page
    assert "<script" not in page
    assert "No truth was given" in (tmp_path / "report.html").read_text()


def run(folder: Path, files: Files, **changes: object) -> tuple[str, str]:
    arguments = {
        "maps": [files.map],
        "stac_items": [files.item],
        "scenes": [files.scene],
        "before_scenes": [files.before],
        "probabilities": [files.probability],
        "truth": [files.truth],
        "events": ["dunlin"],
        **changes,
    }
    pages = {"out": folder / "report.html", "map_page": folder / "map.html"}
    report(**arguments_of(report, {**pages, **arguments}))
    return (folder / "report.html").read_text(), (folder / "map.html").read_text()


def _audit(**changed: Any) -> dict[str, Any]:
    """Return the audit of a refused round."""
    curve = {
        "expected_calibration_error": 0.1,
        "count": [3],
        "confidence": [0.9],
        "accuracy": [0.8],
    }
    return {
        "round": 1,
        "accepted": False,
        "reason": "water is 0.01% of the predictions",
        "tiles": {"offered": 5, "kept": 0},
        "passed_gate": {"dry": {"pixels": 10, "share": 0.2, "km2": 0.001}},
        "water_share": 0.0001,
        "agreement_with_previous": None,
        "calibration": {"temperature": 1.2, "before": curve, "after": curve},
        "likelihood": 0.25,
        "preset": "pixel-gate",
        "confidence": {"edges": [0.0, 0.5, 1.0], "dry": [1, 3], "water": [0, 0]},
        "validation": {"pooled": None, "by_event": {}},
        "gate": {"gate": "pixel", "thresholds": [0.95], "portions": [0.5]},
        "acceptance": True,
        "tta": True,
        "greatest_likelihood": 1.0,
        "batch_statistics": [None],
        "left_out": {},
        "checkpoints": ["unet-0.safetensors"],
        **changed,
    }


def test_report_tells_scores_settings_and_caveats(event: Files, tmp_path: Path) -> None:
    scores = evaluate(out=tmp_path / "e.json", prediction=[event.map], truth=[event.truth])
    text, page = run(
        tmp_path,
        event,
        evaluation=scores,
        audits=[write_json(tmp_path / "audit.json", _audit())],
        config=json.dumps({"predict": {"tile": 512}, "data_root": None}),
        title="Dunlin in flood",
    )
    assert needs_network(text) == needs_network(page) == []
    assert "http" not in text
    iou = json.loads(scores.read_text())["flood"]["iou"]
    assert f"<dd>{iou:.3f}</dd>" in text
    further = json.loads(scores.read_text())["further"]
    folded = text.partition("<details>")[2].partition("</details>")[0]
    assert f"<td>{further['pooled']['f_beta']:.3f}</td>" in folded
    assert f"<td>{further['mean_of_images']['weighted_f_beta']:.3f}</td>" in folded
    assert "β = 2;" in folded
    assert "exceeds 0.5." in folded
    assert "9.0 ha" in text  # 900 pixels of 10 m
    assert "tile: 512" in text
    assert "<td>layover</td><td>1.0 ha</td><td>1.25&#8239;%</td>" in text
    assert "by unet-0, with torch in float32." in text
    assert "Seams: 1.003," in text
    assert "permanent water called flood" in text
    assert "data_root" not in text
    assert "refused" in text
    assert "water is 0.01% of the predictions" in text
    assert text.count("<h1>Dunlin in flood</h1>") == 1
    assert "not observable by radar" in text


@pytest.mark.parametrize(
    "place",
    ["/home/anna/data/S1.zip", "~/data/S1.zip", "C:\\Users\\anna\\S1.zip", "file:///home/anna/S1.zip",
     "\\\\anna\\share\\S1.zip"],
)  # fmt: skip
def test_settings_do_not_say_where_on_a_machine_files_lie(tmp_path: Path, place: str) -> None:
    settings = {"data_root": place, "scenes": [{"source": place}], "near": "data/S1.zip"}
    out = report(
        out=tmp_path / "r.html",
        map_page=tmp_path / "m.html",
        settings=ReportSettings(config=json.dumps(settings)),
    )
    text = out.read_text()
    assert "anna" not in text
    assert "/data" not in text
    assert text.count(".../S1.zip") == 2
    assert "near: data/S1.zip" in text


def test_a_model_that_the_run_did_not_train_has_no_curves_of_training(
    event: Files, tmp_path: Path
) -> None:
    given, trained = DEFAULT_CHECKPOINT, tmp_path / "round-1" / "unet-0.safetensors"
    trained.parent.mkdir()
    trained.write_bytes(given.read_bytes())
    page, _ = run(tmp_path / "given", event, ensemble=[given])
    assert "<h2>Model</h2>" in page
    assert "validation IoU</text>" not in page
    assert '<td>default</td><td class="text">given</td>' in page
    page, _ = run(tmp_path / "trained", event, checkpoints=[trained], ensemble=[given, trained])
    assert "<h2>Training</h2>" in page
    assert "validation IoU</text>" in page
    assert page.count(">default<") == page.count('<td class="text">given</td>') == 1
    assert page.count('<td class="text">round-1</td>') == 1


@pytest.mark.parametrize(("events", "warned"), [((), False), (("a",), True), (("a", "b"), False)])
def test_report_warns_of_confidences_that_one_event_calibrates(
    event: Files, tmp_path: Path, events: tuple[str, ...], warned: bool
) -> None:
    names = ("iou", "f1", "precision", "recall", "accuracy", "expected_calibration_error")
    scores = {"tiles": 12, **dict.fromkeys(names, 0.5)}
    audit = _audit(validation={"pooled": scores, "by_event": dict.fromkeys(events, scores)})
    text, _ = run(tmp_path, event, audits=[write_json(tmp_path / "audit.json", audit)])
    assert ("Only one event was held out" in text) == warned


def test_prediction_of_one_window_has_no_seams(tmp_path: Path) -> None:
    files = write_event(tmp_path / "one", GRID)
    for ratio in (True, False):
        with rasterio.open(files.probability, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
            raster.update_tags(FLOODLOOM_SEAM_RATIO="")
            if not ratio:
                raster.update_tags(FLOODLOOM_BACKEND="")
        text, _ = run(tmp_path, files)
        assert "Seams:" not in text
        assert ("Predicted by unet-0, with torch in float32." in text) == ratio


def test_report_says_what_optical_image_a_map_was_made_with(tmp_path: Path) -> None:
    files = write_event(tmp_path / "one", GRID)
    text, _ = run(tmp_path, files)
    assert "optical image" not in text.split('id="scores"')[0]
    seen = {"FLOODLOOM_OPTICAL": "sentinel2", "FLOODLOOM_OPTICAL_CLEAR": "0.7031"}
    with rasterio.open(files.probability, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(**seen)
    text, _ = run(tmp_path, files)
    assert "the optical image sentinel2, clear in 70&#8239;% of the frame" in text
    with rasterio.open(files.probability, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(FLOODLOOM_OPTICAL_REFUSED="40.0 days from the scene, more than 10")
    text, _ = run(tmp_path, files)
    assert "image sentinel2 isn't used: 40.0 days from the scene, more than 10." in text
    assert "clear in" not in text


def test_dry_event_has_a_page_too(tmp_path: Path) -> None:
    files = write_event(tmp_path / "dry", GRID, dry=True)
    _, page = run(tmp_path, files, truth=())
    (event,) = embedded(page)["events"]
    assert event["areas"]["flood"]["pixels"] == 0
    assert event["likely"] is None
    assert not event["hasTruth"]


def test_before_and_truth_find_their_event(event: Files, plain_event: Files, tmp_path) -> None:
    _, page = run(
        tmp_path,
        event,
        maps=[plain_event.map, event.map],
        stac_items=[plain_event.item, event.item],
        scenes=[plain_event.scene, event.scene],
        probabilities=[plain_event.probability, event.probability],
        events=["plain", "dunlin"],
        before_events=["dunlin"],
        truth_events=["dunlin"],
    )
    plain, placed = embedded(page)["events"]
    assert "before" not in plain["layers"]
    assert not plain["hasTruth"]
    assert "before" in placed["layers"]
    assert placed["hasTruth"]


def test_pages_name_all_dates_before_where_there_are_several(event: Files, tmp_path: Path) -> None:
    assert "Compared with 2 dates" not in run(tmp_path, event)[0]
    copied = tmp_path / "flood.tif"
    shutil.copy(event.map, copied)
    with rasterio.open(copied, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(**{DATES_BEFORE: "2023-04-20T16:58:21, 2023-05-02T16:58:21"})
    report_text, map_text = run(tmp_path, event, maps=[copied])
    dates = "2 dates: 2023-04-20 16:58, 2023-05-02 16:58"
    assert f"Compared with {dates} UTC." in report_text
    assert embedded(map_text)["events"][0]["dates"]["all_before"] == dates


def test_files_that_are_no_pairs_are_refused(event: Files, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 before_scenes for the events a, b"):
        run(
            tmp_path,
            event,
            maps=[event.map] * 2,
            stac_items=[event.item] * 2,
            scenes=[event.scene] * 2,
            probabilities=[event.probability] * 2,
            events=["a", "b"],
        )
    with pytest.raises(InputError, match="config isn't JSON text"):
        run(tmp_path, event, config="{")
    assert not (tmp_path / "report.html").exists()


def test_figure_is_small_and_shows_its_panels(event: Files) -> None:
    picture = map_figure(opened(event))
    assert len(picture) < 300_000
    image = Image.open(io.BytesIO(picture))
    assert image.width > 2.5 * image.height
    colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20)}
    assert any(red > 150 and green < 110 and blue < 70 for red, green, blue in colours)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("\u202efdp.exe\u2066\x07", r"\u202efdp.exe\u2066\x07"),
        ("https://me:s3cret@h/x?s3cret", "https://h/x"),
        ("{{ 7 * 7 }}{% raw %}", "{{ 7 * 7 }}{% raw %}"),
    ],
)
def test_texts_mean_nothing_to_the_pages(
    event: Files, tmp_path: Path, text: str, seen: str
) -> None:
    layers = replace(opened(event, name=text), predicted={"FLOODLOOM_BACKEND": text})
    page = report_page(
        text, views=[event_view(layers)], evaluation={}, training=[], models=[], audits=[],
        examples=[], runtimes=[], calibration=None, configuration={"train": {text: text}},
        failures=[printable(text)],
    )  # fmt: skip
    mapped = map_page(text, [event_view(layers)], [])
    assert page.count(seen) >= 5
    assert mapped.count(seen) >= 2
    assert text not in page.replace("{{ 7 * 7 }}{% raw %}", "")
    for signs in ("s3cret", "\u202e", "\x07", "<img src=x"):
        assert signs not in page + mapped
    assert embedded(mapped)["events"][0]["name"] == printable(text)


def test_a_report_of_a_run_that_failed_in_part_names_it(event: Files, tmp_path: Path) -> None:
    failures = tmp_path / "failures.txt"
    failures.write_text("calibrate b failed: broken.zip\ngeocode c failed: no room\n")
    sections = run_sections(ReportFiles(failures=failures), ReportSettings(), ())
    page = report_page("run", views=[event_view(opened(event))], examples=[], **sections)
    for said in ("calibrate b failed: broken.zip", "geocode c failed", "Some of this run failed"):
        assert said in page
    assert "No truth was given" not in page
    with pytest.raises(InputError, match=r"none\.txt: not a readable list"):
        run_sections(ReportFiles(failures=tmp_path / "none.txt"), ReportSettings(), ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], r"e\.json: not what .* \(the whole"),
        ("text", r"e\.json: not what .* \(the whole"),
        ({"by_event": {"a": {}}}, r"e\.json: not what .* \(flood: Field required"),
        ({"tiles": {"count": 1}}, r"e\.json: not what .* \(flood: Field required"),
    ],
)
def test_scores_that_are_none_are_one_line(tmp_path: Path, content: Any, message: str) -> None:
    scores = write_json(tmp_path / "e.json", content)
    with pytest.raises(InputError, match=message) as caught:
        report(
            out=tmp_path / "r.html",
            map_page=tmp_path / "m.html",
            files=ReportFiles(evaluation=scores),
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("content", [[1], {}, {"round": 1, "calibration": {}}])
def test_audits_that_are_none_are_one_line(tmp_path: Path, content: Any) -> None:
    audit = write_json(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=r"a\.json: not what the stage before writes"):
        report(
            out=tmp_path / "r.html", map_page=tmp_path / "m.html", files=ReportFiles(audits=[audit])
        )
