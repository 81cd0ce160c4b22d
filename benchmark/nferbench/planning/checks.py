"""Whether what a plugin registers keeps the contract: asked once, before anything uses it."""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Collection, Mapping
from typing import Any, get_args, get_type_hints

from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import PluginError
from nferbench.contract.fer import FERModel
from nferbench.contract.metric import Better, ImageMetric
from nferbench.contract.printable import one_line
from nferbench.contract.translator import Group, NetworkRecipe, Translator
from nferbench.contract.values import describe, digest, replaced
from nferbench.planning.alike import likes

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
MOST_DECIMALS = 9  # of a metric, as printed
LONGEST = 200  # characters of a title, which has one line of a table


def check_name(name: object, reserved: Collection[str] = ()) -> None:
    """Hold the name of a row or of a registered value to the rule: it is typed in lists, and names files.

    Args:
        name: what came.
        reserved: words that mean something else where the name would be typed.

    Raises:
        PluginError: letters of other alphabets, blanks, commas, more than 64 characters, a reserved word.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"the name is {shown(name)}; 1 to 64 letters, digits and '._+-' are due, the first no sign")
    if name.casefold() in reserved:
        raise PluginError(f"the name '{name}' means something else on the command line; choose another")


def check_text(what: str, text: object) -> None:
    """Hold a text that is printed in tables to one printable line.

    Raises:
        PluginError: no text, none but blanks, a line break or another control character, more than `LONGEST`.
    """
    if not isinstance(text, str) or not text.strip() or not text.isprintable() or len(text) > LONGEST:
        raise PluginError(f"{what} is {shown(text)}; one printable line of 1 to {LONGEST} characters is due")


def check(value: Any, reserved: Collection[str] = ()) -> None:
    """Hold a registered value to its contract, at its defaults and at each of its own presets.

    Args:
        value: a translator, data set, recogniser, detector, metric or library of metrics.
        reserved: words that may not be its name.

    Raises:
        PluginError: what is wrong, in one line that follows the name of the plugin.
        Exception: whatever a property or a method of the value raises.
    """
    check_name(value.name, reserved)
    check_text(f"'{value.name}': the title", value.title)
    try:
        _check(value)
    except PluginError as error:
        raise PluginError(f"'{value.name}': {error}") from None


def _check(value: Any) -> None:
    check_value("it", value)
    get_type_hints(type(value))  # raises where settings could not be read
    _check_likes(value)
    if isinstance(value, Translator):
        check_translator(value)
    elif isinstance(value, FaceDataset):
        if not isinstance(value.default_preset, str) or not isinstance(value.default_extra, str | None):
            raise PluginError("default_preset is a text, and default_extra a text or None")
        if value.name.endswith(".csv"):
            raise PluginError("its name is that of a file, which --dataset would take for a manifest; choose another")
    elif isinstance(value, FERModel):
        _check_count("batch_size", value.batch_size, 1)
    elif isinstance(value, FaceDetector):
        _check_count("points", value.points, 0)
    elif isinstance(value, ImageMetric):
        check_metric(value)
    presets = getattr(value, "presets", {})
    if not isinstance(presets, Mapping) or not all(isinstance(fields, Mapping) for fields in presets.values()):
        raise PluginError(f"presets is {shown(presets)}; a mapping of fields by preset is due")
    for preset, fields in presets.items():
        changed = replaced(value, fields, f"presets['{preset}']")
        check_value(f"at preset {preset} it", changed)
        if isinstance(changed, Translator):
            check_translator(changed)
        elif isinstance(changed, ImageMetric):
            check_metric(changed)


def check_translator(translator: Translator) -> None:
    """Hold what a translator says of itself to the contract: group, marks, stamps and networks.

    Raises:
        PluginError: what is wrong.
        Exception: whatever `stamps` or `networks` raise.
    """
    check_group(translator)
    for name in ("heterogeneous", "grey"):
        if not isinstance(getattr(translator, name), bool):
            raise PluginError(f"{name} is {shown(getattr(translator, name))}; True or False is due")
    check_stamps(translator)
    check_networks(translator)


def check_group(translator: Translator) -> None:
    """Hold the group of a translator to those that there are.

    Raises:
        PluginError: another one.
    """
    groups = get_args(Group)
    if not isinstance(translator.group, str) or translator.group not in groups:
        raise PluginError(f"the group is {shown(translator.group)}; allowed: {', '.join(groups)}")


def check_stamps(translator: Translator) -> None:
    """Hold the footnotes of a translator to one printable line each.

    Raises:
        PluginError: something else.
        Exception: whatever `stamps` raises.
    """
    if not isinstance(translator.stamps, tuple | list):
        raise PluginError(f"stamps is {shown(translator.stamps)}; a tuple of texts is due")
    for stamp in translator.stamps:
        check_text("a stamp", stamp)


def check_networks(translator: Translator) -> None:
    """Hold the recipes of a translator to what can be trained once and shared.

    Raises:
        PluginError: no mapping of recipes by role, a recipe that is no value, or others when asked again.
        Exception: whatever `networks` raises.
    """
    networks = translator.networks()
    if not isinstance(networks, Mapping):
        raise PluginError(f"networks() gives {shown(networks)}; recipes by role are due")
    for role, recipe in networks.items():
        if not isinstance(role, str) or not role.isprintable() or not role.strip():
            raise PluginError(f"a network has the role {shown(role)}; a word is due")
        if not isinstance(recipe, NetworkRecipe):
            raise PluginError(f"network {role} is {shown(recipe)}; a NetworkRecipe is due")
        check_value(f"the recipe of network {role}", recipe)
        _check_count(f"batch_size of network {role}", recipe.batch_size, 1)
        if not isinstance(recipe.title, str) or not isinstance(recipe.paired, bool):
            raise PluginError(f"of network {role} the title must be a text, and paired True or False")
    if dict(translator.networks()) != dict(networks):
        raise PluginError("networks() gives recipes that are not equal when it is asked twice")


def check_metric(metric: ImageMetric) -> None:
    """Hold what a metric says of itself to the contract: its direction, its decimals and its texts.

    Raises:
        PluginError: what is wrong.
        Exception: whatever a property of it raises.
    """
    if metric.better not in get_args(Better):
        raise PluginError(f"better is {shown(metric.better)}; allowed: {', '.join(get_args(Better))}")
    if not isinstance(metric.reference, bool):
        raise PluginError(f"reference is {shown(metric.reference)}; True or False is due")
    _check_count("decimals", metric.decimals, 0)
    if metric.decimals > MOST_DECIMALS:
        raise PluginError(f"decimals is {metric.decimals}; at most {MOST_DECIMALS} are printed")
    for what, text in (("lacking", metric.lacking), ("the note", metric.note)):
        if text != "":
            check_text(what, text)


def check_value(what: str, value: Any) -> None:
    """Hold a value to what can be a key of results, in every process alike: a frozen dataclass of plain values.

    Raises:
        PluginError: something else, with `what` as its subject.
    """
    check_frozen(what, value)
    check_plain(what, value)


def check_frozen(what: str, value: Any) -> None:
    """Hold a value to a frozen dataclass.

    Raises:
        PluginError: something else, with `what` as its subject.
    """
    parameters = getattr(type(value), "__dataclass_params__", None)
    if not dataclasses.is_dataclass(value) or parameters is None or not parameters.frozen:
        raise PluginError(f"{what} is a {type(value).__name__}, which is no frozen dataclass; @dataclass(frozen=True)")


def check_plain(what: str, value: Any) -> None:
    """Hold the fields of a value to what can be hashed, described and handed to another process.

    Raises:
        PluginError: something else, with `what` as its subject.
    """
    try:
        hash(value)
        digest(describe(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(f"{what} has a field that is no plain value ({one_line(str(error))[:LONGEST]})") from None
    try:
        pickle.dumps(value)
    except Exception as error:
        reason = one_line(str(error))[:LONGEST]
        raise PluginError(
            f"{what} cannot be handed to another process ({reason}); define its class in a module"
        ) from None


def _check_likes(value: Any) -> None:
    for field, to in likes(value).items():
        if not isinstance(value, Translator):
            raise PluginError(f"the field {field} is declared with LIKE, which only those of methods can be")
        if field in ("name", "title"):
            raise PluginError(f"the {field} is declared with LIKE; a method has its own")
        if not isinstance(to, str) or not all(to.split(".")) or "." not in to:
            raise PluginError(f"the field {field} is declared with LIKE {shown(to)}; a text METHOD.FIELD is due")


def _check_count(what: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PluginError(f"{what} is {shown(value)}; a whole number of at least {least} is due")


def shown(value: object) -> str:
    """What came, for a message: its start, as one printable line."""
    text = repr(value)
    return one_line(text if len(text) <= 80 else f"{text[:80]}…")
