"""`nferbench check`: which plugin a word means, what is told, and the same as tests of a package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from planted import GOOD, spoilt, written
from typer.testing import CliRunner

from nferbench.checking.finding import parts
from nferbench.checking.plugin import checks_of
from nferbench.cli.app import app
from nferbench.contract.errors import UsageError

QUICK = "from nferbench import hookimpl\nfrom nferbench_methods.none import WithoutTranslation\n\n\n"
QUICK += '@hookimpl\ndef nferbench_translators():\n    return [WithoutTranslation(name="plain")]\n'
NAMELESS = "    @property\n    def name(self):\n        return 1 / 0\n\n"


def answer(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["check", *words])
    return done.exit_code, done.stdout


def test_a_good_plugin_ends_with_0_and_a_line_a_check(tmp_path: Path) -> None:
    code, text = answer(written(tmp_path, QUICK))
    *lines, last = text.splitlines()
    assert code == 0, text
    assert all(line.startswith("ok ") for line in lines)
    assert last.startswith(f"{len(lines)} rules kept, 0 broken, 0 not asked, in ")


def test_a_broken_rule_ends_with_1_and_is_named_in_one_line(tmp_path: Path) -> None:
    code, text = answer(written(tmp_path, spoilt(QUICK, '"plain"', '"Plain"')))
    (wrong,) = [line for line in text.splitlines() if line.startswith("wrong")]
    assert code == 1
    assert wrong.startswith("wrong    method Plain: name  (the name 'Plain' has capitals; 'plain' can be typed")


def test_json_is_one_object_whatever_the_plugin_prints(tmp_path: Path) -> None:
    file = written(tmp_path, "print('hello')\n" + spoilt(QUICK, '"plain"', '"all"'))
    code, text = answer(file, "--json")
    told = json.loads(text)
    assert code == 1 and told["plugin"] == file and told["ok"] is False and told["seconds"] > 0
    rows = {(row["subject"], row["check"]): row for row in told["checks"]}
    row = rows["method all", "name"]
    assert row["state"] == "wrong" and "means something else on the command line" in row["said"]
    assert row["rule"].startswith("`name` is a field with `compare=False`")


@pytest.mark.parametrize(
    "word", ["no_such_file.py", "./no_such_file.py", "no_such_module_at_all", "no.such.module", "", ".", "a b"]
)
def test_what_is_no_plugin_is_said_in_one_line(word: str) -> None:
    with pytest.raises(UsageError, match=r"no_such_file\.py does not exist|is no plugin file") as raised:
        parts(word)
    assert len(str(raised.value).splitlines()) == 1


def test_a_module_can_be_named() -> None:
    subjects = {check.subject for check in checks_of("nferbench_methods.none")}
    assert subjects == {"plugin nferbench_methods.none", "method none"}


def test_a_module_that_is_not_installed_can_be_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plain_module.py").write_text(QUICK)
    found = {check.name: check for check in checks_of("plain_module")}
    assert found["accepted"].verdict().state == found["shape"].verdict().state == "ok"


def test_a_name_that_cannot_be_asked_for_is_told_by_its_check(tmp_path: Path) -> None:
    text = spoilt(GOOD, '    name: str = field(default="mine", compare=False)\n', NAMELESS)
    (name,) = [check for check in checks_of(written(tmp_path, text)) if check.name == "name"]
    assert name.subject == "method of class Mine"
    assert name.verdict().state == "wrong"


def test_an_installed_package_is_found_by_its_name_and_by_that_of_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "nferbench_plainly.py").write_text(QUICK)
    about = tmp_path / "nferbench_plainly-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nferbench-plainly\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[nferbench]\nplainly = nferbench_plainly\n")
    for word in ("plainly", "nferbench-plainly", "nferbench_plainly"):
        checks = checks_of(word)
        assert {check.subject for check in checks} == {f"plugin {word}", "method plain"}
        assert {check.verdict().state for check in checks if check.name not in ("light", "same-everywhere")} == {"ok"}
    with pytest.raises(UsageError, match="did you mean 'plainly'"):
        parts("plainli")


def test_torch_at_the_top_is_told_and_keys_that_differ_elsewhere_are_wrong(tmp_path: Path) -> None:
    text = spoilt(GOOD, "from typing import ClassVar\n", "from typing import ClassVar\n\nimport torch as _\n")
    text = spoilt(text, "strength: float = 0.5", 'strength: int = hash("a text")')
    found = {check.name: check for check in checks_of(written(tmp_path, text))}
    assert "loads torch" in found["light"].verdict().said
    assert found["light"].verdict().state == "ok"
    assert found["same-everywhere"].verdict().state == "wrong"


def test_a_package_asks_the_rules_in_its_own_tests(tmp_path: Path) -> None:
    plugin = written(tmp_path, spoilt(QUICK, '"plain"', '"Plain"'))
    (tmp_path / "test_rules.py").write_text(
        "import pytest\nfrom nferbench.checking.plugin import checks_of\n\n"
        f'@pytest.mark.parametrize("check", checks_of({plugin!r}), ids=str)\ndef test_the_rules(check):\n    check()\n'
    )
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **paths}, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_rules.py::test_the_rules[method Plain: name] - AssertionError" in done.stdout
    assert " passed" in done.stdout and "1 failed" in done.stdout
