"""Products of a run in a bucket, where no two runs overwrite each other's unnoticed.

Every object is written on a condition: that there is none (If-None-Match), or that the one there is
that which this run wrote before (If-Match). `published.json`, written last, states what belongs
together; by it a later publication knows what it replaces, so that nothing is ever listed.

Source: Amazon S3, How to prevent object overwrites with conditional writes.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floodloom.acquire.bucket import open_bucket, parts_of, reason_of
from floodloom.errors import InputError
from floodloom.files import read_json, require_file, write_json
from floodloom.log import get_logger

if TYPE_CHECKING:
    from obstore.store import S3Store

MANIFEST = "published.json"
"""Name of what states the objects of a publication, in the bucket and beside the results."""
PRODUCTS = ("report.html", "map.html", "collection.json", "maps", "mosaics", "evaluation")
"""Files and folders of a run that are published unless all is asked for."""
_LEFT_OUT = {"logs", "benchmarks", MANIFEST}
_TYPES = {".tif": "image/tiff; application=geotiff; profile=cloud-optimized"}
_TYPES |= {".gpkg": "application/geopackage+sqlite3", ".fgb": "application/vnd.flatgeobuf"}

_log = get_logger(__name__)


def publish(*, results: Path, to: str, everything: bool = False, replace: bool = False) -> None:
    """Write the products of a run to a bucket, and nothing over what another run has written.

    A publication that was cut off goes on; one of a run that has changed replaces its own objects
    and removes those that it has no longer. Nothing is listed. Credentials are those of the
    environment or the machine's role.

    Parameters
    ----------
    results
        Folder of a run that has finished, such as results/demo.
    to
        s3://bucket/prefix, beneath which the objects get the names of the files.
    everything
        Publish stores, tiles and checkpoints, too; else report, maps, probabilities and scores.
    replace
        Take the place of what another run has published there.

    Raises
    ------
    InputError
        If there are no products, the bucket can't be written to, or another run has written there.
    """
    require_file(results / "report.html", "the report of a finished run")
    bucket, prefix = parts_of(to)
    place = _Prefix(open_bucket(bucket), bucket, prefix)
    theirs = place.manifest()
    ours = read_json(results / MANIFEST) if (results / MANIFEST).is_file() else {}
    if theirs.tag is not None and ours != theirs.as_published(to) and not replace:
        raise InputError(
            f"{to}: another run has published there; give another prefix, or --replace"
        )
    objects: dict[str, dict[str, str]] = {}
    for name, file in _files(results, everything):
        objects[name] = place.write(name, file.read_bytes(), theirs.objects.get(name), replace)
    tag = place.commit(objects, theirs)
    write_json(results / MANIFEST, {"to": to, "e_tag": tag})
    place.remove(theirs.objects.keys() - objects.keys())
    _log.info("%s: %d objects", to, len(objects))


def _files(results: Path, everything: bool) -> Iterable[tuple[str, Path]]:
    """Yield names and files; links aren't followed out of the run."""
    for file in sorted(results.rglob("*")):
        name = file.relative_to(results)
        wanted = name.parts[0] not in _LEFT_OUT if everything else name.parts[0] in PRODUCTS
        if wanted and file.is_file() and not file.is_symlink():
            yield name.as_posix(), file


@dataclass(frozen=True)
class _Manifest:
    """What a prefix states to hold, and the tag of that statement; None where there is none."""

    objects: Mapping[str, Mapping[str, str]]
    tag: str | None

    def as_published(self, to: str) -> dict[str, str | None]:
        """Return what a run remembers of having written this."""
        return {"to": to, "e_tag": self.tag}


@dataclass(frozen=True)
class _Prefix:
    """Objects beneath a prefix of a bucket."""

    store: S3Store
    bucket: str
    prefix: str

    def manifest(self) -> _Manifest:
        """Read what has been published."""
        found = self._read(MANIFEST)
        if found is None:
            return _Manifest({}, None)
        content, tag = found
        try:
            return _Manifest(dict(json.loads(content)["objects"]), tag)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(
                f"{self._shown(MANIFEST)}: not what floodloom publishes; give another prefix"
            ) from None

    def write(
        self, name: str, content: bytes, known: Mapping[str, str] | None, replace: bool
    ) -> dict[str, str]:
        """Write an object, unless its content is there, and return what the manifest states."""
        digest = hashlib.sha256(content).hexdigest()
        if known is not None and known.get("sha256") == digest:
            return dict(known)
        tag = self._put(name, content, None if known is None else known.get("e_tag"))
        if tag is None:
            there = self._read(name)
            if there is not None and there[0] == content:  # by a publication that was cut off
                tag = there[1]
            elif replace:
                tag = self._put(name, content, None if there is None else there[1])
        if tag is None:
            raise InputError(
                f"{self._shown(name)}: another run has written it; give another prefix, or "
                "--replace"
            )
        return {"sha256": digest, "e_tag": tag}

    def commit(self, objects: Mapping[str, Mapping[str, str]], replaced: _Manifest) -> str:
        """State what belongs together, in the place of the statement that was read."""
        content = json.dumps({"objects": objects}, indent=1, sort_keys=True).encode()
        tag = self._put(MANIFEST, content, replaced.tag)
        if tag is None:
            raise InputError(
                f"{self._shown(MANIFEST)}: another run has published there meanwhile; look which "
                "of the two is wanted, and publish that with --replace"
            )
        return tag

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects that no manifest states any longer."""
        from obstore.exceptions import BaseError

        for name in sorted(names):
            try:
                self.store.delete(self._key(name))
            except (FileNotFoundError, BaseError) as error:
                _log.warning("%s: not removed (%s)", self._shown(name), reason_of(error))

    def _put(self, name: str, content: bytes, tag: str | None) -> str | None:
        """Write an object where there is none, or over that of a tag; None where that fails."""
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        mode: Any = "create" if tag is None else {"e_tag": tag}
        kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
        attributes: Any = {} if kind is None else {"Content-Type": kind}
        try:
            found = self.store.put(self._key(name), content, mode=mode, attributes=attributes)
        except (AlreadyExistsError, PreconditionError):
            return None
        except (OSError, BaseError) as error:
            raise self._failure(name, "written", error) from None
        if found["e_tag"] is None:
            raise InputError(f"s3://{self.bucket}: gives objects no ETag; use another server")
        return str(found["e_tag"])

    def _read(self, name: str) -> tuple[bytes, str] | None:
        from obstore.exceptions import BaseError

        try:
            found = self.store.get(self._key(name))
            return bytes(found.bytes()), str(found.meta["e_tag"])
        except FileNotFoundError:
            return None
        except (OSError, BaseError) as error:
            raise self._failure(name, "read", error) from None

    def _failure(self, name: str, what: str, error: Exception) -> InputError:
        return InputError(
            f"{self._shown(name)}: can't be {what} ({reason_of(error)}); check bucket, endpoint "
            "and credentials"
        )

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def _shown(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}/{name}"
