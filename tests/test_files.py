"""Results take their place whole, and nothing of anybody else's is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from floodloom import files
from floodloom.errors import InputError, held_back
from floodloom.files import atomic_path, part_beside, remove_parts, swap
from floodloom.outputs import together


def store(folder: Path, word: str = "old") -> Path:
    """What floodloom's stores look like from outside."""
    folder.mkdir(parents=True)
    (folder / "zarr.json").write_text('{"attributes": {"fingerprint": "0"}}')
    (folder / "word").write_text(word)
    return folder


def safe(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.safe").write_text("<facility name='floodloom simulator'/>")
    return folder


def contents(folder: Path) -> dict[str, str]:
    found = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_text() for p in found}


def write(kind: str, at: Path) -> None:
    """Write a result of a kind."""
    with atomic_path(at) as temporary:
        if kind == "file":
            temporary.write_text("new")
        else:
            {"store": store, "safe": safe}[kind](temporary)


@pytest.mark.parametrize("kind", ["file", "store", "safe"])
@pytest.mark.parametrize("name", ["thesis", "thesis/deep"])
def test_a_folder_of_somebody_else_stays(tmp_path, monkeypatch, kind: str, name: str) -> None:
    (tmp_path / "thesis" / "deep").mkdir(parents=True)
    (tmp_path / "thesis" / "deep" / "text").write_text("years")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="didn't write; it stays as it is"):
        write(kind, Path(name))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["..", "../..", "."])
def test_no_parent_is_a_result(tmp_path, monkeypatch, name: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(InputError, match="not a name for a result"):
        write("store", Path(name))


@pytest.mark.parametrize(
    ("there", "new"), [("store", "file"), ("store", "safe"), ("safe", "store")]
)
def test_a_folder_gives_way_to_its_own_kind_alone(tmp_path, there: str, new: str) -> None:
    write(there, tmp_path / "result")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="of another kind than the result; it stays"):
        write(new, tmp_path / "result")
    assert contents(tmp_path) == before


def test_a_store_replaces_a_store_and_an_empty_folder(tmp_path) -> None:
    store(tmp_path / "s.zarr", "old")
    (tmp_path / "empty").mkdir()
    for name in ("s.zarr", "empty"):
        with atomic_path(tmp_path / name) as temporary:
            store(temporary, "new")
        assert (tmp_path / name / "word").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "s.zarr"]


@pytest.mark.parametrize("exchange", [True, False])
def test_what_a_kill_interrupts_is_the_old_store_or_the_new_one(tmp_path, exchange: bool) -> None:
    """A process that dies while it removes the old store leaves the new one whole."""
    store(tmp_path / "s.zarr", "old")
    code = f"""
import os
from pathlib import Path
import floodloom.files as files
if not {exchange}:
    files.ctypes.CDLL = lambda *a, **k: object()
def half(folder, *a, **k):
    os.unlink(Path(folder) / "word")
    os._exit(137)
files.shutil.rmtree = half
with files.atomic_path({str(tmp_path / "s.zarr")!r}) as temporary:
    os.makedirs(temporary)
    (temporary / "zarr.json").write_text('"fingerprint"')
    (temporary / "word").write_text("new")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 137
    assert (tmp_path / "s.zarr" / "word").read_text() == "new"
    with atomic_path(tmp_path / "s.zarr") as temporary:
        store(temporary, "newer")
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


@pytest.mark.parametrize("exchange", [True, False])
def test_swap(tmp_path, monkeypatch, exchange: bool) -> None:
    one, other = store(tmp_path / "one", "1"), store(tmp_path / "other", "2")
    if not exchange:
        monkeypatch.setattr("floodloom.files.ctypes.CDLL", lambda *a, **k: object())
    swap(one, other)
    assert ((one / "word").read_text(), (other / "word").read_text()) == ("2", "1")
    assert len(list(tmp_path.iterdir())) == 2


def test_parts_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path) -> None:
    result = tmp_path / "x[1].tif"
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    mine = part_beside(result)
    dead = Path(str(mine).replace(f"-{os.getpid()}-", f"-{int(gone.stdout)}-"))
    elsewhere = Path(str(dead).replace(files._machine(), "0" * 6))
    for part in (mine, dead, elsewhere):
        part.write_text("half")
    remove_parts(result)
    assert set(tmp_path.iterdir()) == {mine, elsewhere}
    remove_parts(result, of_all=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_asked_to_end_cleans_up(tmp_path, number: signal.Signals) -> None:
    code = f"""
