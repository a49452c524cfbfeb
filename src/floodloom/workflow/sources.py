"""What a file from outside holds: a digest of its content, which is read again after a change only.

A source may be replaced by another file of the same name, size and time of modification, and a file
that was merely copied or touched is the same source as before: neither follows from the times that
a workflow engine compares.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from floodloom.errors import InputError
from floodloom.files import write_json
from floodloom.log import get_logger
from floodloom.sentinel1.rtc_products import RtcProduct, find_rtc

_SETTLED_NS = 2_000_000_000
"""Age from which a file's times tell a later change: clocks of file systems are coarse."""
_SAY_SO = 1 << 30
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
        self._memory = memory
        self._known: dict[str, list[int | str]] = _recall(memory)
        self._digests: dict[Path, str] = {}

    def digest(self, path: str | Path) -> str:
        """Hash the content of a source.

        Parameters
        ----------
        path
            A file with all that belongs to it (sidecars, the other files of a terrain-corrected
            product), or a folder with all that lies in it.

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
        files = list(dict.fromkeys(belonging(path)))
        if not files:
            return "missing"
        self._announce(path, files)
        with ThreadPoolExecutor(min(len(files), os.cpu_count() or 1)) as pool:
            digests = list(pool.map(self._content, files))
        self._remember()
        names = [os.path.relpath(file, path.parent) for file in files]
        named = zip(names, digests, strict=True)
        text = "".join(f"{name}\0{digest}\0" for name, digest in named if digest)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _content(self, file: Path) -> str:
        state = _state(file)
        key = str(file.absolute())
        known = self._known.get(key)
        if known is not None and known[:-1] == state:
            return str(known[-1])
        began = time.time_ns()
        digest = _hash(file)
        settled = max(state[1], state[2]) < began - _SETTLED_NS
        if settled and _state(file) == state:
            self._known[key] = [*state, digest]
        return digest

    def _announce(self, path: Path, files: list[Path]) -> None:
        unread = [f for f in files if self._known.get(str(f.absolute()), [])[:-1] != _state(f)]
        size = sum(file.stat().st_size for file in unread)
        if size > _SAY_SO:
            get_logger(__name__).warning(
                "%s: reading %.0f GB once for its digest", path, size / 1e9
            )

    def _remember(self) -> None:
        # What can't be kept is read again next time.
        with suppress(OSError):
            write_json(self._memory, {**_recall(self._memory), **self._known})


def belonging(path: Path) -> Iterator[Path]:
    """Yield the files that make up a source, in order.

    Parameters
    ----------
    path
        File or folder.

    Yields
    ------
    Path
        Of a folder all files in it; of a file itself, its sidecars, and the other files of a
        terrain-corrected product.
    """
    if path.is_dir():
        yield from _inside(path)
        return
    if not path.is_file():
        return
    yield path
    for file in sorted(path.parent.glob(f"{_literal(path.stem)}*")):
        if file != path and file.is_file() and _is_sidecar(file, path):
            yield file
    with suppress(InputError):
        yield from _files_of_product(find_rtc(path))


def _inside(folder: Path) -> Iterator[Path]:
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()  # links that go round
            continue
        seen.add(real)
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(place, name)).is_file())


def _literal(stem: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", stem)


def _is_sidecar(file: Path, path: Path) -> bool:
    if file.name.startswith(f"{path.name}."):
        return True
    return file.stem in (path.stem, path.name) and _SIDECARS.search(file.name) is not None


def _files_of_product(product: RtcProduct) -> Iterator[Path]:
    yield from product.bands.values()
    yield from product.angles.values()
    if product.mask is not None:
        yield product.mask


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
