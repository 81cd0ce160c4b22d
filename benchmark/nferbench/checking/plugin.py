"""All checks of a plugin: of the module, of everything that it registers, and of the networks that its methods need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from nferbench.checking import elsewhere, finding, values
from nferbench.checking.finding import Given, Part
from nferbench.checking.rules import Broken, Check, Rule, checks
from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.fer import FERModel
from nferbench.contract.metric import ImageMetric
from nferbench.contract.translator import NetworkRecipe, Translator
from nferbench.planning.plugins import Plugins, load_plugins, reserved

if TYPE_CHECKING:
    from nferbench.checking.claims import Claim

CALLED = {
    "nferbench_translators": "method",
    "nferbench_datasets": "data set",
    "nferbench_fer_models": "recogniser",
    "nferbench_detectors": "detector",
    "nferbench_metrics": "metric",
}


def checks_of(plugin: str, roots: Mapping[str, Path] | None = None) -> list[Check]:
    """The checks of a plugin. The harness's questions are asked at once, all others when a check's verdict is.

    As tests of a plugin: `@pytest.mark.parametrize("check", checks_of("my_plugin.py"), ids=str)`.

    Args:
        plugin: path of a Python file, name of an installed package or of its entry point, or name of a module.
        roots: where data lie, by name of the data set; "" is for all others.

    Raises:
        UsageError: there is no such plugin.
    """
    return list(_checks(plugin, roots or {}))


def _checks(plugin: str, roots: Mapping[str, Path]) -> Iterator[Check]:
    loaded = Loaded(plugin, tuple(finding.parts(plugin)))
    own = checks(f"plugin {plugin}", [rule.of(loaded) for rule in RULES])
    yield from own
    if any(check.verdict().state == "wrong" for check in own if check.name in ("loads", "hooks")):
        return
    harness = load_plugins([file for part in loaded.parts for file in part.files])
    shared: dict[Any, str] = {}
    for part in loaded.parts:
        for hook, function in finding.hooked(part):
            for each in finding.given(hook, function):
                yield from _of_value(each, part, harness, roots, shared)


def _of_value(
    given: Given, part: Part, harness: Plugins, roots: Mapping[str, Path], shared: dict[Any, str]
) -> Iterator[Check]:
    value, hook = given.value, given.hook
    subject = f"{CALLED.get(hook, 'thing')} {_name(value)}"
    known = _table(harness, hook).get(_name(value), None if part.registered else value)
    reasons = tuple(failure.reason for failure in harness.failures)
    it = values.Registered(value, given.again, reserved(hook, part.owner), known, reasons)
    basic = checks(subject, values.rules(it))
    yield from basic
    if basic[-1].verdict().state != "ok":
        return
    yield from of_registered(value, roots, shared, harness.translators.items)


def of_registered(
    value: Any, roots: Mapping[str, Path], shared: dict[Any, str], methods: Mapping[str, Translator]
) -> Iterator[Check]:
    """The checks of what something that keeps the rules of values does.

    Args:
        value: what is registered.
        roots: as for `checks_of`.
        shared: networks that have been checked, by what presets make of them, and whose they are; added to.
        methods: that are registered, which fields of a method may follow.
    """
    # Modules that load torch are loaded here: what is above is asked of every plugin, and told where it cannot go on.
    if isinstance(value, Translator):
        from nferbench.checking.claims import claims

        yield from of_method(value.name, claims(value, "methods", methods), shared)
    elif isinstance(value, FaceDataset):
        from nferbench.checking import datasets

        source = datasets.Source(value, _root(value.name, roots))
        yield from checks(f"data set {value.name}", [rule.of(source) for rule in datasets.RULES])
    elif isinstance(value, FERModel):
        from nferbench.checking import recognisers
        from nferbench.checking.claims import claims

        recogniser = recognisers.Recogniser(claims(value, "fer-models", methods))
        yield from checks(f"recogniser {value.name}", [rule.of(recogniser) for rule in recognisers.RULES])
    elif isinstance(value, FaceDetector):
        from nferbench.checking import detectors

        finder = detectors.Finder(value)
        yield from checks(f"detector {value.name}", [rule.of(finder) for rule in detectors.RULES])
    elif isinstance(value, ImageMetric):
        from nferbench.checking import metrics

        measurer = metrics.Measurer(value)
        yield from checks(f"metric {value.name}", [rule.of(measurer) for rule in metrics.RULES])


def of_method(name: str, claimed: tuple[Claim[Translator], ...], shared: dict[Any, str]) -> Iterator[Check]:
    """The checks of a translator, and of those of its networks that are not checked yet.

    Args:
        name: of the method.
        claimed: what it is at the presets.
        shared: as for `of_registered`.
    """
    from nferbench.checking import methods, networks
    from nferbench.checking.claims import Claim

    method = methods.Method(claimed)
    yield from checks(f"method {name}", [rule.of(method) for rule in methods.RULES])
    roles: dict[str, list[Claim[NetworkRecipe]]] = {}
    for claim in claimed:
        for role, recipe in claim.value.networks().items():
            roles.setdefault(role, []).append(Claim(claim.preset, recipe, claim.size))
    for role, recipes in roles.items():
        key = tuple(recipes)
        if key in shared:
            continue
        shared[key] = f"network {role} of {name}"
        network = networks.Network(key)
        yield from checks(shared[key], [rule.of(network) for rule in networks.RULES])


def _table(harness: Plugins, hook: str) -> Mapping[str, Any]:
    tables: Mapping[str, Mapping[str, Any]] = {
        "nferbench_translators": harness.translators.items,
        "nferbench_datasets": harness.datasets.items,
        "nferbench_fer_models": harness.fer_models.items,
        "nferbench_detectors": harness.detectors.items,
        "nferbench_metrics": harness.metrics.items,
    }
    return tables.get(hook, {})


def _name(value: Any) -> str:
    """What something is called in lines about it; a name may be missing, or be no name."""
    try:
        name = value.name
    except Exception:  # of a property, anything
        name = None
    return name if isinstance(name, str) and name.isprintable() and name else f"of class {type(value).__name__}"


def _root(name: str, roots: Mapping[str, Path]) -> Path | None:
    common = roots.get("")
    return roots.get(name) or (common / name if common and (common / name).is_dir() else common)


@final
@dataclass(frozen=True)
class Loaded:
    """A plugin as a whole."""

    word: str  # by which it was named
    parts: tuple[Part, ...]

    @cached_property
    def elsewhere(self) -> elsewhere.Seen:
        """The same in another process."""
        return elsewhere.seen(self.word)


def _loads(loaded: Loaded) -> None:
    for part in loaded.parts:
        finding.hooked(part)


def _hooks(loaded: Loaded) -> str:
    hooks = [hook for part in loaded.parts for hook in finding.hooked(part)]
    found = [each for hook, function in hooks for each in finding.given(hook, function)]
    if not found:
        raise Broken("its hooks return nothing")
    return f"registers {len(found)}"


def _is_light(loaded: Loaded) -> str | None:
    if loaded.elsewhere.torch:
        return "importing it loads torch, for which every plan and report waits; import it inside functions"
    return None


def _means_the_same(loaded: Loaded) -> None:
    there = loaded.elsewhere.keys
    for (hook, name), key in elsewhere.keys(loaded.word).items():
        if there.get((hook, name)) != key:
            raise Broken(f"{CALLED.get(hook, 'thing')} {name} has another key in another process")


RULES: tuple[Rule[Loaded], ...] = (
    Rule("loads", "it can be imported, and its hooks are those that there are", _loads),
    Rule("hooks", "a hook returns a list of what it is for, as many whenever it is asked", _hooks, ("loads",)),
    Rule("light", "importing it does not load torch", _is_light, ("hooks",)),
    Rule("same-everywhere", "keys are the same in every process", _means_the_same, ("hooks",)),
)
