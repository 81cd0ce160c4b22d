"""The commands that look after a workspace, as they are typed."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from program import program
from workspaces import Made, content, rows_of, two_rows

TOY = Path(__file__).parents[2] / "plugins" / "toy.py"


def call(*words: object, code: int = 0) -> str:
    done = program(*words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def made(tmp_path: Path) -> Made:
    made = Made(tmp_path / "w")
    two_rows(made)
    return made


def test_status_says_what_there_is_and_writes_nothing(made: Made) -> None:
    made.fail(made.named("quality", "broken"), reason="it fell over")
    before = content(made.root)
    text = call("status", "--workspace", made.root)
    assert "15 stages done, 0 at work, 1 failed" in text and "failed: it fell over" in text
    assert "run alpha: 9 of 9 stages" in text and "networks: 2" in text
    seen = json.loads(call("status", "--json", "--workspace", made.root))
    assert seen["done"] == 15 and seen["rows"][0] == {**seen["rows"][0], "record": "run", "row": "none", "done": 7}
    assert content(made.root) == before


def test_status_of_no_workspace_is_one_line(tmp_path: Path) -> None:
    assert "no workspace at" in call("status", "--workspace", tmp_path / "absent", code=2)
    assert not (tmp_path / "absent").exists()


def test_status_loads_no_torch(made: Made) -> None:
    code = (
        "import sys; from nferbench.cli.app import app; from nferbench.workspace.overview import overview\n"
        f"from pathlib import Path; overview(Path({str(made.root)!r}))\n"
        "print([name for name in ('torch', 'pandas', 'pydantic') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_watching_repeats_itself_and_ends_well_by_ctrl_c(made: Made) -> None:
    words = [sys.executable, "-m", "nferbench", "status", "--watch", "--workspace", str(made.root)]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert "15 stages done" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, problems = process.communicate(timeout=60)
    assert process.returncode == 0 and problems == ""


def test_watching_on_a_terminal_ends_well_by_q(made: Made) -> None:
    mine, theirs = pty.openpty()
    words = [sys.executable, "-m", "nferbench", "status", "--watch", "--workspace", str(made.root)]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen, pressed, deadline = b"", False, time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([mine], [], [], 0.1)[0]:
                with suppress(OSError):  # the terminal is closed from the other side
                    seen += os.read(mine, 4096)
            if b"15 stages done" in seen and not pressed:
                pressed = os.write(mine, b"xq") == 2
        process.kill()
        assert process.wait(60) == 0 and pressed
    os.close(mine)


def test_merge_counts_what_it_took_and_ends_with_1_where_something_is_damaged(made: Made, tmp_path: Path) -> None:
    text = call("merge", made.root, "--workspace", tmp_path / "new")
    assert "15 stages taken (15 linked, 0 copied" in text and "2 rows in 1 records taken, 0 left out" in text
    next(made.root.glob("quality/*/scores.csv")).unlink()
    text = call("merge", made.root, "--workspace", tmp_path / "next", code=1)
    assert "error: damaged, left out:" in text and "1 left out" in text
    assert "is the workspace that is merged into" in call("merge", made.root, "--workspace", made.root, code=2)
    assert "no workspace at" in call("merge", made.root, tmp_path, "--workspace", tmp_path / "last", code=2)
    assert not (tmp_path / "last").exists()


def test_prune_removes_nothing_unasked(made: Made) -> None:
    before = content(made.root)
    assert "nothing to remove" in call("prune", "--workspace", made.root)
    assert "add --yes" in call("prune", "--rows", "alpha", "--workspace", made.root, code=2)
    assert "did you mean 'alpha'" in call("prune", "--rows", "alpa", "--yes", "--workspace", made.root, code=2)
    assert content(made.root) == before
    text = call("prune", "--rows", "alpha", "--yes", "--workspace", made.root)
    assert "networks: 2," in text and "removed:" in text
    assert rows_of(made.root / "records" / "run.json") == ["none"]


def test_a_report_of_a_bundle_is_written_beside_it(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    assert "1 records, 15 stages" in call("bundle", "run", "--out", file, "--workspace", made.root)
    call("report", file)
    call("report", "--workspace", made.root)
    for name in ("tables.csv", "significance.csv"):
        assert (tmp_path / "b-report" / name).read_text() == (made.root / "report" / name).read_text()
    assert "both named" in call("report", file, "--workspace", made.root, code=2)
    assert "no bundle at" in call("report", tmp_path / "absent.zip", code=2)


def test_a_report_shows_what_is_named_and_replaces_none_that_shows_more_unasked(made: Made, tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "b.zip"
    words = ("report", "--workspace", made.root, "--out", out, "--record", "ru")
    assert call(*words, "--title", "My title", "--side-by-side").startswith("My title\n")
    assert "no record 'absent'; there are run" in call("report", "--workspace", made.root, "--record", "absent", code=2)
    call("bundle", "run", "--out", file, "--workspace", made.root)
    assert call("report", file, "--list").splitlines()[1].startswith("run ")
    call("prune", "--rows", "alpha", "--yes", "--workspace", made.root)
    before = content(out)
    (line,) = call(*words, code=2).splitlines()
    assert "results of alpha in record run (not in the record); choose another folder (--out)" in line
    assert content(out) == before
    call(*words, "--replace")
    assert "alpha" not in (out / "tables.csv").read_text()


def test_a_run_logs_its_events_and_a_log_that_cannot_be_written_ends_it_before_it_starts(tmp_path: Path) -> None:
    words = ("run", "--plugin", TOY, "--dataset", "toy", "--extra", "none", "--methods", "none", "--folds", "2")
    log = tmp_path / "log.jsonl"
    bad = tmp_path / "absent" / "log"
    assert f"--log {bad} cannot be written" in call(*words, "--workspace", tmp_path / "w", "--log", bad, code=2)
    assert not (tmp_path / "w" / "faces").exists()
    call(*words, "--workspace", tmp_path / "w", "--log", log)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert events[0]["event"] == "begun" and events[0]["stage"] is None
    ended = [each for each in events if each["event"] == "ended"]
    started = [each["key"] for each in events if each["event"] == "started"]
    assert sorted(each["key"] for each in ended) == sorted(started) and len(ended) > 2
    assert {(each["status"], each["device"]) for each in ended} == {("done", "cpu")}
    assert all(each["seconds"] >= 0 and each["host"] and each["process"] and each["time"] for each in ended)
    assert not list((tmp_path / "w" / "locks").iterdir())
