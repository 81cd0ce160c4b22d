"""Weight files made by others: which are known, where they are looked for, how they are read. Never downloaded."""

from nferbench.weights.reading import load
from nferbench.weights.searching import Found, Missing, find, inventory, require

__all__ = ["Found", "Missing", "find", "inventory", "load", "require"]
