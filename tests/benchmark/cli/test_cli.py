"""The harness end to end, through the command line, on a tiny drawn data set and a method that really trains."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from program import Program, program

from nferbench import __version__

HERE = Path(__file__).parents[2]
TOY = HERE / "plugins" / "toy.py"
FAULTY = HERE / "plugins" / "faulty.py"
SMALL = ("--dataset", "toy", "--extra", "toy-extra", "--folds", "2", "--set", "fer-models.smallcnn.epochs=1")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nferbench", *arguments]


def run(*arguments: str, code: int = 0) -> str:
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr or code == 1
    return done.stdout + done.stderr


def words(workspace: Path, methods: str, *more: str) -> list[str]:
    return ["run", "--plugin", str(TOY), "--workspace", str(workspace), "--methods", methods, *SMALL, *more]


def bench(workspace: Path, methods: str, *more: str, code: int = 0) -> str:
    return run(*words(workspace, methods, *more), code=code)


def numbers(workspace: Path) -> dict[str, str]:
    """A digest of every result in a workspace, whatever it cost."""
    found = {}
    for file in sorted(workspace.glob("*/*/*")):
        if file.suffix in (".csv", ".npy", ".safetensors") and file.parts[-3] not in ("partial", "damaged"):
            found[f"{file.parent.name}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace made by processes that load everything themselves, whose numbers are those of all others."""
    workspace = tmp_path_factory.mktemp("finished")
    call = command(*words(workspace, "none,toy-regression"))
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


def test_help_is_quick_to_import() -> None:
    heavy = "('torch', 'pandas', 'diffusers', 'numpy')"
    code = f"import sys; from nferbench.cli.app import app; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    assert "run" in subprocess.run(command("--help"), capture_output=True, text=True).stdout


def test_the_version_is_told() -> None:
    done = subprocess.run(command("--version"), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"nferbench {__version__}\n", "")


def test_a_finished_run_does_nothing_again(finished: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished.rglob("*") if file.parent.name != "records"}
    assert "nothing to do: all" in bench(finished, "none,toy-regression")
    after = {file: file.stat().st_mtime_ns for file in finished.rglob("*") if file.parent.name != "records"}
    assert {file: at for file, at in after.items() if file.is_file()} == {
        file: at for file, at in before.items() if file.is_file()
    }


