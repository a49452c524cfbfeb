"""A SLURM of one node on this machine, of Debian's packages, for as long as a test takes."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
CONFIG = Path("/etc/slurm/slurm.conf")
"""Where SLURM looks for its configuration in the jobs, too, which get no variables of its own."""
_SETTINGS = """\
ClusterName=floodloom
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait=5
MinJobAge=300
SlurmdTimeout=30
MpiDefault=none
SchedulerParameters=batch_sched_delay=0,sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return what this machine lacks for a SLURM of its own."""
    lacks = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if os.geteuid() != 0:
        lacks.append("root")
    if CONFIG.exists() and "ClusterName=floodloom" not in CONFIG.read_text():
        lacks.append(f"a free {CONFIG}")
    return lacks


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


@contextmanager
def slurm(folder: Path, *, cpus: int = 2, memory_mib: int = 6000) -> Iterator[None]:
    """Run a cluster of one node while the context is open.

    Parameters
    ----------
    folder
        For its state and logs.
    cpus, memory_mib
        What the node states to have.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname()
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(_SETTINGS.format(folder=folder, host=host, cpus=cpus, memory=memory_mib))
    authentication = _start_munge()
    try:
        start_daemon("slurmctld")
        start_daemon("slurmd")
        _wait_for("idle")
        yield
    finally:
        for name in ("slurmd", "slurmctld"):
            end_daemon(folder, name)
        if authentication is not None:
            authentication.terminate()
            authentication.wait()
        CONFIG.unlink()


def start_daemon(name: str) -> None:
    """Start one of SLURM's programs, which goes into the background."""
    subprocess.run([name], env={**os.environ, "PATH": _path()}, check=True, capture_output=True)


def end_daemon(folder: Path, name: str, number: int = 15) -> None:
    """End one of SLURM's programs."""
    file = folder / f"{name}.pid"
    if file.is_file():
        process = int(file.read_text())
        os.kill(process, number)
        while Path(f"/proc/{process}").exists():
            time.sleep(0.1)


def _start_munge() -> subprocess.Popen[bytes] | None:
    """Start what tells users apart, unless it runs."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return None
    user = pwd.getpwnam("munge")
    run = Path("/run/munge")
    run.mkdir(exist_ok=True)
    os.chown(run, user.pw_uid, user.pw_gid)
    process = subprocess.Popen(
        ["munged", "--foreground"], user=user.pw_uid, group=user.pw_gid, extra_groups=[],
        env={**os.environ, "PATH": _path()},
    )  # fmt: skip
    while subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
        time.sleep(0.1)
    return process


def _wait_for(state: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
        )
        if found.stdout.strip() == state:
            return
        time.sleep(0.2)
    raise TimeoutError(f"the node isn't {state}")
