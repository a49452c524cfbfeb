"""Names of files that someone else has thought of."""

import pytest

from floodloom.errors import ConfigError, InputError
from floodloom.names import as_name, require_name


@pytest.mark.parametrize("name", ["a", "flood-2023_b", "Ä", "x" * 100, "S1A_IW_GRDH.2"])
def test_names_are_taken_as_they_are(name: str) -> None:
    assert require_name(name, "event") == as_name(name) == name


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\n", "a\u202e", "pseudo-7", "CON", "x" * 101])
def test_what_is_no_name_is_refused_in_one_line(name: str) -> None:
    for kind in (InputError, ConfigError):
        with pytest.raises(kind, match=r"^item '") as caught:
            require_name(name, "item", kind)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("left{open", "left-open"),
        ("../../x", "x"),
        (".hidden", "hidden"),
        ("=cmd|x", "cmd-x"),
        ("a\u202eb\nc", "a-b-c"),
        ("", "map"),
        ("..", "map"),
        ("con", "map con"),
        ("pseudo-1", "map pseudo-1"),
        ("x" * 300, "x" * 100),
        ("洪" * 300, "洪" * 66),
        ("a. . ", "a"),
    ],
)
def test_any_text_gives_a_name(text: str, name: str) -> None:
    assert as_name(text) == name
    assert require_name(as_name(text), "item")
