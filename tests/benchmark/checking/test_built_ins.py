"""All that comes along keeps the rules that plugins are held to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nferbench import Translator
from nferbench.checking.claims import Claim
from nferbench.checking.plugin import of_method, of_registered
from nferbench.checking.rules import Check, checks
from nferbench.checking.values import Registered, rules
from nferbench.contract.values import describe
from nferbench.planning.plugins import BUILT_IN, KINDS, load_plugins, reserved
from nferbench.planning.rows import Row
from nferbench.planning.settings import Request, resolve

PLUGINS = load_plugins(installed=False)
TABLES = {"nferbench_translators": PLUGINS.translators, "nferbench_datasets": PLUGINS.datasets}
TABLES |= {"nferbench_fer_models": PLUGINS.fer_models, "nferbench_detectors": PLUGINS.detectors}
TABLES |= {"nferbench_metrics": PLUGINS.metrics}
SETTINGS = resolve(Request(preset="quick", methods=("ablation",)), PLUGINS)
# Sizes that presets leave as they are, and a backbone, which has no default.
SMALLER: dict[str, dict[str, Any]] = {"resnet18": {"input_size": 28}, "timm": {"backbone": "test_resnet", "lr": 0.003}}
ABSENT = ("data set ", "detector ", "metric ")  # what may be skipped: data and weights that are not here
ALONE = ("batch-size", "batch-mates", "order")


def _checks() -> dict[str, list[Check]]:
    """All checks by their subject: those of one are asked in one process, for they share what they compute."""
    shared: dict[object, str] = {}
    found = []
    for hook in KINDS:
        for name, value in TABLES[hook].items.items():
            it = Registered(value, value, reserved(hook, BUILT_IN[0]), value, ())
            found += checks(f"value {name}", rules(it))
            found += of_registered(replace(value, **SMALLER.get(name, {})), {}, shared, PLUGINS.translators.items)
    for translator, row in _others().items():
        claimed = (Claim("quick", translator, SETTINGS.size),)
        mine = [check for check in of_method(row, claimed, shared) if check.subject == f"method {row}"]
        found += [check for check in mine if check.name != "device"]  # networks are those of methods; see test_devices
    by_subject: dict[str, list[Check]] = {}
    for check in found:
        by_subject.setdefault(check.subject, []).append(check)
    return by_subject


def _others() -> dict[Translator, str]:
    """Rows of the ablation that are no method at the same preset."""
    methods = resolve(Request(preset="quick", methods=("all",)), PLUGINS).rows
    known = {row.translator for row in methods}
    return {row.translator: row.name for row in SETTINGS.rows if row.translator not in known}


CHECKS = _checks()


@pytest.mark.parametrize("subject", CHECKS)
def test_a_built_in_keeps_the_rules(subject: str) -> None:
    verdicts = {check.name: check.verdict() for check in CHECKS[subject]}
    allowed = ("ok", "skipped") if subject.startswith(ABSENT) else ("ok",)
    assert {name: verdict for name, verdict in verdicts.items() if verdict.state not in allowed} == {}
    assert not any(verdicts[name].said for name in ALONE if name in verdicts)  # to the bit


@pytest.mark.parametrize("row", SETTINGS.rows, ids=lambda row: row.name)
def test_a_description_contains_the_recipes_of_its_networks(row: Row) -> None:
    described = str(describe(row.translator))
    for recipe in row.translator.networks().values():
        assert str(describe(recipe)) in described
