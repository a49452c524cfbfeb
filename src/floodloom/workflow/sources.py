"""Where inputs come from, and whether they have changed."""

from __future__ import annotations

import atexit
import hashlib
import json
import math
import os
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from floodloom.config.load import load_config, load_scenes
from floodloom.errors import ConfigError, InputError
from floodloom.files import write_json
from floodloom.log import get_logger
from floodloom.sentinel1.producers import find_product
from floodloom.texts import redact


def stand_in(source: str) -> str:
    """Return what stands for a source in the parameters of a job.

    Parameters
    ----------
    source
        Path or address.

    Returns
    -------
    str
        The source itself, or, if it may hold a secret, what `redact` leaves and a digest of all
        of it, so that another address is another parameter.
    """
    bare = redact(source)
    digest = hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:16]
    return source if bare == source else f"{bare} {digest}"


def source_of(config: Mapping[str, Any], scene: str, parameter: str) -> str:
    """Look up the source of a scene in the sheet.

    Parameters
    ----------
    config
        The parsed configuration.
    scene
        Name of the scene.
    parameter
        What stands for its source.

    Raises
    ------
    ConfigError
        If the sheet now has something else than when the job was planned.
    """
    found = load_scenes(load_config(config)).get(scene)
    if found is None or stand_in(found.source) != parameter:
        raise ConfigError(f"scene {scene}: its source was changed during the run; start it again")
    return found.source


_SETTLED_NS = 2_000_000_000
"""Age from which a file's times show a later change: clocks of file systems are coarse."""
_REMEMBER_S = 1.0
"""Seconds between two writings of the memory."""
_ANNOUNCED = 1 << 30
"""Bytes to be read from which a person wants to know what is being waited for."""
_SIDECARS = re.compile(
    r"\.(aux|prj|hdr|rrd|[a-z]{1,3}w|wld|dbf|shx|cpg|sbn|sbx|qix)$", re.IGNORECASE
)
_STATISTICS = re.compile(
    r'<MDI key="STATISTICS_[^<]*</MDI>|<Histograms>.*?</Histograms>'
    r"|</?(PAMDataset|PAMRasterBand|Metadata)( [^>]*)?/?>|<\?xml[^>]*>|\s+",
    re.DOTALL,
)


class Sources:
    """Digests of files and folders.

    Parameters
    ----------
    memory
        File that keeps digests from one run to the next; losing it costs time and nothing else.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory.absolute()  # written at the end, wherever that is
        self._known: dict[str, list[int | str]] = _recall(memory)
        self._digests: dict[Path, str] = {}
        self._folders: dict[Path, list[str]] = {}
        self._unsaved = False
        self._saved_s = -math.inf
        atexit.register(self._remember)

    def digest(self, path: str | Path) -> str:
        """Hash the content of a source.

        Parameters
        ----------
        path
            A file with all that belongs to it (sidecars, the other files of a product, what a VRT
            names), or a folder with all that lies in it.

        Returns
        -------
        str
            Hexadecimal digits; the same for the same content under the same names, whatever the
            times of the files. Of a source that isn't there, `missing`.
        """
        path = Path(path)
        if path not in self._digests:
            self._digests[path] = self._of(path)
        return self._digests[path]

    def listing(self, folder: str | Path) -> str:
        """Hash names, sizes and times of all files of a folder, without reading them.

        Parameters
        ----------
        folder
            A data set of perhaps a hundred thousand files.

        Returns
        -------
        str
            Hexadecimal digits.
        """
        folder = Path(folder)
        total = hashlib.sha256()
        for file in _inside(folder):
            state = file.stat()
            total.update(
                f"{file.relative_to(folder)}\0{state.st_size}\0{state.st_mtime_ns}\0".encode()
            )
        return total.hexdigest()[:16]

    def _of(self, path: Path) -> str:
        files = list(dict.fromkeys(belonging(path, self._names)))
        if not files:
            return "missing"
        digests = {file: self._recalled(file) for file in files}
        unread = [file for file, digest in digests.items() if digest is None]
        if unread:
            _announce(path, unread)
            with ThreadPoolExecutor(min(len(unread), os.cpu_count() or 1)) as pool:
                digests.update(zip(unread, pool.map(self._read, unread), strict=True))
        # A memory of thousands of sources isn't written anew for each of them.
        if time.monotonic() - self._saved_s > _REMEMBER_S:
            self._remember()
        names = [os.path.relpath(file, path.parent) for file in files]
        named = zip(names, digests.values(), strict=True)
        text = "".join(f"{name}\0{digest}\0" for name, digest in named if digest)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _names(self, folder: Path) -> list[str]:
        """List a folder, once: many sources may lie in it."""
        if folder not in self._folders:
            self._folders[folder] = _list(folder)
        return self._folders[folder]

    def _recalled(self, file: Path) -> str | None:
        known = self._known.get(str(file.absolute()))
        return str(known[-1]) if known is not None and known[:-1] == _state(file) else None

    def _read(self, file: Path) -> str:
        state = _state(file)
        began = time.time_ns()
        digest = _hash(file)
        settled = max(state[1], state[2]) < began - _SETTLED_NS
        if settled and _state(file) == state:
            self._known[str(file.absolute())] = [*state, digest]
            self._unsaved = True
        return digest

    def _remember(self) -> None:
        if not self._unsaved:
            return
        # What can't be kept is read again next time.
        with suppress(OSError):
            write_json(self._memory, {**_recall(self._memory), **self._known})
        self._unsaved, self._saved_s = False, time.monotonic()


def _announce(path: Path, unread: list[Path]) -> None:
    size = sum(file.stat().st_size for file in unread)
    if size > _ANNOUNCED:
        get_logger(__name__).warning("%s: reading %.0f GB once for its digest", path, size / 1e9)


def _list(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder))


def belonging(path: Path, names: Callable[[Path], list[str]] = _list) -> Iterator[Path]:
    """Yield the files that make up a source, in order.

    Parameters
    ----------
    path
        File or folder.
    names
        Gives the sorted names in a folder.

    Yields
    ------
    Path
        Of a folder all files in it; of a file itself, its sidecars, and the other files of the
        product that it is of, with those that a VRT names.
    """
    if path.is_dir():
        yield from _inside(path)
        return
    if not path.is_file():
        return
    yield path
    beside = names(path.parent)
    for name in beside[bisect_left(beside, path.stem) :]:
        if not name.startswith(path.stem):
            break
        file = path.parent / name
        if name != path.name and _is_sidecar(file, path) and file.is_file():
            yield file
    with suppress(InputError):
        yield from find_product(path).files


def _inside(folder: Path) -> Iterator[Path]:
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()  # links that go round
            continue
        seen.add(real)
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(place, name)).is_file())


def _is_sidecar(file: Path, path: Path) -> bool:
    if file.name.startswith(f"{path.name}."):
        return True
    return file.stem in (path.stem, path.name) and _SIDECARS.search(file.name) is not None


def _state(file: Path) -> list[int]:
    """Size and times; that of the last change of the inode can't be set back."""
    state = file.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def _hash(file: Path) -> str:
    if file.name.endswith(".aux.xml"):
        # A GIS writes statistics beside a raster that it only shows.
        content = _STATISTICS.sub("", file.read_text(errors="replace"))
        return hashlib.sha256(content.encode()).hexdigest()[:16] if content else ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _recall(memory: Path) -> dict[str, list[int | str]]:
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(content) if isinstance(content, dict) else {}
