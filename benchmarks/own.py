"""Taking figures in a process of their own, whose memory and threads nothing else has touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def own(module: str, *arguments: object, env: Mapping[str, str] | None = None) -> Any:
    """Run `python -m benchmarks.<module>` with arguments and return its last line."""
    return run([sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)], env=env)


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> Any:
    """Run a command whose last line is JSON and return that; `env` replaces the environment.

    Raises
    ------
    RuntimeError
        If it fails, with the end of its output.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    print(" ".join(command[-4:]), figures, flush=True)
    return figures
