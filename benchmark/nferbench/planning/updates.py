"""How many updates a training has, as its recipe says."""

from __future__ import annotations

from operator import index

from nferbench.contract.errors import PluginError
from nferbench.contract.fer import FERModel
from nferbench.contract.printable import one_line
from nferbench.contract.translator import NetworkRecipe


def asked(who: str, recipe: NetworkRecipe | FERModel, samples: int) -> int:
    """The updates that a recipe asks for.

    Args:
        who: what is trained, for the message.
        recipe: of a network or recogniser.
        samples: pairs or faces that it is trained on.

    Raises:
        PluginError: it raises something, or gives no whole number.
    """
    try:
        updates = recipe.updates(samples)
    except Exception as error:  # whatever a plugin raises
        why = one_line(f"{type(error).__name__}: {error}")
        raise PluginError(f"{who}: updates({samples}) raised {why}; a whole number is due") from error
    try:
        return index(updates)
    except TypeError:
        came = one_line(repr(updates))
        raise PluginError(f"{who}: updates({samples}) is {came}; a whole number is due") from None
