"""Rules of translators: what their faces look like, and that they follow from one face and its noise alone."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from nferbench.checking import holdings
from nferbench.checking.absent import AbsentDevice
from nferbench.checking.chance import apart, drawn_from, seed_globals, states
from nferbench.checking.claims import Claim, smallest
from nferbench.checking.networks import LANDMARKS, parameters
from nferbench.checking.rules import Broken, Rule, Skipped
from nferbench.checking.trainings import copied, different, followed
from nferbench.contract.noise import ImageNoise
from nferbench.contract.pushes import Push, hear_pushes
from nferbench.contract.translator import FaceSpec, Translator
from nferbench.engine import pushing
from nferbench.engine.translating import check_scale, check_shape, check_type

FACES = 3  # of a batch
CLOSE = 1e-4  # of a range of 2: rounding, which some layers do otherwise in batches of another size
MID_GREY = 0.0
FOLLOWED = 6  # evaluations of networks, after which a sampler has shown what its steps do


@final
@dataclass(frozen=True)
class First:
    """What a translator makes of the first faces."""

    images: Any
    pushes: tuple[Push, ...]
    weights: Mapping[str, dict[str, Tensor]]  # of its networks before, by role


@final
@dataclass(frozen=True)
class Method:
    """A translator, as the presets have it."""

    claimed: tuple[Claim[Translator], ...]

    @cached_property
    def chosen(self) -> Claim[Translator]:
        """The one that is computed with."""
        return smallest(self.claimed, _parameters)

    @cached_property
    def pristine(self) -> bytes:
        """The translator before it has translated anything."""
        return pickle.dumps(self.chosen.value)

    @cached_property
    def networks(self) -> Mapping[str, nn.Module]:
        """Networks that have learned nothing; those that begin at zero would hide what an output depends on."""
        spec = FaceSpec(self.chosen.size, LANDMARKS)
        with apart(), torch.no_grad():
            built = {role: recipe.build(spec) for role, recipe in self.chosen.value.networks().items()}
            for network in built.values():
                for parameter in network.parameters():
                    parameter.add_(torch.randn_like(parameter), alpha=0.02)
                network.requires_grad_(False).eval()
        return built

    @cached_property
    def first(self) -> First:
        """The first translation."""
        before = {role: copied(network.state_dict()) for role, network in self.networks.items()}
        with apart(), hear_pushes() as heard:
            images = self.translated((0, 1, 2))
        return First(images, tuple(heard), before)

    def fresh(self) -> Translator:
        """The translator as it was before it translated anything."""
        translator: Translator = pickle.loads(self.pristine)
        return translator

    def translated(self, faces: tuple[int, ...], translator: Translator | None = None) -> Any:
        """What a translator makes of some faces, each with noise of its own."""
        networks, vis, noise = self.networks, self.vis(faces), ImageNoise([1000 + face for face in faces])
        with torch.inference_mode():
            return (translator or self.fresh()).translate(vis.clone(), networks, noise)

    def vis(self, faces: tuple[int, ...]) -> Tensor:
        """Faces of noise, by number."""
        shape = (3, self.chosen.size, self.chosen.size)
        streams = [torch.Generator().manual_seed(face) for face in faces]
        return torch.stack([torch.rand(shape, generator=stream) * 2 - 1 for stream in streams])


def _parameters(translator: Translator, size: int) -> int:
    return 1 + sum(parameters(recipe, size) for recipe in translator.networks().values())


def has_shape(method: Method) -> str:
    check_shape(method.chosen.value.name, method.first.images, method.vis((0, 1, 2)))
    return f"computed with as at {method.chosen.preset}, faces of {method.chosen.size} px"


def has_type(method: Method) -> None:
    check_type(method.chosen.value.name, method.first.images)


def has_range(method: Method) -> str | None:
    images = method.first.images.float()
    if not bool(torch.isfinite(images).all()):
        raise Broken("gives NaN or infinity")
    check_scale(method.chosen.value.name, images)
    if images.min() >= MID_GREY:
        return "no pixel is darker than mid-grey, as if in 0 to 1 where -1 to 1 is due"
    return None


def is_deterministic(method: Method) -> None:
    with apart():
        again = method.translated((0, 1, 2))
    if off := apart_by(method.first.images, again):
        raise Broken(f"the same faces with the same noise and the same seeds give faces that differ by {off:.2g}")


def takes_noise_only(method: Method) -> None:
    with apart():
        seed_globals(123)
        before = states()
        again = method.translated((0, 1, 2))
        drawn = drawn_from(before)
    if drawn:
        raise Broken(f"draws from the global generator of {' and '.join(drawn)}; take randomness from `noise`")
    if off := apart_by(method.first.images, again):
        raise Broken(
            f"with other seeds of the global generators faces differ by {off:.2g}; take randomness from `noise`"
        )


def keeps_nothing(method: Method) -> None:
    translator = method.fresh()
    # Constants that are made once are there by now.
    before, around = holdings.of_instance(translator), holdings.around(translator)
    with apart():
        method.translated((3, 4, 1), translator)
    with apart():
        again = method.translated((0, 1, 2), translator)
    if name := holdings.changed(before, holdings.of_instance(translator)):
        raise Broken(f"translating leaves something in the instance, at '{name}'")
    if name := holdings.changed(around, holdings.around(translator)):
        raise Broken(f"translating leaves something in '{name}'")
    if off := apart_by(method.first.images, again):
        raise Broken(f"the same faces, translated after others, differ by {off:.2g}")


def leaves_networks(method: Method) -> None:
    for role, network in method.networks.items():
        if name := different(method.first.weights[role], network.state_dict()):
            raise Broken(f"translating changes '{name}' of network {role}")
        if any(part.training for part in network.modules()):
            raise Broken(f"translating leaves network {role} in train mode")


def ignores_order(method: Method) -> str | None:
    return _alike(method, (2, 0, 1), "in another order")


def ignores_batch_mates(method: Method) -> str | None:
    return _alike(method, (3, 1, 4), "beside other faces")


def ignores_batch_size(method: Method) -> str | None:
    return _alike(method, (1,), "alone")


def _alike(method: Method, faces: tuple[int, ...], how: str) -> str | None:
    with apart():
        images = method.translated(faces)
    known = {face: row for row, face in enumerate(faces) if face < FACES}
    off = max(apart_by(method.first.images[face], images[row]) for face, row in known.items())
    if off > CLOSE:
        raise Broken(f"a face that is translated {how} differs by {off:.2g}")
    return f"but for rounding, {off:.1g}" if off else None


def apart_by(images: Tensor, others: Tensor) -> float:
    """The largest difference of two batches; 0 where they agree to the bit, NaN counting as a number."""
    if images.shape != others.shape or images.dtype != others.dtype:
        return float("inf")
    return float((images.double().nan_to_num() - others.double().nan_to_num()).abs().max()) if images.numel() else 0.0


def notes_pushes(method: Method) -> str | None:
    pushing.by_face(method.first.pushes, FACES, FACES)
    return None if method.first.pushes else "notes none"


def stays_on_its_device(method: Method) -> str | None:
    try:
        whole = _follows(method, "cuda")
    except (Broken, Skipped):
        raise
    except Exception:  # fake tensors know no backward pass, and not all of torch
        whole = _follows(method, "meta")
    return None if whole else f"followed for {FOLLOWED} evaluations of its networks"


def _follows(method: Method, kind: Literal["cuda", "meta"]) -> bool:
    """Translate on a device that this machine lacks; whether to the end."""
    vis, recipes = method.vis((0, 1)), method.chosen.value.networks()
    spec = FaceSpec(method.chosen.size, LANDMARKS)
    with apart():
        # In the layout of `placed` and then moved: torch cannot move weights twice when they are fake.
        built = {role: recipe.build(spec).to(memory_format=torch.contiguous_format) for role, recipe in recipes.items()}
    whole = False
    with followed(kind) as device:
        networks = {role: network.requires_grad_(False).eval().to(device.device) for role, network in built.items()}
        _watch(device, networks)
        there = vis.to(device.device)
        with torch.inference_mode(), suppress(_Over), hear_pushes():
            images = method.fresh().translate(there, networks, ImageNoise((1, 2), device.device))
            if images.device.type != device.device.type:
                raise Broken(f"faces come back on {images.device}; they are to stay on the device of `vis`")
            whole = True
            raise _Over
    return whole


class _Over(Exception):
    """Ends a block before what was heard in it is read: it has no values."""


def _watch(device: AbsentDevice, networks: Mapping[str, nn.Module]) -> None:
    """From the second evaluation on of the network that is evaluated first, nothing may come from the host."""
    evaluated: list[nn.Module] = []

    def note(network: nn.Module, _: object) -> None:
        device.settled = network in evaluated[:1] or device.settled
        if len(evaluated) == FOLLOWED:
            raise _Over
        evaluated.append(network)

    for network in networks.values():
        network.register_forward_pre_hook(note)


ALONE = ("noise", "stateless")
RULES: tuple[Rule[Method], ...] = (
    Rule("shape", "`translate` returns a tensor of the shape of its input", has_shape),
    Rule("type", "`translate` returns floating point", has_type, ("shape",)),
    Rule("range", "`translate` returns finite values in [-1, 1]", has_range, ("type",)),
    Rule(
        "leaves-networks",
        "`translate` leaves weights and mode of its networks as they are",
        leaves_networks,
        ("shape",),
    ),
    Rule("deterministic", "equal faces and equal noise give equal outputs", is_deterministic, ("leaves-networks",)),
    Rule(
        "noise",
        "`translate` takes all randomness from `noise`, and leaves global generators alone",
        takes_noise_only,
        ("deterministic",),
    ),
    Rule(
        "stateless",
        "`translate` keeps nothing in the instance, its class or its module",
        keeps_nothing,
        ("deterministic",),
    ),
    Rule(
        "batch-size", "an output does not depend on how many faces are translated at a time", ignores_batch_size, ALONE
    ),
    Rule("batch-mates", "an output does not depend on its batch mates", ignores_batch_mates, ALONE),
    Rule("order", "an output does not depend on its place in the batch", ignores_order, ALONE),
    Rule("pushes", "pushes that are noted have their form, each face once a step", notes_pushes, ("shape",)),
    Rule("device", "no operation mixes tensors of device and host", stays_on_its_device, ("shape",)),
)
