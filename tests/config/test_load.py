from pathlib import Path

import pytest
import yaml

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
MINIMAL = {"run": {"name": "x"}, "scenes": "s.tsv", "events": {"e": {"split": "target"}}}
HEADER = "scene\tevent\trole\tsource\n"


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").glob("*.yaml")), ids=str)
def test_shipped_configurations_are_valid(path: Path) -> None:
    config = load_config(yaml.safe_load(path.read_text()), str(path))
    load_scenes(config, REPOSITORY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"geocod": {}}, r"c\.yaml: geocod: unknown key, did you mean `geocode`\?"),
        ({"tile": {"sizes": 64}}, r"tile\.sizes: unknown key, did you mean `size`\?"),
        ({"tile": {"size": "big"}}, r"tile\.size: .*integer.*'big'"),
        ({"tile": {"size": 5}}, r"tile\.size: .*32.*got 5"),
        ({"run": {}}, r"run\.name: missing key"),
        ({"run": {"name": "../x"}}, r"run\.name: .*pattern"),
        ({"events": {"e": {"split": "testing"}}}, r"events\.e\.split: .*'train'"),
        ({"scenes": None}, r"scenes: not set"),
        ({"dataset": "etci2021"}, r"data_root: not set"),
        ({"distill": {}}, r"teach: not set"),
        ({"teach": {"batch": 4}}, r"teach.batch: set train.batch, which holds here, too"),
        ({"train": {"batch_statistics": 0}}, r"set relabel.batch_statistics, which holds here"),
        (
            {"train": {"encoder": "vgg16"}},
            r"did you mean `arguments: \{encoder: …\}`\?; see config/",
        ),
        ({"train": {"acceptance": 0}}, r"unknown key, did you mean `relabel.acceptance`\?"),
        ({"relabel": {"flips": 0.5}}, r"relabel\.flips: unknown key: take it out; see config/"),
        ({"run": {"name": "r", "optical": True}}, r"run\.optical: needs a teacher"),
        (
            {"events": {"e": {"split": "target", "backscatter": {"scale": "decibels"}}}},
            r"events\.e\.backscatter\.scale: .*'db'.*got 'decibels'",
        ),
        (
            {"events": {"e": {"split": "target", "backscatter": {"bands": {"vv": 0}}}}},
            r"events\.e\.backscatter\.bands: .*count from 1",
        ),
        (
            {"run": {"name": "r", "optical": True}, "distill": {}, "teach": {"radar": False}},
            r"run\.optical: the teacher sees no radar",
        ),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config({**MINIMAL, **change}, "c.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("scene\tevent\tsource\n", r"s\.tsv: column 'role' is missing"),
        (
            HEADER + "a\te\tafter\tsimulated\na\te\tbefore\tsimulated\n",
            r"row 3: scene 'a' .* twice",
        ),
        (HEADER + "a\tf\tafter\tsimulated\n", r"row 2: event 'f' is not among `events` \(e\)"),
        (HEADER + "a\te\tlater\tsimulated\n", r"row 2: role 'later' must be"),
        (HEADER + "a\te\tafter\tnone.zip\n", r"row 2: source none\.zip not found"),
        (HEADER + "a\te\tafter\t\n", r"row 2: source is empty"),
        (HEADER + "a/b\te\tafter\tsimulated\n", r"row 2: scene 'a/b' is no name"),
        (HEADER + "..\te\tafter\tsimulated\n", r"row 2: scene '\.\.' is no name"),
        (HEADER + "pseudo-3\te\tafter\tsimulated\n", r"scene 'pseudo-3' has a meaning"),
        (
            HEADER + "a\te\tafter\tfile:///etc/x.zip\n",
            r"row 2: source file:///etc/x\.zip: only http",
        ),
        (
            HEADER + "a\te\tafter\ts3://me:pw@b/x.zip\n",
            r"row 2: source:? s3://b/x\.zip: not of the form s3",
        ),
        (HEADER + "a\te\tafter\tFTP://h/x.zip?t=1\n", r"row 2: source FTP://h/x\.zip: only"),
        (HEADER + "a\te\tafter\tdataset\n", r"row 2: source is `dataset`, but"),
        (HEADER + "a\te\tafter\tsimulated\nb\te\tafter\tsimulated\n", r"'a' and 'b' are both"),
    ],
)
def test_scene_sheet_mistakes_name_the_row(tmp_path, sheet: str, message: str) -> None:
    (tmp_path / "s.tsv").write_text(sheet)
    with pytest.raises(ConfigError, match=message) as caught:
        load_scenes(load_config(MINIMAL), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "",
        ".",
        "a/b",
        "a\\b",
        "a{b}",
        "a\nb",
        "a\0",
        "a\u202eb",
        "\ufeffa",
        "=1+1",
        "-a",
        " a",
        "a ",
        "a.",
        "x" * 101,
        "é" * 100 + "a",
        "日" * 80,
        "a\x1b[31m",
        "a*",
        "a|b",
        'a"b',
        "a;b",
    ],
)
def test_events_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"event .* (no name|too long)") as caught:
        load_config({**MINIMAL, "events": {name: {"split": "target"}}})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["pseudo-1", "Pseudo-12", "con", "NUL", "lpt1.zarr", "aux.x.y"])
def test_names_with_a_meaning_of_their_own_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"event '{name}' has a meaning of its own"):
        load_config({**MINIMAL, "events": {name: {"split": "target"}}})


