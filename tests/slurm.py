"""Stand-ins for the commands of Slurm, which do on this machine what those would do on a cluster.

`python slurm.py COMMAND ARGUMENTS…`, with a folder of its own in STAND_IN. A job runs at once, and sbatch waits for it.
When the file `signal` is there, the jobs that run get the signal that they asked for, once, where they asked for it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HOME = Path(os.environ["STAND_IN"])
OF_A_JOB = {
    "job-name": r"[\w-]+",
    "array": r"\d+-\d+",
    "dependency": "singleton",
    "nodes": r"\d+",
    "ntasks": r"\d+",
    "ntasks-per-node": r"\d+",
    "gpus": r"\d+",
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[MG]",
    "time": r"\d\d:\d\d:\d\d",
    "signal": r"(B:)?(TERM|USR1)@\d+",
    "requeue": "",
    "open-mode": "append|truncate",
    "output": r"[\w%-]+\.log",
}
OF_A_STEP = {"nodes": r"\d+", "ntasks": r"\d+", "nodelist": r"[\w-]+", "exclude": r"[\w-]+"}


def options(words: list[str], known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Options that come first, and the rest."""
    found = {}
    while words and words[0].startswith("-"):
        name, _, value = words[0].removeprefix("--").partition("=")
        if name not in known or not re.fullmatch(known[name], value):
            sys.exit(f"error: unknown option or value: {words[0]}")
        found[name] = value
        words = words[1:]
    return found, words


def sbatch(words: list[str]) -> int:
    """Run a script as a job, or as one job a task of an array, side by side; again as long as it asks for that."""
    typed, (script, *arguments) = options(words, OF_A_JOB)
    written = {}
    for line in Path(script).read_text("utf-8").splitlines():
        if line.startswith("#SBATCH "):
            written |= options(line.split()[1:], OF_A_JOB)[0]
        elif line and not line.startswith("#"):
            break
    chosen = written | typed
    first, _, last = chosen.get("array", "0-0").partition("-")
    tasks = {_number(): task for task in range(int(first), int(last) + 1)}
    waiting = dict(tasks)
    signalled = False
    running: dict[str, subprocess.Popen[bytes]] = {}
    signal.signal(signal.SIGTERM, lambda *_: [shell.terminate() for shell in running.values()] and sys.exit(1))
    while waiting or running:
        for job, task in waiting.items():
            running[job] = _began(job, task, script, arguments, chosen)
        waiting = {}
        if (HOME / "signal").exists() and not signalled:
            signalled = True
            (HOME / "signal").unlink()
            for job, shell in running.items():
                _signal(job, shell, chosen["signal"])
        for job in [job for job, shell in running.items() if shell.poll() is not None]:
            code = running.pop(job).returncode
            (HOME / "ends").open("a").write(f"{job} {code}\n")
            if (HOME / f"requeue-{job}").exists():
                (HOME / f"requeue-{job}").unlink()
                waiting[job] = tasks[job]
        time.sleep(0.05)
    return 0  # that they were submitted


def _number() -> str:
    number = 10 * os.getpid()  # of no other cluster on this machine: Ray's port follows from it
    while True:
        with suppress(FileExistsError):
            (HOME / f"job-{number}").mkdir()
            return str(number)
        number += 1


def _began(job: str, task: int, script: str, arguments: list[str], chosen: dict[str, str]) -> subprocess.Popen[bytes]:
    nodes = int(chosen.get("nodes", "1"))
    given = {
        "SLURM_JOB_ID": job,
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_JOB_NODELIST": f"node[0-{nodes - 1}]",
        "SLURM_CPUS_PER_TASK": os.environ.get("STAND_IN_CPUS", chosen.get("cpus-per-task", "1")),
        "SLURM_GPUS_ON_NODE": "0",
    }
    log = (HOME / f"job-{job}" / "log").open("ab")
    words = ["bash", script, *arguments]
    return subprocess.Popen(words, env=os.environ | given, stdout=log, stderr=log, start_new_session=True)


def _signal(job: str, shell: subprocess.Popen[bytes], asked: str) -> None:
    target, _, name = asked.partition("@")[0].rpartition(":")
    number = getattr(signal, f"SIG{name}")
    if target == "B":
        shell.send_signal(number)
    else:
        for task in (HOME / f"job-{job}").glob("task-*"):
            os.kill(int(task.name.removeprefix("task-")), number)


def srun(words: list[str]) -> int:
    """Run a command as often as there are tasks, pass signals on, and end as the worst of them does."""
    chosen, command = options(words, OF_A_STEP)
    job = HOME / f"job-{os.environ['SLURM_JOB_ID']}"
    tasks = [
        subprocess.Popen(command, env=os.environ | {"SLURM_PROCID": str(number)}, start_new_session=True)
        for number in range(int(chosen.get("ntasks", "1")))
    ]
    for task in tasks:
        (job / f"task-{task.pid}").touch()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: [task.send_signal(number) for task in tasks])
    codes = [task.wait() for task in tasks]
    for task in tasks:
        (job / f"task-{task.pid}").unlink()
    return max(code if code >= 0 else 128 - code for code in codes)


def scontrol(words: list[str]) -> int:
    """Ask for another turn of a job, or write the names of nodes one a line."""
    if words[0] == "requeue" and len(words) == 2:
        (HOME / f"requeue-{words[1]}").touch()
    elif words[:2] == ["show", "hostnames"] and (found := re.fullmatch(r"node\[0-(\d+)\]", words[2])):
        print(*(f"node{number}" for number in range(int(found[1]) + 1)), sep="\n")
    else:
        sys.exit(f"error: {words}")
    return 0


if __name__ == "__main__":
    sys.exit({"sbatch": sbatch, "srun": srun, "scontrol": scontrol}[sys.argv[1]](sys.argv[2:]))
