"""Looking for what a product shouldn't tell: where and by whom it was made."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from pathlib import Path

USER = "anna.unmistakable"
"""Name of the user in whose name stages of these tests run."""


def telling(folder: Path, secrets: Iterable[str], leave_out: Iterable[str] = ()) -> list[str]:
    """Return the files below a folder that hold a secret, and which; folders may be left out."""
    words = "|".join(re.escape(secret) for secret in secrets)
    secret = re.compile(words.encode())
    left_out = set(leave_out)
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and not left_out & set(inside.parts):
            said = sorted(set(secret.findall(path.read_bytes())))
            found += [f"{inside}: {word!r}" for word in said]
    return found


def host() -> list[str]:
    """Return the machine's name, if it is one that can't be another word."""
    name = socket.gethostname()
    return [name] if len(name) >= 6 and not name.isalpha() else []