import signal, time
from floodloom.files import atomic_path
from floodloom.errors import unwind_on_signals
signal.signal({int(number)}, signal.SIG_DFL)  # it is ignored where the tests run under nohup
unwind_on_signals()
with atomic_path({str(tmp_path / "x.tif")!r}) as temporary:
    temporary.write_text("half")
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    while not list(tmp_path.glob(".x.*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert not list(tmp_path.iterdir())


def test_a_set_appears_together_with_what_lies_beside_it(tmp_path) -> None:
    paths = {"map": tmp_path / "a" / "m.tif", "item": tmp_path / "b" / "i.json"}
    with together(paths) as made:
        for path in made.values():
            path.write_text("new")
        made["map"].with_name("m.qml").write_text("new")
        assert not any(path.exists() for path in paths.values())
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"a/m.tif", "a/m.qml", "b/i.json"}
    assert len(list(tmp_path.rglob("*"))) == 5


def test_a_set_that_fails_leaves_the_old_one(tmp_path) -> None:
    paths = {"map": tmp_path / "m.tif", "item": tmp_path / "i.json"}
    for path in paths.values():
        path.write_text("old")

    def broken() -> None:
        with together(paths) as made:
            made["map"].write_text("new")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert contents(tmp_path) == {"m.tif": "old", "i.json": "old"}
    assert len(list(tmp_path.iterdir())) == 2


def lay_set(folder: Path) -> dict[str, Path]:
    """An old set: two files and a store, in two folders."""
    paths = {"map": folder / "m.tif", "store": folder / "s.zarr", "item": folder / "b" / "i.json"}
    (folder / "b").mkdir()
    paths["map"].write_text("old")
    paths["item"].write_text("old")
    store(paths["store"], "old")
    return paths


def write_set(folder: Path, word: str = "new") -> None:
    paths = {"map": folder / "m.tif", "store": folder / "s.zarr", "item": folder / "b" / "i.json"}
    with together(paths, folders=("store",)) as made:
        store(made["store"], word)
        made["map"].write_text(word)
        made["map"].with_name("m.qml").write_text(word)
        made["item"].write_text(word)


def words(folder: Path) -> dict[str, str]:
    return {
        Path(name).name: text for name, text in contents(folder).items() if "zarr.json" not in name
    }


NEW = {"m.tif": "new", "m.qml": "new", "word": "new", "i.json": "new"}


@pytest.mark.parametrize("exchange", [True, False])
def test_a_set_of_files_and_folders_replaces_the_old_one(tmp_path, monkeypatch, exchange) -> None:
    lay_set(tmp_path)
    if not exchange:
        monkeypatch.setattr("floodloom.files.ctypes.CDLL", lambda *a, **k: object())
    write_set(tmp_path)
    assert words(tmp_path) == NEW
    assert len(list(tmp_path.rglob("*"))) == 7


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_set_that_a_kill_halved_is_whole_after_the_next_run(tmp_path, at: int) -> None:
    """Also where the next run fails."""
    lay_set(tmp_path)
    code = f"""
import os
from pathlib import Path
import floodloom.outputs as outputs, tests.test_files as own
left = {at}
def move(one, other, move=outputs.swap):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    move(one, other)
outputs.swap = move
own.write_set(Path({str(tmp_path)!r}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    root = Path(__file__).parents[1]
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=False)
    assert killed.returncode == (-signal.SIGKILL if at < 3 else 0)

    paths = {"map": tmp_path / "m.tif", "store": tmp_path / "s.zarr"}
    paths["item"] = tmp_path / "b" / "i.json"

    def fail() -> None:
        with together(paths, folders=("store",)):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert words(tmp_path) == NEW
    assert len(list(tmp_path.rglob("*"))) == 7


def test_a_set_of_which_one_can_not_take_its_place_goes_back(tmp_path, monkeypatch) -> None:
    lay_set(tmp_path)
    before = contents(tmp_path)
    moves = []

    def failing(one: Path, other: Path) -> None:
        moves.append(other.name)
        if moves == ["m.tif", "s.zarr", "i.json"]:
            raise OSError("refused")
        swap(one, other)

    monkeypatch.setattr("floodloom.outputs.swap", failing)
    with pytest.raises(OSError, match="refused"):
        write_set(tmp_path)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.rglob("*"))) == 6


def test_a_process_that_is_asked_to_end_does_so_though_a_thread_waits_for_ever(tmp_path) -> None:
    code = """
import signal, threading
from floodloom import errors
errors._GRACE_S = 0.5
errors.unwind_on_signals()
threading.Thread(target=threading.Event().wait).start()
signal.raise_signal(signal.SIGTERM)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert ended.returncode == -signal.SIGALRM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_waits_for_the_end_of_a_step(number: signal.Signals) -> None:
    done = []

    def unwind(number: int, frame: object) -> None:
        raise InterruptedError(number)

    def step() -> None:
        with held_back():
            signal.raise_signal(number)
            done.append("after the signal")

    known = signal.signal(number, unwind)
    try:
        with pytest.raises(InterruptedError):
            step()
    finally:
        signal.signal(number, known)
    assert done == ["after the signal"]


def test_a_message_names_the_place_of_a_result_not_of_its_making(tmp_path) -> None:
    path = tmp_path / "m.tif"
    with pytest.raises(InputError, match=rf"^{path}: broken$"), together({"map": path}) as made:
        raise InputError(f"{made['map']}: broken")
    assert not list(tmp_path.iterdir())


def test_numbers_of_processes_that_are_given_anew_are_told_apart(tmp_path) -> None:
    """A part of a process of our own number that began at another time is of the dead."""
    result = tmp_path / "x.tif"
    mine = part_beside(result)
    start = files._start(os.getpid())
    dead = Path(str(mine).replace(f"-{os.getpid()}-{start}-", f"-{os.getpid()}-{start - 1}-"))
    beside = dead.with_name(dead.name + "-journal")
    other = dead.with_name(dead.name.replace(".x.", ".x.y."))
    for part in (mine, dead, beside, other):
        part.write_text("half")
    remove_parts(result)
    assert set(tmp_path.iterdir()) == {mine, other}


@pytest.mark.parametrize("other", ["m.tif", "sub/../m.tif"])
def test_two_of_a_set_are_not_one_file(tmp_path, other: str) -> None:
    (tmp_path / "sub").mkdir()
    paths = {"map": tmp_path / "m.tif", "likelihood": tmp_path / other}
    with pytest.raises(InputError, match="map and likelihood are one file"), together(paths):
        pass


def test_a_file_of_a_set_is_no_folder(tmp_path) -> None:
    store(tmp_path / "m.tif")
    paths = {"map": tmp_path / "m.tif"}
    with pytest.raises(InputError, match=r"m\.tif: a folder, but map is"), together(paths):
        pass
    assert (tmp_path / "m.tif" / "word").exists()
