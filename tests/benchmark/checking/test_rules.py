"""A rule as a question, and that the docs and the checks have the same rules."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import SkipTest

import pytest

from nferbench.checking import datasets, detectors, methods, metrics, networks, plugin, recognisers, values
from nferbench.checking.rules import Broken, Rule, Skipped, checks
from nferbench.contract.errors import PluginError

DOCS = Path(__file__).parents[3] / "docs" / "plugins.md"
KINDS: dict[str, tuple[Rule, ...]] = {  # type: ignore[type-arg]
    "a plugin": plugin.RULES,
    "all": (*values.RULES, *values.LAST),
    "methods": (*values.OF_METHODS, *methods.RULES),
    "networks": networks.RULES,
    "data sets": datasets.RULES,
    "recognisers": recognisers.RULES,
    "detectors": detectors.RULES,
    "metrics": metrics.RULES,
}


def test_the_docs_list_every_check_with_its_rule() -> None:
    expected: dict[tuple[str, str], list[str]] = {}
    for kind, rules in KINDS.items():
        for rule in rules:
            expected.setdefault((rule.name, rule.says), []).append(kind)
    shown = re.findall(r"^\| `([\w-]+)` \| ([\w ,]+) \| (.+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    assert [((name, says), of) for name, of, says in shown] == [(key, ", ".join(of)) for key, of in expected.items()]


def test_every_line_of_the_rules_has_its_checks() -> None:
    text = DOCS.read_text("utf-8")
    rules = text.split("\n## The rules\n")[1].split("\n## ")[0]
    lines = [" ".join(line.split()) for line in re.findall(r"^- (.+(?:\n  .+)*)", rules, re.MULTILINE)]
    table = text.split("\n| rule | checks |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    rows = [row.strip("| ").split(" | ") for row in table]
    assert len(lines) == len(rows) >= 18
    known = {rule.name for rules in KINDS.values() for rule in rules}
    for line, (rule, named) in zip(lines, rows, strict=True):
        assert line.startswith(rule)
        names = re.findall(r"`([\w-]+)`", named)
        assert names and set(names) <= known


def raises(error: BaseException) -> Rule[None]:
    def ask(_: None) -> None:
        raise error

    return Rule("it", "it is", ask)


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Broken("no\nline"), "wrong", "no\\nline"),
        (Skipped("later"), "skipped", "later"),
        (PluginError("bad"), "wrong", "bad"),
        (KeyError("x"), "wrong", "KeyError: 'x'"),
        (SystemExit(3), "wrong", "SystemExit: 3"),
    ],
)
def test_whatever_a_plugin_raises_is_a_verdict_of_one_line(error: BaseException, state: str, said: str) -> None:
    (check,) = checks("thing", [raises(error)])
    assert (check.verdict().state, check.verdict().said) == (state, said)


def test_a_rule_is_asked_once_and_after_those_that_it_rests_on() -> None:
    asked: list[str] = []
    first = Rule[None]("first", "", lambda _: asked.append("first"))
    second = Rule[None]("second", "", lambda _: asked.append("second"), ("first",))
    for check in reversed(checks("thing", [first, second])):
        assert check.verdict() is check.verdict()
    assert asked == ["first", "second"]
    broken, waiting = checks("thing", [raises(Broken("no")), Rule("second", "", lambda _: None, ("it",))])
    assert waiting.verdict().said == "waits for it"
    assert broken.verdict().state == "wrong"


def test_a_check_is_a_test_too() -> None:
    (wrong,), (skipped,) = checks("thing", [raises(Broken("no"))]), checks("thing", [raises(Skipped("later"))])
    with pytest.raises(AssertionError, match=r"thing: it: no \(the rule: it is\)"):
        wrong()
    with pytest.raises(SkipTest, match="later"):
        skipped()
    checks("thing", [Rule("it", "", lambda _: None)])[0]()