@pytest.mark.parametrize(
    "name",
    [
        "Überflutung, 50 %",
        "a+b",
        "2023-05-14",
        "a.b-c_d (2)",
        "Val d'Aosta & Co",
        "洪水2024",
        "x" * 100,
        "pseudo",
        "pseudo-a",
        "console",
        "7",
    ],
)
def test_other_names_of_events_are_taken(name: str) -> None:
    config = load_config({**MINIMAL, "events": {name: {"split": "target"}}})
    assert list(config.events) == [name]


def test_a_sheet_of_more_scenes_than_a_run_has_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("floodloom.config.load._MOST_SCENES", 3)
    events = {f"e{n}": {"split": "train"} for n in range(4)}
    rows = "".join(f"s{n}\te{n}\tafter\tsimulated\n" for n in range(4))
    (tmp_path / "s.tsv").write_text(HEADER + rows)
    with pytest.raises(ConfigError, match="row 5: more than 3 scenes"):
        load_scenes(load_config({**MINIMAL, "events": events}), tmp_path)


def test_messages_name_some_of_many_events(tmp_path) -> None:
    events = {f"e{n}": {"split": "train"} for n in range(5000)}
    (tmp_path / "s.tsv").write_text(HEADER + f"s\t{'f' * 10_000}\tafter\tsimulated\n")
    with pytest.raises(ConfigError, match=r"is not among `events` \(e0, .*, …\)") as caught:
        load_scenes(load_config({**MINIMAL, "events": events}), tmp_path)
    assert len(str(caught.value)) < 500


def test_statements_need_backscatter_of_others(tmp_path) -> None:
    """A product is calibrated by floodloom, whatever somebody states of it."""
    (tmp_path / "s.tsv").write_text(HEADER + "a\te\tafter\tx.tif\n")
    config = load_config(
        {**MINIMAL, "events": {"e": {"split": "target", "backscatter": {"scale": "db"}}}}
    )
    (tmp_path / "x.tif").write_bytes(b"PK\3\4")
    with pytest.raises(ConfigError, match=r"events\.e\.backscatter: no scene of e .*take it out"):
        load_scenes(config, tmp_path)
    (tmp_path / "x.tif").write_bytes(b"II*\0")
    assert set(load_scenes(config, tmp_path)) == {"a"}


def test_missing_files_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"scenes: s\.tsv not found"):
        load_scenes(load_config(MINIMAL), tmp_path)
    events = {"e": {"split": "target", "dem": "dem.tif"}}
    with pytest.raises(ConfigError, match=r"events\.e\.dem: dem\.tif not found"):
        check_paths(load_config({**MINIMAL, "events": events}), tmp_path)
    config = load_config({**MINIMAL, "dataset": "ombria", "data_root": "there"})
    with pytest.raises(ConfigError, match=r"data_root: there not found; ombria is published at"):
        check_paths(config, tmp_path)


DATED = "scene\tevent\trole\tsource\tdate\n"


def _roles(folder: Path, rows: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Roles by scene, of products of these names with these dates in the sheet."""
    for name, _ in rows.values():
        (folder / name).write_bytes(b"PK\3\4")
    text = "".join(f"{s}\te\tbefore\t{name}\t{day}\n" for s, (name, day) in rows.items())
    (folder / "s.tsv").write_text(DATED + text)
    return {name: scene.role for name, scene in load_scenes(load_config(MINIMAL), folder).items()}


def test_dates_before_are_told_apart_by_names_and_by_the_sheet(tmp_path) -> None:
    rows = {
        "a1": ("S1A_IW_GRDH_1SDV_20230502T165821_x.zip", ""),
        "b": ("S1A_IW_GRDH_1SDV_20230420T165821_x.zip", ""),
        "a2": ("S1A_IW_GRDH_1SDV_20230502T165846_x.zip", ""),
        "c": ("renamed.zip", "2023-04-08"),
        "b2": ("renamed-too.zip", "2023-04-20"),
    }
    expected = {"a1": "before", "b": "before-2", "a2": "before", "c": "before-3", "b2": "before-2"}
    assert _roles(tmp_path, rows) == expected
    assert list(_roles(tmp_path, rows)) == list(rows)


def test_a_stated_date_counts_before_that_of_the_name(tmp_path) -> None:
    rows = {
        "a": ("S1A_20230502T165821.zip", ""),
        "b": ("S1A_20230502T165846.zip", "2023-04-20T16:58:21"),
    }
    assert _roles(tmp_path, rows) == {"a": "before", "b": "before-2"}


def test_one_date_before_needs_none(tmp_path) -> None:
    rows = {"a": ("one.zip", ""), "b": ("S1A_20230502T165846.zip", "")}
    assert _roles(tmp_path, rows) == {"a": "before", "b": "before"}


def test_dates_that_are_not_known_or_none_are_refused(tmp_path) -> None:
    rows = {"a": ("one.zip", ""), "b": ("two.zip", "2023-04-20"), "c": ("x.zip", "2023-05-02")}
    with pytest.raises(ConfigError, match=r"s\.tsv: scene 'a': .* state it in a column `date`"):
        _roles(tmp_path, rows)
    with pytest.raises(ConfigError, match=r"row 2: date '2\.5\.2023' must be like 2023-05-14"):
        _roles(tmp_path, {"a": ("one.zip", "2.5.2023")})
    simulated = "a\te\tbefore\tsimulated\t2023-05-02\nb\te\tbefore\tsimulated\t2023-04-20\n"
    (tmp_path / "s.tsv").write_text(DATED + simulated)
    with pytest.raises(ConfigError, match="'a' and 'b' are both `before`"):
        load_scenes(load_config(MINIMAL), tmp_path)
