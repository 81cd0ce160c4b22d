"""Rules as questions: each is asked of one thing, once, and answered in one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, final

from nferbench.contract.errors import NferbenchError
from nferbench.contract.printable import one_line
from nferbench.planning.plugins import reason_of

State = Literal["ok", "wrong", "skipped"]


class Broken(Exception):
    """A rule is not kept; the message says in what."""


class Skipped(Exception):
    """A rule cannot be asked here; the message says why."""


@final
@dataclass(frozen=True)
class Verdict:
    """The answer to a rule."""

    state: State
    said: str = ""  # one line: what is wrong, why it could not be asked, or what else is worth knowing
    seconds: float = 0.0  # that the answer took


@final
@dataclass(frozen=True)
class Check:
    """A rule, to be asked of one thing that a plugin registers."""

    subject: str  # such as "method unet-l1"
    name: str  # of the rule
    says: str  # the rule in a sentence
    verdict: Callable[[], Verdict]  # asks when it is called for the first time, and remembers

    def __str__(self) -> str:
        return f"{self.subject}: {self.name}"

    def __call__(self) -> None:
        """Ask, as a test.

        Raises:
            AssertionError: the rule is broken.
            SkipTest: it cannot be asked here.
        """
        from unittest import SkipTest

        verdict = self.verdict()
        if verdict.state == "skipped":
            raise SkipTest(verdict.said)
        if verdict.state == "wrong":
            raise AssertionError(f"{self}: {verdict.said} (the rule: {self.says})")


C = TypeVar("C")


@final
@dataclass(frozen=True)
class Rule(Generic[C]):
    """A rule of docs/plugins.md, and how to find out whether something keeps it."""

    name: str
    says: str  # as the docs say it
    ask: Callable[[C], str | None]  # raises Broken, Skipped or whatever the plugin raises; may return a remark
    after: tuple[str, ...] = ()  # rules of the same thing that must be kept for this one to be asked

    def of(self, thing: C) -> Rule[None]:
        """The same rule, of something."""
        return Rule(self.name, self.says, lambda _: self.ask(thing), self.after)


def checks(subject: str, rules: Sequence[Rule[None]]) -> list[Check]:
    """The checks of one thing, in the order of the rules.

    Args:
        subject: what the thing is called.
        rules: about it; one comes behind those that it is asked after.
    """
    made: dict[str, Check] = {}
    for rule in rules:
        made[rule.name] = Check(subject, rule.name, rule.says, _once(rule, [made[name] for name in rule.after]))
    return list(made.values())


def _once(rule: Rule[None], before: Sequence[Check]) -> Callable[[], Verdict]:
    given: list[Verdict] = []

    def verdict() -> Verdict:
        if not given:
            open_ones = [check.name for check in before if check.verdict().state != "ok"]
            given.append(Verdict("skipped", f"waits for {open_ones[0]}") if open_ones else _asked(rule))
        return given[0]

    return verdict


def _asked(rule: Rule[None]) -> Verdict:
    began = time.monotonic()

    def answer(state: State, said: str) -> Verdict:
        return Verdict(state, one_line(said), time.monotonic() - began)

    try:
        return answer("ok", rule.ask(None) or "")
    except Skipped as reason:
        return answer("skipped", str(reason))
    except (Broken, NferbenchError) as reason:
        return answer("wrong", str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything
        return answer("wrong", reason_of(error))


def told(what: Any) -> str:
    """The start of a text for a message."""
    text = one_line(str(what))
    return text if len(text) <= 200 else f"{text[:200]}…"
