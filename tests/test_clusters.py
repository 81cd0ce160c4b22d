"""The scripts of docs/clusters do what the page says, as written, with stand-ins for the commands of Slurm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "docs" / "clusters"
PLUGINS = ROOT / "tests" / "plugins"
RUN = (
    *("--plugin", str(PLUGINS / "toy.py"), "--plugin", str(PLUGINS / "slow.py"), "--methods", "slow"),
    *("--dataset", "toy", "--extra", "none", "--folds", "2", "--fold", "0", "--set", "fer-models.smallcnn.epochs=1"),
)

BEGUN: list[subprocess.Popen[str]] = []


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    """A folder with stand-ins, what they keep, and a PATH on which they are."""
    (tmp_path / "bin").mkdir()
    ray = Path(sys.executable).with_name("ray")
    calls = {name: f"{sys.executable} {ROOT}/tests/slurm.py {name}" for name in ("sbatch", "srun", "scontrol")}
    for name, call in (calls | {"nferbench": f"{sys.executable} -m nferbench", "ray": str(ray)}).items():
        file = tmp_path / "bin" / name
        file.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        file.chmod(0o755)
    yield tmp_path
    for process in BEGUN:
        process.terminate()
        process.wait(60)
    BEGUN.clear()


def begun(cluster: Path, *words: str | Path, **more: str) -> subprocess.Popen[str]:
    given = {
        "PATH": f"{cluster / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "STAND_IN": str(cluster),
        "SLOW_SIGN": str(cluster / "sign"),
    }
    process = subprocess.Popen(
        [*map(str, words), *RUN, "--workspace", str(cluster / "runs")],
        env=os.environ | given | more,
        cwd=cluster,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    BEGUN.append(process)
    return process


def wait_for(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not seen():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.1)


def trains(cluster: Path) -> bool:
    """Whether an update was begun after the faces were prepared; the look ahead does some before."""
    sign, prepared = cluster / "sign", list(cluster.glob("runs/faces/*/stage.json"))
    return bool(prepared) and sign.exists() and sign.stat().st_mtime > prepared[0].stat().st_mtime + 0.5


def logs(cluster: Path) -> list[str]:
    return [path.read_text("utf-8") for path in sorted(cluster.glob("job-*/log"))]


def ended(cluster: Path, process: subprocess.Popen[str]) -> list[str]:
    """The exit codes of all jobs in order of their ends, once all is done and nothing is held."""
    said = process.communicate(timeout=240)[0]
    assert process.returncode == 0, said + "\n".join(logs(cluster))
    assert len(list(cluster.glob("runs/quality/*/scores.csv"))) == 1
    assert not list(cluster.glob("runs/locks/*")) and not list(cluster.glob("runs/partial/*"))
    return [line.split()[1] for line in (cluster / "ends").read_text().splitlines()]


def trainings(cluster: Path) -> int:
    """How often the network was trained to its end."""
    return sum(len(re.findall(r"networks network-toy-fold0  [\d.]+ s", text)) for text in logs(cluster))


def test_the_array_divides_the_work_and_goes_on_after_its_time(cluster: Path) -> None:
    process = begun(cluster, "sbatch", "--array=0-1", SCRIPTS / "array.sbatch", SLOW_TRAIN="0.02")
    wait_for(lambda: trains(cluster), process)
    (cluster / "signal").touch()
    assert ended(cluster, process) == ["143", "143", "0", "0"]
    assert trainings(cluster) == 1
    assert any("stopped by SIGTERM; the same command goes on from its checkpoint" in text for text in logs(cluster))


def test_a_link_of_the_chain_goes_on_where_the_one_before_was_stopped(cluster: Path) -> None:
    process = begun(cluster, SCRIPTS / "chain.sh", "2", SLOW_TRAIN="0.02")
    wait_for(lambda: trains(cluster), process)
    (cluster / "signal").touch()
    assert ended(cluster, process) == ["143", "0"]
    assert trainings(cluster) == 1


def test_ray_is_started_on_all_nodes_and_stopped_at_the_end(cluster: Path) -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'nferbench[ray]'")
    process = begun(cluster, "sbatch", SCRIPTS / "ray.sbatch", STAND_IN_CPUS="1", SLOW_TRAIN="0.05")
    wait_for(lambda: trains(cluster), process)
    (cluster / "signal").touch()
    assert ended(cluster, process) == ["143", "0"]
    assert trainings(cluster) == 1
    (log,) = logs(cluster)
    assert log.count("Ray: 2 nodes with 2 CPUs and 0 GPUs") == 2
    assert "stopped by the run; the same command goes on from its checkpoint, update" in log
    assert not list(cluster.glob("job-*/task-*"))


def test_an_option_that_slurm_does_not_know_is_an_error(cluster: Path) -> None:
    script = cluster / "wrong.sbatch"
    script.write_text((SCRIPTS / "array.sbatch").read_text("utf-8").replace("--open-mode", "--opn-mode"))
    process = begun(cluster, "sbatch", script)
    assert "unknown option" in process.communicate(timeout=60)[0] and process.returncode == 1


@pytest.mark.parametrize("script", sorted(SCRIPTS.iterdir()), ids=lambda path: path.name)
def test_the_page_shows_the_scripts_as_they_are(script: Path) -> None:
    page = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    assert f"```bash\n{script.read_text('utf-8')}```" in page


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_scripts_are_clean() -> None:
    done = subprocess.run(["shellcheck", *sorted(SCRIPTS.iterdir())], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