def test_built_in_plans_need_no_torch(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from nferbench.planning.settings import Request, resolve
from nferbench.planning.plan import plan_work
from nferbench.planning.status import statuses
from nferbench.planning.plugins import load_plugins
from nferbench.workspace.store import Store

store = Store(Path(sys.argv[1]))
work = plan_work(resolve(Request(methods=("all", "ablation")), load_plugins()), {}, store, "")
print(len(statuses(work, store)) > 100, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == "True False", done.stderr


def test_scores_and_predictions_are_stored_per_image(finished: Path) -> None:
    scores = list(csv.DictReader(next(finished.glob("quality/toy-regression*/scores.csv")).open()))
    assert len(scores) == 6 and float(scores[0]["psnr"]) > 0
    predictions = list(
        csv.DictReader(next(finished.glob("recognition/smallcnn-toy-regression*/predictions.csv")).open())
    )
    assert {row["predicted"] for row in predictions} <= {"happiness", "sadness"}
    assert len(predictions) == 6


def test_a_report_comes_from_what_is_stored(finished: Path) -> None:
    text = run("report", "--workspace", str(finished))
    assert "Regression" in text and "Without translation" in text and "NIR only" in text
    assert " folds, seed " in text and ", crop given, " in text
    assert "| Method" not in text and max(map(len, text.split("written: ")[0].splitlines())) <= 80
    assert (finished / "report" / "tables.csv").is_file()
    assert list((finished / "report").glob("*.png"))
    sure = list(csv.DictReader((finished / "report" / "calibration.csv").open()))
    assert [(row["folds"], float(row["brier"]) > 0) for row in sure] == [("2", True)] * len(sure) != []


def test_markdown_is_printed_where_it_is_asked_for(finished: Path) -> None:
    text = run("report", "--workspace", str(finished), "--markdown")
    assert text.startswith((finished / "report" / "report.md").read_text("utf-8"))


def test_a_study_is_one_command_and_one_figure(finished: Path, tmp_path: Path) -> None:
    preset, workspace = tmp_path / "study.yaml", tmp_path / "runs"
    preset.write_text("base: quick\nstudies: [{use: toy-regression, vary: grain, values: [0.05, 2], name: grain}]\n")
    shutil.copytree(finished, workspace)
    said = bench(workspace, "toy-regression,studies", "--preset", str(preset))
    assert "12 to run; 2 network trainings instead of 6 without sharing" in said  # 0.05 is what the method has
    text = run(
        "report", "--markdown", "--workspace", str(workspace), "--replace"
    )  # the other preset's, which came with the copy
    assert "grain: varied: grain of toy-regression, 0.05, 2, where it has 0.05; held: all else." in text
    assert "](study-toy.png)" in text and "Regression, grain" not in text
    studies, tables = (
        list(csv.DictReader((workspace / "report" / f"{name}.csv").open())) for name in ("studies", "tables")
    )
    heights = {(line["value"], line["metric"]): line["pooled"] for line in studies}
    whole = {line["metric"]: line["pooled"] for line in tables if line["method"] == "toy-regression"}
    for metric in ("lpips", "psnr", "ssim", "accuracy"):
        assert heights["0.05", metric] == whole[metric]
    assert float(heights["2", "psnr"]) < float(heights["0.05", "psnr"])


def test_faces_too_small_for_lpips_keep_their_other_scores(tmp_path: Path) -> None:
    bench(tmp_path, "none", "--set", "size=16", "--allow-leaks")  # discs of 16 px are much alike
    for file in tmp_path.glob("quality/*/scores.csv"):
        for row in csv.DictReader(file.open()):
            assert row["lpips"] == "" and float(row["psnr"]) > 0 and float(row["ssim"]) > -1
    said = run("report", "--markdown", "--workspace", str(tmp_path))
    assert "none of 2 folds: no LPIPS: its network needs faces of at least 31 px, these have 16" in said


def test_results_depend_neither_on_batch_nor_order_nor_workers(finished: Path, tmp_path: Path) -> None:
    bench(tmp_path, "toy-regression,none", "--batch", "3", "--jobs", "1")
    assert numbers(tmp_path) == numbers(finished)


def test_killed_at_random_moments_a_run_ends_with_the_same_numbers(finished: Path, tmp_path: Path) -> None:
    rng = random.Random(7)
    kept: dict[str, int] = {}
    for _ in range(4):
        begun = Program(*words(tmp_path, "none,toy-regression"))
        time.sleep(rng.uniform(0.6, 1.8))
        os.kill(begun.pid, signal.SIGKILL)  # the runner alone: its workers must end by themselves
        begun.ended()
        now = {str(file): file.stat().st_mtime_ns for file in tmp_path.glob("*/*/stage.json")}
        assert kept.items() <= now.items()  # nothing that was committed is done twice
        kept = now
    bench(tmp_path, "none,toy-regression")
    assert numbers(tmp_path) == numbers(finished)


def test_a_damaged_entry_is_set_aside_and_done_again(finished: Path, tmp_path: Path) -> None:
    bench(tmp_path, "none,toy-regression")
    victim = next(tmp_path.glob("translations/toy-regression-toy-test*/images.npy"))
    victim.write_bytes(victim.read_bytes()[:100])
    assert "damaged" in run(
        "plan", "--plugin", str(TOY), "--workspace", str(tmp_path), "--methods", "toy-regression", *SMALL
    )
    text = bench(tmp_path, "none,toy-regression")
    assert "100 bytes where" in text and "set aside" in text
    assert numbers(tmp_path) == numbers(finished)


def test_results_that_changed_places_are_done_again_and_never_exchanged(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    first, second = sorted(copy.glob("quality/*-fold0-*"))
    for source, target in ((first, tmp_path / "aside"), (second, first), (tmp_path / "aside", second)):
        source.rename(target)
    told = run("report", "--markdown", "--workspace", str(copy), "--out", str(tmp_path / "report"))
    assert "holds the results of another stage" in told
    again = bench(copy, "none,toy-regression")
    assert again.count("holds the results of another stage") == 2 and "2 stages done, 0 not" in again
    assert numbers(copy) == numbers(finished)


def test_a_report_can_be_read_through_a_pipe_of_few_letters(finished: Path) -> None:
    call = command("report", "--workspace", str(finished))
    done = subprocess.run(call, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, timeout=60)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("latin-1")
    assert "NIR only (no extra set)°" in text and "\\u2193" in text  # an arrow
    assert "\n" + "-" * 60 in text and "\\u2500" not in text  # rules are as wide as they are elsewhere


def test_plan_says_why_a_stage_would_run(finished: Path) -> None:
    where = ("--plugin", str(TOY), "--workspace", str(finished), "--methods", "toy-regression", *SMALL)
    assert run("plan", *where).count("done") > 5
    text = run("plan", *where, "--set", "methods.toy-regression.network.lr=0.01")
    assert "to run   networks network-toy-fold0  (recipe.lr 0.05 -> 0.01)" in text
    assert "waits for networks network-toy-fold0" in text
    assert "of disk" in text


def test_faulty_plugins_cost_their_own_rows_only(tmp_path: Path) -> None:
    names = ",".join(
        f"faulty-{what}" for what in ("shape", "nan", "text", "memory", "device", "kill", "gradient", "raise")
    )
    text = bench(tmp_path, f"none,{names}", "--plugin", str(FAULTY), code=1)
    for part in (
        "translator 'faulty-shape' returned shape (6, 1, 32, 32) for faces of shape (6, 3, 32, 32)",
        "diverged: translator 'faulty-nan' returned NaN or infinity",
        "translator 'faulty-text' returned str",
        "out-of-memory",
        "AcceleratorError: CUDA error: an illegal memory access was encountered (faulty.py, line",
        "the worker was replaced",
        "killed: its process ended with signal 9",
        "KeyError: 'a bug of the plugin' (faulty.py, line",
        "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn (faulty.py, line",
        "more stages wait for these",
    ):
        assert part in text, text
    assert len(list(tmp_path.glob("quality/none-*"))) == 2
    statuses = {json.loads(file.read_text())["status"] for file in tmp_path.glob("failures/*.json")}
    assert statuses == {"failed", "diverged", "out-of-memory", "killed", "waiting"}


def test_a_full_disk_is_one_clear_line_and_loses_nothing(finished: Path, tmp_path: Path) -> None:
    def little_room() -> None:  # no file above 30 kB: the prepared faces do not fit
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    call = command(*words(tmp_path, "none,toy-regression"))
    done = subprocess.run(call, capture_output=True, text=True, timeout=300, preexec_fn=little_room)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "make room and start the same command again" in done.stderr and "Traceback" not in done.stdout + done.stderr
    bench(tmp_path, "none,toy-regression")
    assert numbers(tmp_path) == numbers(finished)


def test_landmarks_that_are_missing_are_told_before_any_training(tmp_path: Path) -> None:
    plugins = ("--plugin", str(TOY), "--workspace", str(tmp_path))
    text = run("run", *plugins, "--methods", "pix2pix,nfer-sde", *SMALL, code=2)
    assert "error: the landmark network of E_h needs faces with landmarks" in text
    assert "lambda_h=0" in text
    assert not list(tmp_path.glob("*/*/stage.json"))


def test_ctrl_c_ends_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(*words(tmp_path, "toy-regression")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("faces/*/stage.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "interrupted; what is done stays" in text and "Traceback" not in text
    assert list(tmp_path.glob("faces/*/stage.json"))


def together(workspace: Path) -> list[Program]:
    """Three identical runs of one fold, started at once."""
    return [Program(*words(workspace, "none,toy-regression", "--fold", "0", "--jobs", "1")) for _ in range(3)]


def done_by_it(text: str) -> list[str]:
    """The stages that a run did itself, as it tells them."""
    return re.findall(r"^ *\d+/\d+ (.*)  \d+\.\d s  \(about", text, re.MULTILINE)


def test_identical_runs_divide_the_work(finished: Path, tmp_path: Path) -> None:
    texts = []
    for begun in together(tmp_path):
        done = begun.ended()
        texts.append(done.stdout + done.stderr)
        assert done.returncode == 0, texts[-1]
    did = [stage for text in texts for stage in done_by_it(text)]
    assert len(did) == len(set(did)) == len(list(tmp_path.glob("*/*/stage.json")))
    assert any("  done by another run  " in text or "nothing to do" in text for text in texts)
    assert numbers(tmp_path).items() <= numbers(finished).items()
    assert len(list(tmp_path.glob("records/*.json"))) == 1
    assert not list(tmp_path.glob("locks/*")) and not list(tmp_path.glob("partial/*"))


def test_one_of_several_runs_is_killed_and_the_others_finish(finished: Path, tmp_path: Path) -> None:
    first, *others = together(tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("faces/*/stage.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    assert first.ended().returncode == -signal.SIGKILL
    for begun in others:
        done = begun.ended()
        assert done.returncode == 0 and "0 not." in done.stdout, done.stdout + done.stderr
    assert numbers(tmp_path).items() <= numbers(finished).items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "nferSDE"), "unknown method 'nferSDE'; did you mean 'nfer-sde'?"),
        (("--dataset", "oulu"), "unknown data set 'oulu'"),
        (("--preset", "quickest"), "unknown preset 'quickest'; did you mean 'quick'?"),
        (("--set", "methods.pix2pix.l1=3"), "methods.pix2pix has no field 'l1'"),
        (("--dataset", "manifest"), "needs the folder that holds manifest.csv; give --data-root"),
        (("--dataset", "manifest", "--data-root", "/nowhere"), "is not a directory; give --data-root PATH"),
        (("--set", "datasets.synthetic-hfe.subjects=1"), "one subject cannot make 5 folds"),
        (("--device", "cuda"), "no CUDA device was found"),
        (("--methods", ""), "no methods named"),
    ],
)
def test_bad_use_is_one_clear_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    text = run("run", "--workspace", str(tmp_path), *arguments, code=2)
    assert message in text
    assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1
    assert not list(tmp_path.glob("*/*/stage.json"))
