"""The command line: its commands, their options and their words. The one room that knows every other."""

from nferbench.cli.app import main

__all__ = ["main"]
