from pathlib import Path

import pytest
import yaml

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
MINIMAL = {"run": {"name": "x"}, "scenes": "s.tsv", "events": {"e": {"split": "target"}}}
HEADER = "scene\tevent\trole\tsource\n"


@pytest.mark.parametrize("name", ["config.yaml", "etci2021.yaml", "ombria.yaml"])
def test_shipped_configurations_are_valid(name: str) -> None:
    path = REPOSITORY / "config" / name
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
        ({"run": {"name": "r", "optical": True}}, r"run\.optical: needs a teacher"),
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
        (HEADER + "a/b\te\tafter\tsimulated\n", r"row 2: scene 'a/b' must be of letters"),
        (HEADER + "a\te\tafter\tdataset\n", r"row 2: source is `dataset`, but"),
        (HEADER + "a\te\tafter\tsimulated\nb\te\tafter\tsimulated\n", r"'a' and 'b' are both"),
    ],
)
def test_scene_sheet_mistakes_name_the_row(tmp_path, sheet: str, message: str) -> None:
    (tmp_path / "s.tsv").write_text(sheet)
    with pytest.raises(ConfigError, match=message) as caught:
        load_scenes(load_config(MINIMAL), tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"scenes: s\.tsv not found"):
        load_scenes(load_config(MINIMAL), tmp_path)
    events = {"e": {"split": "target", "dem": "dem.tif"}}
    with pytest.raises(ConfigError, match=r"events\.e\.dem: dem\.tif not found"):
        check_paths(load_config({**MINIMAL, "events": events}), tmp_path)
    config = load_config({**MINIMAL, "dataset": "ombria", "data_root": "there"})
    with pytest.raises(ConfigError, match=r"data_root: there not found; ombria is published at"):
        check_paths(config, tmp_path)
