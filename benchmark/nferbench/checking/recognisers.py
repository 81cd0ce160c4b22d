"""Rules of recognisers: what their class scores look like, and that they learn what cannot be missed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import final

import torch
from torch import Tensor, nn

from nferbench.checking import trainings
from nferbench.checking.chance import apart, drawn_from, seed_globals, states
from nferbench.checking.claims import Claim, smallest
from nferbench.checking.rules import Broken, Rule
from nferbench.checking.trainings import CPU, Trainee, followed, update
from nferbench.contract.errors import UsageError
from nferbench.contract.fer import FERModel, LabelledBatch
from nferbench.engine.recognising import check_scores
from nferbench.engine.tracing import META

CLASSES = 2
FACES = 8  # of an update
PATIENCE = 48  # updates in which faces are told apart that differ in what cannot be missed
WIDE = 0.9  # of all faces, half of which chance would get
CLOSE = 1e-4  # of class scores of unit size
LACKED = {"ready", "divides"}  # rules of trainings about what recognisers do not have


@final
@dataclass(frozen=True)
class Recogniser:
    """A recogniser, as the presets have it."""

    claimed: tuple[Claim[FERModel], ...]

    @cached_property
    def chosen(self) -> Claim[FERModel]:
        """The one that is computed with."""
        return smallest(self.claimed, parameters)

    @cached_property
    def trainee(self) -> Trainee:
        """Its training."""
        fer, size = self.chosen.value, self.chosen.size
        return Trainee(
            lambda: fer.build(size, CLASSES),
            lambda network: fer.learner(network, FACES),
            partial(dark_and_bright, size, 0),
            fer.updates(FACES),
            lambda: None,
        )

    @cached_property
    def network(self) -> nn.Module:
        """A network that has seen two updates, so that running statistics are not those of a fresh one."""
        with apart():
            torch.manual_seed(1)
            network = self.trainee.build()
            learner = self.trainee.learner(network)
            for k in range(2):
                update(learner, self.trainee.batch(CPU), k)
        return network.eval()

    def scores(self, images: Tensor) -> Tensor:
        """Class scores of faces."""
        network = self.network
        with torch.inference_mode():
            return self.chosen.value.logits(network, images)


def parameters(fer: FERModel, size: int) -> int:
    """How many the network of a recogniser has."""
    with apart(), torch.device(META):
        return sum(each.numel() for each in fer.build(size, CLASSES).parameters())


def dark_and_bright(size: int, seed: int, device: torch.device) -> LabelledBatch:
    """Faces of two classes: dark ones that are brighter below, and bright ones that are darker below.

    A recogniser that evens brightness out still sees which half is the brighter one.
    """
    rng = torch.Generator("cpu").manual_seed(seed)
    labels = torch.arange(FACES) % CLASSES
    sign = (2.0 * labels - 1).view(-1, 1, 1, 1)
    slope = torch.linspace(1, -1, size).view(1, 1, -1, 1)
    images = sign * (0.5 + 0.3 * slope) + 0.1 * torch.randn(FACES, 1, size, size, generator=rng)
    return LabelledBatch(images.clamp(-1, 1).expand(-1, 3, -1, -1).contiguous().to(device), labels.to(device))


def builds(recogniser: Recogniser) -> str:
    at: dict[int, str] = {}
    for claim in recogniser.claimed:
        try:
            at.setdefault(parameters(claim.value, claim.size), claim.preset)
        except UsageError as error:
            raise Broken(f"at preset {claim.preset}, faces of {claim.size} px: {error}") from None
    return ", ".join(f"{count:,} parameters at {preset}" for count, preset in at.items())


def scores_classes(recogniser: Recogniser) -> None:
    fer = recogniser.chosen.value
    images = dark_and_bright(recogniser.chosen.size, 0, CPU).images
    with apart():
        scores = recogniser.scores(images)
    check_scores(fer.name, scores, (FACES, CLASSES))
    if not bool(torch.isfinite(scores).all()):
        raise Broken("gives class scores that are NaN or infinite")


def scores_repeat(recogniser: Recogniser) -> None:
    images = dark_and_bright(recogniser.chosen.size, 0, CPU).images
    with apart():
        once = recogniser.scores(images)
        seed_globals(123)
        before = states()
        again = recogniser.scores(images)
        if drawn := drawn_from(before):
            raise Broken(f"logits draws from the global generator of {' and '.join(drawn)}; nothing in it is random")
    if not torch.equal(once, again):
        raise Broken("the same faces get other class scores when they are asked again")


def scores_alone(recogniser: Recogniser) -> None:
    images = dark_and_bright(recogniser.chosen.size, 0, CPU).images
    with apart():
        together, alone = recogniser.scores(images), torch.cat([recogniser.scores(image[None]) for image in images])
    off = float((together - alone).abs().max())
    if off > CLOSE * max(1.0, float(together.abs().max())):
        raise Broken(f"class scores of a face alone differ by {off:.2g} from those beside others")


def tells_apart(recogniser: Recogniser) -> str:
    fer, size = recogniser.chosen.value, recogniser.chosen.size
    unseen = dark_and_bright(size, 1, CPU)
    with apart():
        learner = recogniser.trainee.begun()
        network = recogniser.trainee.build()
        for k in range(PATIENCE):
            update(learner, dark_and_bright(size, 2 + k, CPU), k)
            if (k + 1) % 8 and k + 1 != PATIENCE:
                continue
            network.load_state_dict(learner.weights())
            with torch.inference_mode():
                answers = fer.logits(network.eval(), unseen.images).argmax(1)
            right = float((answers == unseen.labels).float().mean())
            if right >= WIDE:
                return f"{right:.0%} after {k + 1} updates"
    raise Broken(f"after {PATIENCE} updates {right:.0%} of dark and bright faces are told apart; chance gets 50 %")


def tests_on_its_device(recogniser: Recogniser) -> None:
    fer, size = recogniser.chosen.value, recogniser.chosen.size
    with apart():
        network = fer.build(size, CLASSES).to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    with followed("cuda") as device, torch.inference_mode():
        images = dark_and_bright(size, 0, device.device).images
        scores = fer.logits(network.to(device.device), images)
        if scores.device.type != device.device.type:
            raise Broken(f"class scores come back on {scores.device}; they are to stay on the device of the faces")


def _trained(rule: Rule[Trainee], recogniser: Recogniser) -> str | None:
    return rule.ask(recogniser.trainee)


RULES: tuple[Rule[Recogniser], ...] = (
    Rule("builds", "`build` makes a network at every preset that has settings for it", builds),
    *(
        Rule(rule.name, rule.says, partial(_trained, rule), tuple(set(rule.after) - LACKED) or ("builds",))
        for rule in trainings.RULES
        if rule.name not in LACKED
    ),
    Rule(
        "scores", "`logits` returns finite class scores, a row a face and a column a class", scores_classes, ("trains",)
    ),
    Rule("scores-repeat", "equal faces get equal class scores", scores_repeat, ("scores",)),
    Rule("scores-alone", "class scores do not depend on batch mates", scores_alone, ("scores-repeat",)),
    Rule("scores-device", "no operation mixes tensors of device and host", tests_on_its_device, ("scores",)),
    Rule("learns", "faces that differ in brightness are told apart after a few updates", tells_apart, ("scores",)),
)
