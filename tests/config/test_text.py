"""Configurations and scene sheets as editors and spreadsheets write them."""

import os

import pytest
import yaml

from floodloom.config.load import check_paths, load_config, load_scenes
from floodloom.config.text import check_keys, read_text
from floodloom.errors import ConfigError

CONFIG = "run: {name: r}\nscenes: s.tsv\nevents:\n  e: {split: target}\n"
HEADER = "scene\tevent\trole\tsource"
SHEET = f"{HEADER}\na\te\tafter\tsimulated\n"


@pytest.mark.parametrize(
    "content",
    [
        SHEET.encode(),
        b"\xef\xbb\xbf" + SHEET.encode(),
        SHEET.replace("\n", "\r\n").encode(),
        SHEET.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf# \xc3\xbc\n" + SHEET.encode() + b"\n# end",
        SHEET.encode() + b"\t\t\t\n   \n",
        SHEET.replace("simulated", "simulated\t\t").encode(),
        SHEET.replace("\t", " \t ").encode(),
        SHEET.replace("simulated", '"simulated"').encode(),
    ],
)
def test_sheets_are_read_however_they_were_saved(tmp_path, content: bytes) -> None:
    (tmp_path / "s.tsv").write_bytes(content)
    scenes = load_scenes(load_config(yaml.safe_load(CONFIG)), tmp_path)
    assert [(s.name, s.event, s.role, s.source) for s in scenes.values()] == [
        ("a", "e", "after", "simulated")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SHEET.encode("utf-16"), r"s\.tsv: not a text in UTF-8 but in UTF-16; save it as UTF-8"),
        (SHEET.encode("utf-16-le"), "UTF-16; save it as UTF-8"),
        (SHEET.encode("utf-16-be"), "UTF-16; save it as UTF-8"),
        (SHEET.encode() + "# Überflutung".encode("latin-1"), "line 3: byte 0xdc isn't UTF-8"),
        (SHEET.replace("\t", ",").encode(), "'scene' is missing; the columns are parted by commas"),
        (SHEET.replace("\t", ";").encode(), "parted by semicolons: part them by tabs"),
        (SHEET.replace("\t", "    ").encode(), "parted by spaces: part them by tabs"),
        (f"{HEADER}\na e after simulated\n".encode(), "row 2: parted by spaces; part the fields"),
        (f"# x\n{HEADER}\na,e,after,simulated\n".encode(), "row 3: parted by commas; part the"),
        (SHEET.replace("after\t", "after\t\t").encode(), "row 2: 5 fields in 4 columns; remove a"),
        (b"", "column 'scene' is missing; the header must have scene, event, role, source"),
    ],
)
def test_what_is_wrong_with_a_sheet_is_one_line(tmp_path, content: bytes, message: str) -> None:
    (tmp_path / "s.tsv").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_scenes(load_config(yaml.safe_load(CONFIG)), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("2023-05-14", "a date"),
        ("2023-05-14 12:00:00", "a date"),
        ("no", "true or false"),
        ("on", "true or false"),
        ("Yes", "true or false"),
        ("2023", "a number"),
        ("007", "a number"),
        ("1.5", "a number"),
        ("~", "nothing"),
    ],
)
def test_keys_that_yaml_changes_are_to_be_quoted(tmp_path, key: str, kind: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.replace("  e:", f"  {key}:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line 4: key {key}: read as {kind}; quote it: '{key}'"):
        check_keys(path)
    with pytest.raises(ConfigError, match=r"c: events\..*: read as .*; quote it"):
        load_config(yaml.safe_load(path.read_text(encoding="utf-8")), "c")
    path.write_text(CONFIG.replace("  e:", f"  '{key}':"), encoding="utf-8")
    check_keys(path)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(content["events"]) == [key]


@pytest.mark.parametrize(
    ("value", "kind"), [("2023-05-14", "a date"), ("no", "true or false"), ("007", "a number")]
)
def test_values_that_yaml_changes_are_to_be_quoted(value: str, kind: str) -> None:
    content = yaml.safe_load(CONFIG.replace("name: r", f"name: {value}"))
    with pytest.raises(ConfigError, match=rf"c: run\.name: read as {kind} \(.*\); quote it"):
        load_config(content, "c")


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("run: {name: b}\n", "line 5: key run is there already, in line 1; keep one of them"),
        ("  e: {split: train}\n", "line 5: key e is there already, in line 4"),
        ("train: {epochs: 1, epochs: 2}\n", "line 5: key epochs is there already, in line 5"),
    ],
)
def test_keys_that_are_there_twice_are_refused(tmp_path, addition: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG + addition, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        check_keys(path)


@pytest.mark.parametrize("content", [None, [], ["a"], "text", {}])
def test_configurations_without_keys_are_refused(content: object) -> None:
    with pytest.raises(ConfigError, match="c: no keys at the top level"):
        load_config(content, "c")


@pytest.mark.parametrize("name", ["{x}.tif", "{ x }/dem.tif", "a{b,c+}.tif"])
def test_paths_that_snakemake_would_change_are_refused(tmp_path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    events = {"e": {"split": "target", "dem": name}}
    with pytest.raises(ConfigError, match=r"events\.e\.dem: .*takes what stands in braces"):
        check_paths(load_config({**yaml.safe_load(CONFIG), "events": events}), tmp_path)
    (tmp_path / "s.tsv").write_text(f"{HEADER}\na\te\tafter\t{name}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"row 2: source .*takes what stands in braces"):
        load_scenes(load_config(yaml.safe_load(CONFIG)), tmp_path)


@pytest.mark.parametrize("name", ["a{b.tif", "{}.tif", "{a-b}, ü 50%#.tif"])
def test_other_braces_are_no_wildcards(tmp_path, name: str) -> None:
    (tmp_path / name).touch()
    events = {"e": {"split": "target", "dem": name}}
    check_paths(load_config({**yaml.safe_load(CONFIG), "events": events}), tmp_path)


def repeated(depth: int, kind: str) -> str:
    """Lists or mappings that repeat those before ten times over."""
    lines = ["  - &a0 [x]" if kind == "list" else "  - &a0 {k: x}"]
    for level in range(1, depth):
        before = [f"*a{level - 1}"] * 10
        named = ", ".join(f"k{n}: {value}" for n, value in enumerate(before))
        inner = f"[{', '.join(before)}]" if kind == "list" else f"{{{named}}}"
        lines.append(f"  - &a{level} {inner}")
    return "train:\n  width:\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("depth", [3, 30])
@pytest.mark.parametrize("kind", ["list", "mapping"])
def test_what_aliases_repeat_is_looked_at_once(tmp_path, depth: int, kind: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG + repeated(depth, kind), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"train\.width: ") as caught:
        load_config(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert len(str(caught.value)) < 1000


def test_what_is_a_part_of_itself_is_refused() -> None:
    around: dict[str, object] = {}
    around["train"] = around
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"train": deep}
    for content in (around, {"tile": {"size": around}}, deep):
        with pytest.raises(ConfigError, match="nested too deep"):
            load_config({**yaml.safe_load(CONFIG), **content})


@pytest.mark.parametrize("content", [{"relabel": {"preset": ["a"]}}, {"relabel": {"preset": {}}}])
def test_a_preset_that_is_no_word_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"relabel\.preset: "):
        load_config({**yaml.safe_load(CONFIG), **content})


def test_a_text_that_can_not_be_read_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"s: can't be read .*; check the path"):
        read_text(tmp_path, "s")


def aliases(depth: int, width: int = 10) -> str:
    """A list of lists of ... by aliases: some lines that stand for width to the power of depth."""
    lines = [f"x0: &a0 [{', '.join('x' * width)}]"]
    lines += [f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (aliases(6), r"line \d+: aliases stand for more than 100,000 values"),
        (aliases(40, 2), "aliases stand for more than"),
        ("a: &a [*a]\n", "line 1: an alias stands for what it is a part of"),
        ("a: &a {b: {c: *a}}\n", "an alias stands for what it is a part of"),
        ("[" * 1_500, "nested too deep"),
        ("a:\n" + "".join(" " * n + "- \n" for n in range(1, 2_000)), "nested too deep"),
    ],
)
def test_values_without_end_are_refused(tmp_path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        check_keys(tmp_path / "c.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_aliases_that_are_meant_are_taken(tmp_path) -> None:
    (tmp_path / "c.yaml").write_text("a: &a {b: 1, c: [1, 2]}\nd: *a\ne: [*a, *a]\n")
    check_keys(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    "content",
    [
        {"train": {"width": yaml.safe_load(aliases(5))["x4"]}},
        {"train": {"width": "9" * 100_000}},
        {"k" * 100_000: 1},
        {"run": {"name": ["x" * 100_000]}},
        {1: {"x": 2}},
    ],
)
def test_what_is_wrong_is_said_in_a_short_line(content) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({**yaml.safe_load(CONFIG), **content})
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


def test_configurations_without_end_are_refused() -> None:
    around: dict[str, object] = {}
    around["train"] = around
    deep: dict[str, object] = {}
    for _ in range(5_000):
        deep = {"train": deep}
    for content in (around, deep):
        with pytest.raises(ConfigError, match="nested too deep"):
            load_config(content)


def test_a_sheet_of_any_length_is_refused(tmp_path) -> None:
    rows = "".join(f"s{n}\te\tafter\tdata\n" for n in range(100_000))
    (tmp_path / "s.tsv").write_text(f"{HEADER}\n{rows}")
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigError, match=r"s\.tsv: row 10002: more than 10,000 scenes; part them"):
        load_scenes(load_config(yaml.safe_load(CONFIG)), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\na\te\tafter\t{'x' * 200_000}\n", "row 2: field larger than"),
        (f"{HEADER}\na\te\tafter\t{'x' * 5_000}\n", "not found; check the path"),
        ("x" * 200_000, "column 'scene' is missing"),
        (" " * (17 << 20), "18 MB, more than the 17 of any such text"),
    ],
)
def test_fields_and_texts_of_any_length_are_refused(tmp_path, content: str, message: str) -> None:
    (tmp_path / "s.tsv").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_scenes(load_config(yaml.safe_load(CONFIG)), tmp_path)


def test_a_pipe_is_no_text(tmp_path) -> None:
    os.mkfifo(tmp_path / "s")
    for read in (lambda: read_text(tmp_path / "s", "s"), lambda: check_keys(tmp_path / "s")):
        with pytest.raises(ConfigError, match=r"s: can't be read .*a pipe, a socket or a device"):
            read()
