"""Weight files made by others: which are known, where they are looked for, how read. Only `weights get` downloads."""

from nferbench.weights.reading import load
from nferbench.weights.searching import (
    Found,
    Missing,
    cache_directory,
    expanded,
    find,
    hub_directory,
    inventory,
    require,
)

__all__ = ["Found", "Missing", "cache_directory", "expanded", "find", "hub_directory", "inventory", "load", "require"]
