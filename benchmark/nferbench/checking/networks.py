"""Rules of the networks that a method needs."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, final

import torch

from nferbench.checking import trainings
from nferbench.checking.chance import apart
from nferbench.checking.claims import Claim, smallest
from nferbench.checking.rules import Broken, Rule
from nferbench.checking.trainings import Trainee, copied, different
from nferbench.contract.errors import UsageError
from nferbench.contract.translator import Batch, FaceSpec, NetworkRecipe
from nferbench.engine.skeletons import skeleton
from nferbench.workspace.files import sha256

LANDMARKS = 68  # points of the faces of a check
ROWS = 2  # faces of an update
PAIRS = 16  # of a training set
ODD = 17  # side of faces in pixels that halves to no whole number


@final
@dataclass(frozen=True)
class Network:
    """A network of a method, as the presets have it."""

    claimed: tuple[Claim[NetworkRecipe], ...]

    @cached_property
    def chosen(self) -> Claim[NetworkRecipe]:
        """The one that is computed with."""
        return smallest(self.claimed, parameters)

    @cached_property
    def trainee(self) -> Trainee:
        """Its training. Whether a preset's weights are there is no matter: it starts from nothing."""
        recipe, spec = self.chosen.value, FaceSpec(self.chosen.size, LANDMARKS)
        return Trainee(
            lambda: recipe.build(spec),
            lambda network: recipe.learner(network, spec, PAIRS),
            partial(drawn_batch, spec),
            recipe.updates(PAIRS),
            recipe.ready,
        )


def parameters(recipe: NetworkRecipe, size: int) -> int:
    """How many a network has."""
    with apart():
        return sum(each.numel() for each in skeleton(recipe, FaceSpec(size, LANDMARKS)).parameters())


def drawn_batch(spec: FaceSpec, device: torch.device) -> Batch:
    """Unrelated faces of noise, the same on every device; a point is missing, and so are most of one face."""
    rng = torch.Generator("cpu").manual_seed(3)
    vis, nir = (torch.rand(ROWS, 3, spec.size, spec.size, generator=rng) * 2 - 1 for _ in range(2))
    points = torch.rand(2, ROWS, spec.landmarks, 2, generator=rng) * spec.size
    points[1, 0, :30] = torch.nan
    points[0, 1, 7] = torch.nan
    grey = nir.mean(1, keepdim=True).expand_as(nir).contiguous()
    return Batch(vis.to(device), grey.to(device), points[0].to(device), points[1].to(device))


def builds(network: Network) -> str:
    """Build it on shapes alone, for published sizes may be huge."""
    at: dict[int, str] = {}
    for claim in network.claimed:
        try:
            at.setdefault(parameters(claim.value, claim.size), claim.preset)
        except UsageError as error:
            raise Broken(f"at preset {claim.preset}, faces of {claim.size} px: {error}") from None
    return f"{', '.join(f'{count:,} parameters at {preset}' for count, preset in at.items())}"


def refuses(network: Network) -> None:
    spec = FaceSpec(ODD, 0)
    with apart():
        try:
            skeleton(network.chosen.value, spec)
        except UsageError:
            return
        except Exception as error:
            came = type(error).__name__
            raise Broken(f"for faces of {ODD} px without landmarks build raises {came}; UsageError is due") from None


def starts_from_weights(network: Network) -> str | None:
    recipe = network.chosen.value
    known = {field.name: field for field in dataclasses.fields(recipe)}  # type: ignore[arg-type]
    if not {"init", "init_sha256"} & known.keys():
        return "always starts from nothing"
    if missing := {"init", "init_sha256"} - known.keys():
        raise Broken(f"has no field {missing.pop()}; init and init_sha256 go together")
    if known["init"].compare or known["init"].default != "":
        raise Broken('init is part of the key, or not empty; init: str = field(default="", compare=False)')
    if known["init_sha256"].default != "" or not known["init_sha256"].compare:
        raise Broken('init_sha256 is no part of the key; init_sha256: str = field(default="", metadata={LATER: True})')
    with apart(), tempfile.TemporaryDirectory() as folder:
        from safetensors.torch import save_file

        torch.manual_seed(5)
        given = copied(network.trainee.build().state_dict())
        file = Path(folder, "given.safetensors")
        save_file({name: value.contiguous() for name, value in given.items()}, file)
        changes: dict[str, Any] = {"init": str(file), "init_sha256": sha256(file)}
        begun = dataclasses.replace(network.trainee, learner=partial(_begun, network, changes)).begun()
        if name := different(begun.weights(), given):
            raise Broken(
                f"'{name}' is not that of the file in init; load_initial(self.init, self.init_sha256, network)"
            )
    return None


def _trained(rule: Rule[Trainee], network: Network) -> str | None:
    return rule.ask(network.trainee)


def _begun(network: Network, changes: dict[str, Any], built: torch.nn.Module) -> Any:
    recipe = dataclasses.replace(network.chosen.value, **changes)  # type: ignore[type-var]
    return recipe.learner(built, FaceSpec(network.chosen.size, LANDMARKS), PAIRS)


RULES: tuple[Rule[Network], ...] = (
    Rule("builds", "`build` makes a network at every preset that has settings for it", builds),
    Rule("refuses", "`build` raises nothing but `UsageError` where faces do not fit", refuses, ("builds",)),
    *(Rule(rule.name, rule.says, partial(_trained, rule), rule.after or ("builds",)) for rule in trainings.RULES),
    Rule(
        "init",
        "a recipe that has `init` and `init_sha256` starts a training from that file",
        starts_from_weights,
        ("trains",),
    ),
)
