"""Memory that is kept for the next layer, and given back between windows."""

from __future__ import annotations

import subprocess
import sys

HOLES = """
import numpy as np
from floodloom.learning.network import keep_memory, return_memory

def resident():
    with open("/proc/self/statm") as status:
        return int(status.read().split()[1]) * 4096 / 2**20

keep_memory()
blocks = [np.ones(2**17) for _ in range(200)]  # 1 MiB each
last = blocks[-1]
del blocks
kept = resident()
return_memory()
print(round(kept - resident()))
"""


def test_what_is_freed_between_what_lives_on_goes_back() -> None:
    run = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    assert int(run.stdout) > 150
