"""Import paths that plugins may have been written for: `nferbench.noise` is still `nferbench.contract.noise`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import final

FORMER = {
    "nferbench.datasets.base": "nferbench.contract.dataset",
    "nferbench.detectors.base": "nferbench.contract.detector",
    **{
        f"nferbench.{name}": f"nferbench.contract.{name}"
        for name in ("errors", "fer", "hookspecs", "learning", "noise", "pixels", "translator", "values")
    },
}


@final
class _FormerPaths:
    """Answers an import of a former path with the module itself, so that its classes exist once."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # No subclass of importlib.abc's finder and loader, which take longer to import than all that is here.
        return ModuleSpec(fullname, self) if fullname in FORMER else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(FORMER[spec.name])
        spec.loader_state = module.__spec__  # which the import system overwrites before `exec_module`
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute nothing: the module has been executed under the name that it has now, and keeps it."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Make the former paths importable in this process; a second call changes nothing."""
    if not any(isinstance(finder, _FormerPaths) for finder in sys.meta_path):
        sys.meta_path.append(_FormerPaths())
