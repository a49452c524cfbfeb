"""A Python whose processes are forks of one that has imported the libraries, but not floodloom.

Most of what a small job or a command takes is its start: interpreter, PyTorch, xarray, Snakemake.
Tests that look at what a run makes or says, not at how its processes start or are killed, run
`-m module` and scripts by `interpreter`. Each is a process of its own, with the arguments, folder,
environment and modules of floodloom that it is given; jobs of a run are forks as well.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARIES = (
    *("snakemake.cli", "snakemake.executors.local", "cyclopts", "pystac_client", "requests"),
    *("numba", "torch", "dask.array", "xarray", "zarr", "rasterio.vrt", "rasterio.warp", "pandas"),
    *("scipy.ndimage", "scipy.optimize", "scipy.spatial", "shapely"),
    *("PIL.Image", "safetensors.torch", "jinja2", "rich.progress"),
)
"""What is imported before the first request; what others import is imported after them."""
OWN = {"floodloom", "pyproj", "pyogrio", "geopandas", "odc", "exactextract", "rioxarray"}
"""What each fork imports for itself: floodloom, and PROJ, which keeps folders that it is told."""
_PLACES = tuple({os.path.realpath(sysconfig.get_path(key)) for key in ("stdlib", "purelib")})
_CLIENT = """#!{python} -IS
import array, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = [sys.argv[1:], os.getcwd(), dict(os.environ)]
    descriptors = array.array("i", [0, 1, 2])
    server.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    server.sendall(json.dumps(asked).encode() + b"\\n")
    status = int(server.makefile().readline() or -9)
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if status != -9 else None
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@cache
def interpreter() -> str:
    """Start the process that forks, once in each process of the tests; return what starts forks."""
    folder = tempfile.TemporaryDirectory(prefix="floodloom-warm-")
    address = f"{folder.name}/socket"
    client = Path(folder.name, "python")
    client.write_text(_CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, address, client],
        env=kept,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    def close() -> None:
        process.communicate()
        folder.cleanup()

    atexit.register(close)
    return str(client)


def serve(address: str, client: str) -> None:
    """Fork for each request, until standard input ends with the process of the tests."""
    for name in LIBRARIES:
        _import(name)
    importlib.import_module("numba").njit(lambda number: number)(1)  # the first takes long
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # none is waited for
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(32)
        print("ready", flush=True)
        while sys.stdin not in select.select([sys.stdin, server], [], [])[0]:
            _fork_when_asked(server, client)


def _fork_when_asked(server: socket.socket, client: str) -> None:
    names = Path(client).with_name("modules")
    with server.accept()[0] as asking:
        for name in names.read_text().split() if names.exists() else ():
            _import(name)
        assert not OWN & sys.modules.keys()
        gc.freeze()
        if os.fork() == 0:
            server.close()
            with suppress(OSError):  # who asked may have been killed
                _keep(asking, client, names)
            os._exit(0)


def _import(name: str) -> None:
    if name not in sys.modules:
        with suppress(Exception):
            importlib.import_module(name)


def _keep(asking: socket.socket, client: str, names: Path) -> None:
    """Work in a fork: tell how it ended, and end it when who asked has been killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, descriptors, _, _ = socket.recv_fds(asking, 1, 3)
    with asking.makefile("rb") as request:
        arguments, folder, environment = json.loads(request.readline())
    child = os.fork()
    if child == 0:
        asking.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        _end_as(arguments, client, names)
    for descriptor in descriptors:
        os.close(descriptor)
    ended = os.pidfd_open(child)
    if ended not in select.select([asking, ended], [], [])[0]:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    asking.sendall(f"{status}\n".encode())


def _end_as(arguments: list[str], client: str, names: Path) -> None:
    """Run what is asked for and end as a process does, but for the clearing of its memory."""
    sys.stdout, sys.stderr = (os.fdopen(n, "w", 1, closefd=False) for n in (1, 2))
    status = 1
    try:
        _run(arguments, client)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        with suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            _note_modules(names)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)


def _run(arguments: list[str], client: str) -> None:
    """Do as `python` does with these arguments."""
    first, *rest = arguments
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    place = str(Path.cwd()) if first == "-m" else str(Path(first).resolve().parent)
    sys.path[:0] = [place, *filter(None, own)]
    importlib.invalidate_caches()
    if first != "-m":
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")
        return
    sys.executable = client  # by which it starts others
    sys.argv = rest
    runpy.run_module(rest[0], run_name="__main__", alter_sys=True)


def _note_modules(names: Path) -> None:
    """Note what was imported, so that the next ones needn't; not modules of a project."""
    known = set(names.read_text().split()) if names.exists() else set()
    found = {name for name, module in list(sys.modules.items()) if _is_library(name, module)}
    if found - known:
        part = names.with_suffix(f".{os.getpid()}")
        part.write_text("\n".join(known | found))
        part.replace(names)


def _is_library(name: str, module: Any) -> bool:
    file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
    own = name.partition(".")[0] in {"__main__", "__mp_main__", *OWN}
    return bool(file) and not own and os.path.realpath(file).startswith(_PLACES)


if __name__ == "__main__":
    serve(*sys.argv[1:])
