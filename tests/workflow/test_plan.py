"""Which files the stages read, for a mosaic, companions, a data set and downloads."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from floodloom.config import load
from floodloom.config.load import load_config, load_scenes
from floodloom.errors import ConfigError
from floodloom.workflow import plan as plans
from floodloom.workflow.inputs import inputs, named_by_settings, orbit_files, reads_data_set
from floodloom.workflow.plan import Plan, targets
from floodloom.workflow.sources import belonging
from tests.workflow.plans import SCENES, plan

IMAGE = "S1A_IW_GRDH_1SDV_20230514T165821_20230514T165846_048532_05D6A1_1234.zip"


def test_a_mosaic_and_its_companions_decide_the_scene() -> None:
    assert inputs(plan(), "geocode", {"scene": "one"}) == {
        "scene": ["results/r/calibrated/one.zarr", "results/r/calibrated/two.zarr"],
        "companions": ["results/r/calibrated/past.zarr"],
        "dem": "dem.tif",
    }


def test_a_download_is_calibrated_where_it_was_fetched_to() -> None:
    assert plan().fetched == ["past"]
    assert inputs(plan(), "calibrate", {"scene": "past"}) == {"safe": "resources/past.zip"}
    assert inputs(plan(), "calibrate", {"scene": "one"}) == {"safe": "one.SAFE"}


@pytest.mark.parametrize("href", ["p.zip", "https://example.org/p.zip"])
def test_an_item_on_disk_is_fetched_and_counts_with_its_product(tmp_path, href: str) -> None:
    item = tmp_path / "item.json"
    item.write_text(json.dumps({"assets": {"product": {"href": href}}}))
    named = plan([replace(SCENES[0], source=str(item)), *SCENES[1:]])
    assert named.fetched == ["one", "past"]
    assert inputs(named, "calibrate", {"scene": "one"}) == {"safe": "resources/one.zip"}
    beside = [item, tmp_path / href] if href == "p.zip" else [item]
    assert named_by_settings(named, "acquire", {"scene": "one"}) == beside
    assert named_by_settings(named, "acquire", {"scene": "past"}) == []


def test_backscatter_of_others_is_geocoded_as_it_was_stated_to_be(tmp_path) -> None:
    """By what the files are, not by their names; a product is calibrated first."""
    for name in ("one_vv.tif", "one_vh.tif"):
        (tmp_path / name).write_bytes(b"II*\0")
    (tmp_path / "two.SAFE" / "measurement").mkdir(parents=True)
    (tmp_path / "two.SAFE" / "manifest.safe").touch()
    (tmp_path / "two.SAFE" / "measurement" / "iw-vv.tif").write_bytes(b"II*\0")
    vv = str(tmp_path / "one_vv.tif")
    sources = {"one": vv, "two": str(tmp_path / "two.SAFE")}
    scenes = [replace(s, source=sources.get(s.name, s.source)) for s in SCENES]
    stated = {"scale": "db", "bands": {"vv": 1}, "nodata": [0, float("nan")]}
    found = plan(scenes, events={"flood": {"split": "target", "backscatter": stated}})
    assert found.of_others == {"one"}
    assert found.calibrated("flood", "after") == [vv, "results/r/calibrated/two.zarr"]
    expected = {"scale": "db", "bands": {"vv": 1}, "nodata": [0.0]}
    assert found.backscatter("one") == expected
    assert plan().backscatter("one") == {}
    assert found.acquired("one") is None
    dated = [replace(scene, date=date(2023, 5, 14)) for scene in scenes]
    known = plan(dated, events={"flood": {"split": "target", "backscatter": stated}})
    assert (known.acquired("one"), known.acquired("two")) == ("2023-05-14", None)
    assert set(belonging(Path(vv))) == {tmp_path / "one_vv.tif", tmp_path / "one_vh.tif"}


def test_the_data_set_is_read_by_what_has_no_scene_of_it() -> None:
    assert reads_data_set(plan(), "ingest", {"scene": "seen"})
    assert reads_data_set(plan(), "tile", {"event": "chips"})
    assert not reads_data_set(plan(), "tile", {"event": "train"})
    assert not reads_data_set(plan(), "predict", {"event": "flood", "role": "after"})


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("S1A_OPER_AUX_POEORB_OPOD_X_V20230513T225942_20230515T005942.EOF", True),
        ("S1A_OPER_AUX_RESORB_OPOD_X_V20230514T160000_20230514T190000.EOF.zip", True),
        ("S1B_OPER_AUX_POEORB_OPOD_X_V20230513T225942_20230515T005942.EOF", False),
        ("S1A_OPER_AUX_POEORB_OPOD_X_V20230514T225942_20230516T005942.EOF", False),
        ("orbit.xml", True),
    ],
)
def test_an_orbit_file_counts_where_it_may_cover_the_scene(tmp_path, name, counts) -> None:
    file = tmp_path / "2023" / name
    file.parent.mkdir()
    file.touch()
    assert orbit_files(tmp_path, f"in/{IMAGE}") == ([file] if counts else [])
    assert orbit_files(tmp_path, "renamed.zip") == [tmp_path]
    assert orbit_files(file, IMAGE) == [file]


@pytest.mark.parametrize("fine_tuned", [[], ["unet"]])
def test_examples_come_from_the_ensemble_that_is_scored(fine_tuned: list[str]) -> None:
    events = {"flood": {"split": "target"}, "chips": {"split": "test"}, "more": {"split": "train"}}
    run = {"name": "r", "rounds": 2, "fine_tuned": fine_tuned}
    asked = plan([SCENES[0]], run=run, events=events)
    scored = inputs(asked, "evaluate", {})["checkpoint"]
    assert len(scored) == (2 if fine_tuned else 1)
    assert inputs(asked, "report", {})["ensemble"] == scored


def test_only_the_chosen_networks_are_fine_tuned_and_join_the_first() -> None:
    """Paul and Ganju: U-Net, U-Net++ and the last U-Net."""
    asked = plan([SCENES[0]], run={"name": "r"}, relabel={"preset": "paul-ganju"})
    folder = f"{asked.folder}/models"
    first = [f"{folder}/round-0/{model}-0.safetensors" for model in ("unet", "unetplusplus")]
    assert asked.members(0) == first
    assert asked.ensemble(1) == [f"{folder}/round-1/unet-0.safetensors"]
    assert asked.members(1) == [*first, *asked.ensemble(1)]
    assert asked.members(2) == [*first, f"{folder}/round-2/unet-0.safetensors"]
    trained = inputs(asked, "train", {"round": "2", "model": "unet", "seed": "0"})
    assert trained["init"] == asked.ensemble(1)[0]


@pytest.mark.parametrize("stage", ["teach", "distill"])
def test_how_a_preset_of_relabelling_trains_is_its_own_matter(stage: str) -> None:
    """Neither teacher nor students are trained by the Dice loss of Paul and Ganju."""
    both = {"teach": {}, "distill": {}, "relabel": {"preset": "paul-ganju"}}
    asked = plan([SCENES[0]], run={"name": "r"}, **both).settings(stage)
    usual = plan([SCENES[0]], run={"name": "r"}, teach={}, distill={}).settings(stage)
    assert asked == {**usual, "arguments": {"encoder": "mobilenet_v2"}}
    chosen = plan([SCENES[0]], run={"name": "r"}, train={"loss": "dice"}, **both)
    assert chosen.settings(stage)["loss"] == "dice"


def test_without_calibration_maps_are_of_raw_logits() -> None:
    for calibrate in (True, False):
        asked = plan([SCENES[0]], run={"name": "r"}, relabel={"calibrate": calibrate})
        assert asked.settings("predict")["calibrate"] is calibrate


TARGET = {"flood": {"split": "target", "dem": "dem.tif"}}


@pytest.fixture
def default(tmp_path, monkeypatch) -> str:
    """The model that an installation brings."""
    file = tmp_path / "default.safetensors"
    file.touch()
    for module in (load, plans):
        monkeypatch.setattr(module, "DEFAULT_CHECKPOINT", file)
    return str(file)


def test_where_none_is_brought_none_is_taken(tmp_path, monkeypatch) -> None:
    for module in (load, plans):
        monkeypatch.setattr(module, "DEFAULT_CHECKPOINT", tmp_path / "none")
    assert plan(SCENES[:3], dataset=None, events=TARGET).checkpoint is None
    with pytest.raises(ConfigError, match=r"run\.checkpoint: .* `make default-model`"):
        plan(run={"name": "r", "checkpoint": "default"})


def test_where_no_event_gives_labels_the_default_model_maps(default: str) -> None:
    mapped = plan(SCENES[:3], dataset=None, events=TARGET)
    assert mapped.rounds == 0
    assert mapped.members(0) == [default]
    read = inputs(mapped, "predict", {"event": "flood", "role": "after"})
    assert read["checkpoint"] == [default]
    assert read["before"] == "results/r/geocoded/past.zarr"
    assert "before" not in inputs(mapped, "predict", {"event": "flood", "role": "before"})
    assert targets(mapped)["evaluated"] == []
    shown = inputs(mapped, "report", {})
    assert shown["ensemble"] == [default]
    assert not {"tiles", "evaluation", "checkpoints"} & shown.keys()


def test_a_checkpoint_maps_instead_of_what_would_be_trained() -> None:
    given = plan(run={"name": "r", "checkpoint": "mine.safetensors", "seeds": [0, 1]})
    assert given.rounds == 0
    assert given.members(0) == ["mine.safetensors"]
    trained = plan(run={"name": "r"})
    assert trained.rounds == 1
    assert trained.weights(0, "unet", 0) == "results/r/models/round-0/unet-0.safetensors"


def test_rounds_begin_with_a_checkpoint(default: str) -> None:
    given = plan(run={"name": "r", "checkpoint": "default", "rounds": 1})
    wildcards = {"round": "1", "model": "unet", "seed": "0"}
    assert inputs(given, "train", wildcards)["init"] == default
    assert inputs(given, "relabel", {"round": "1"})["checkpoints"] == [default]
    cut = inputs(given, "tile", {"event": "flood"})
    assert cut["checkpoint"] == default
    assert cut["before"] == "results/r/geocoded/past.zarr"
    assert given.members(1) == ["results/r/models/round-1/unet-0.safetensors"]


def test_rounds_need_labels_that_show_whether_they_help(default: str) -> None:
    with pytest.raises(ConfigError, match=r"run\.rounds: without labels nothing shows whether"):
        plan(SCENES[:3], dataset=None, events=TARGET, run={"name": "r", "rounds": 1})


def test_nothing_is_distilled_into_a_checkpoint(default: str) -> None:
    with pytest.raises(ConfigError, match=r"run\.checkpoint: nothing is distilled then"):
        plan(run={"name": "r", "checkpoint": "default"}, teach={}, distill={})


@pytest.mark.parametrize("name", ["otsu", "kittler-illingworth", "hsba"])
def test_a_baseline_maps_instead_of_what_would_be_trained(name: str, default: str) -> None:
    asked = plan(predict={"baseline": name}, run={"name": "r", "rounds": 2}, teach={}, distill={})
    assert asked.rounds == 0
    assert asked.checkpoint is None
    assert inputs(asked, "predict", {"event": "flood", "role": "after"}) == {
        "scene": "results/r/geocoded/one.zarr",
        "dem": "dem.tif",
    }
    assert "before" in inputs(asked, "delineate", {"event": "flood"})
    made = targets(asked)
    assert [made[key] for key in ("taught", "distilled", "trained", "relabelled")] == [[]] * 4
    shown = inputs(asked, "report", {})
    assert not {"checkpoints", "ensemble", "audits", "tiles"} & shown.keys()
    assert asked.transductive_events() == []


def test_a_baseline_of_two_dates_sees_the_scene_before() -> None:
    asked = plan(predict={"baseline": "change"})
    read = inputs(asked, "predict", {"event": "flood", "role": "after"})
    assert read["before"] == "results/r/geocoded/past.zarr"
    assert "before" not in inputs(asked, "delineate", {"event": "flood"})


def test_tiles_are_not_scored_by_a_baseline() -> None:
    events = {"flood": {"split": "target"}, "chips": {"split": "test"}}
    asked = plan([SCENES[0]], predict={"baseline": "hsba"}, events=events)
    assert not asked.is_scored
    assert "checkpoint" not in inputs(asked, "evaluate", {})


def test_a_baseline_and_a_checkpoint_are_not_both_taken(default: str) -> None:
    with pytest.raises(ConfigError, match=r"run\.checkpoint: predict\.baseline maps without"):
        plan(predict={"baseline": "hsba"}, run={"name": "r", "checkpoint": "default"})
    with pytest.raises(ConfigError, match=r"baseline.*hsba"):
        plan(predict={"baseline": "threshold"})


def test_what_items_name_is_gathered(tmp_path: Path) -> None:
    """Tiles of an event, the image beside it, and the bands of a scene, each in its own folder."""
    items = [f"https://h/items/{name}" for name in ("a", "b")]
    content = {
        "run": {"name": "r", "checkpoint": "default"},
        "scenes": "scenes.tsv",
        "events": {"e": {"split": "target", "dem": items, "optical": items[:1]}},
    }
    (tmp_path / "scenes.tsv").write_text(
        "scene\tevent\trole\tsource\tdate\tassets\n"
        "post\te\tafter\thttps://h/items/post_rtc\t2023-05-14\tvv,vh\n"
        "pre\te\tbefore\thttps://h/pre.zip\t2023-05-02\n"
    )
    config = load_config(content)
    found = Plan(config, load_scenes(config, tmp_path))
    assert found.gathered == {
        "dem": ["e"], "optical": ["e"], "backscatter": ["post"], "reference_water": [],
        "land_cover": [],
    }  # fmt: skip
    assert found.fetched == ["pre"]
    assert found.product("post") == "resources/backscatter/post"
    assert found.calibrated("e", "after") == ["resources/backscatter/post"]
    assert found.fetched_tiles("post", "backscatter") == ("https://h/items/post_rtc",)
    assert found.fetched_assets("post", "backscatter") == ("vv", "vh")
    assert found.fetched_assets("e", "optical")[-1] == "scl"
    assert found.event_file("e", "optical") == "resources/optical/e"
    assert found.event_file("e", "dem") == "resources/dem/e"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("https://h/post.zip\t\tvv", "https://h/post.zip isn't a STAC item; leave them out"),
        ("https://h/items/a\t\tvv,vv", "must be names with commas"),
        ("https://h/items/a\t\tvv,{vh}", "must be names with commas"),
        ("https://h/items/a?sig=s3cret\t\tvv", "with a login or a query"),
        ("gone.json\t\tvv", "gone.json not found"),
    ],
)
def test_assets_that_can_not_be_are_one_line(tmp_path: Path, row: str, said: str) -> None:
    content = {
        "run": {"name": "r", "checkpoint": "default"},
        "scenes": "scenes.tsv",
        "events": {"e": {"split": "target"}},
    }
    (tmp_path / "scenes.tsv").write_text(
        f"scene\tevent\trole\tsource\tdate\tassets\npost\te\tafter\t{row}\n"
    )
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        load_scenes(load_config(content), tmp_path)
    assert "s3cret" not in str(caught.value)
