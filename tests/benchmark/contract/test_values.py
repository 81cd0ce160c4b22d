from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Literal

import pytest

from nferbench.contract.errors import UsageError
from nferbench.contract.values import describe, differences, digest, replaced


@dataclass(frozen=True)
class Inner:
    version = 3
    lr: float = 0.1
    widths: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    name: str = field(default="a name", compare=False)
    inner: Inner = Inner()
    mode: Literal["fast", "slow"] = "fast"
    steps: int | None = None


def test_labels_are_not_part_of_a_description() -> None:
    assert digest(describe(Outer(name="x"))) == digest(describe(Outer(name="y")))
    assert "name" not in describe(Outer())


def test_defaults_and_versions_are_part_of_a_description() -> None:
    assert describe(Outer())["inner"] == {"is": f"{__name__}.Inner", "version": 3, "lr": 0.1, "widths": [1, 2]}


def test_a_digest_is_the_same_in_another_process() -> None:
    code = "from nferbench.contract.values import digest; print(digest({'b': [1, 2.5, None], 'a': 'é'}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == digest({"a": "é", "b": [1, 2.5, None]})


def test_something_that_is_not_a_value_has_no_description() -> None:
    with pytest.raises(TypeError, match="cannot be part of a value"):
        describe((object(),))


def test_differences_name_the_field_and_both_values() -> None:
    old, new = describe(Outer()), describe(replaced(Outer(), {"inner.lr": 0.2}, "outer"))
    assert differences(old, new) == ["inner.lr 0.1 -> 0.2"]


def test_dotted_and_nested_changes_reach_inner_fields() -> None:
    changed = replaced(Outer(), {"inner.lr": 1, "inner": {"widths": [3, 4, 5]}, "steps": 7, "mode": "slow"}, "outer")
    assert changed == Outer(inner=Inner(1.0, (3, 4, 5)), steps=7, mode="slow")


def test_all_problems_of_a_change_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        replaced(Outer(), {"inner.ls": 1, "mode": "medium", "steps": "many"}, "outer")
    text = str(caught.value)
    assert "outer.inner has no field 'ls'; did you mean 'lr'?" in text
    assert "outer.mode: 'medium' is not allowed" in text
    assert "outer.steps: 'many' is not allowed" in text
