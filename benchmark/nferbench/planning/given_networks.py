"""A registered method with fitted networks from files, in place of those of a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nferbench.contract.errors import UsageError
from nferbench.contract.translator import Translator
from nferbench.planning.inputs import Preparation
from nferbench.planning.settings import Settings
from nferbench.workspace.files import sha256
from nferbench.workspace.stages import GivenNetwork, PrepareFaces, Stage, Translate


@final
@dataclass(frozen=True)
class GivenMethod:
    """A method, the file of each of its networks by role, and how faces are prepared for it."""

    translator: Translator
    files: Mapping[str, Path]
    preparation: Preparation
    seed: int

    def translation(self, faces: PrepareFaces) -> Translate:
        """The translation of all of these faces."""
        recipes = self.translator.networks()
        networks = tuple(
            GivenNetwork(
                recipes[role], faces.size, faces.landmarks, sha256(self.files[role]), recipes[role].title or role
            )
            for role in sorted(recipes)
        )
        return Translate(self.translator, networks, faces, "all", None, self.seed)

    def places(self, translation: Translate) -> dict[Stage, Path]:
        """Where the weights of each network of such a translation lie."""
        return dict(zip(translation.networks, (self.files[role] for role in sorted(self.files)), strict=True))


def given_method(settings: Settings, weights: Sequence[str]) -> GivenMethod:
    """The method that settings name, with weights.

    Args:
        settings: name one method, and how faces are prepared.
        weights: "ROLE=FILE"; of a method with one network also "FILE".

    Raises:
        UsageError: several methods; a role that there is not, that is given twice or is missing; no such file.
    """
    if len(settings.rows) != 1:
        names = ", ".join(row.name for row in settings.rows)
        raise UsageError(f"--weights are those of one method, and {len(settings.rows)} are named: {names}; name one")
    translator = settings.rows[0].translator
    files = _files(weights, translator)
    preparation = Preparation(settings.size, settings.crop, settings.detector, settings.smooth, settings.vis_levels)
    return GivenMethod(translator, files, preparation, settings.seed)


def _files(weights: Sequence[str], translator: Translator) -> dict[str, Path]:
    roles = sorted(translator.networks())
    has = f"{translator.name} has the networks {', '.join(roles)}" if roles else f"{translator.name} has no networks"
    files: dict[str, Path] = {}
    for text in weights:
        role, equals, file = text.partition("=")
        if len(roles) == 1 and (not equals or Path(text).is_file()):
            role, file = roles[0], text
        elif not equals:
            raise UsageError(f"--weights {text}: write ROLE=FILE; {has}")
        if role not in roles:
            raise UsageError(f"--weights {text}: there is no network '{role}'; {has}")
        if role in files:
            raise UsageError(f"--weights {text}: '{role}' is given twice; keep one")
        if not Path(file).is_file():
            raise UsageError(
                f"--weights {text}: {file or 'nothing'} is not a file; give the safetensors file of {role}"
            )
        files[role] = Path(file)
    if missing := [role for role in roles if role not in files]:
        raise UsageError(f"{has}; add --weights {' --weights '.join(f'{role}=FILE' for role in missing)}")
    return files
