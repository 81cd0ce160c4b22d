"""What can be known of a GPU without one: nothing is left on the host, and no loop waits for the device.

Methods and recognisers as they come are checked as plugins are (tests/benchmark/checking/test_built_ins.py); here are
variants, and what is around them. Translators, recognisers and metrics compute on fake `cuda` tensors; trainings, and
translators that differentiate energies, on `meta` (see `nferbench.checking.absent`). Trajectories are cut to three
steps: a first, one between, a last. Values, kernels, memory and speed cannot be seen; they are for `pytest -m gpu`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torchvision.models import vgg19

from nferbench import Batch, FaceSpec, FERModel, LabelledBatch, Translator, hear_pushes
from nferbench.checking.absent import AbsentDevice, Refused, absent
from nferbench.contract import pixels
from nferbench.contract.dataset import Face
from nferbench.contract.noise import ImageNoise
from nferbench.contract.translator import NetworkRecipe
from nferbench.engine import compared, fitting, means, measuring, recognising, scoring
from nferbench.engine.how import How
from nferbench.engine.placing import placed
from nferbench.engine.training import Steps
from nferbench.faces.prepared import PreparedFaces
from nferbench.metrics.perceptual import load_lpips
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.weights import Found, find

PLUGINS = load_plugins(installed=False)
SETTINGS = resolve(Request(preset="quick", methods=("all", "ablation")), PLUGINS)
ROWS = {row.name: row.translator for row in SETTINGS.rows}
SPEC = FaceSpec(SETTINGS.size, 68)
FACES = 2


def changed(name: str, role: str, recipe: dict[str, Any], **fields: Any) -> Translator:
    """A row with other fields of one of its recipes, whose network then starts from no weights, and of its own."""
    row = ROWS[name]
    return replace(row, **{role: replace(getattr(row, role), init="", init_sha256="", **recipe)}, **fields)


VARIANTS: dict[str, Translator] = {
    "pix2pix in eval": replace(ROWS["pix2pix"], test_mode="eval"),
    "pix2pix in grey": changed("pix2pix", "generator", {"tie_grey": True, "jitter": 1}),
    "cyclegan in grey": changed(
        "cyclegan", "generator", {"tie_grey": True, "grey_source": True, "identity_weight": 0, "pool": 0}
    ),
    "cyclegan with a pool that is full": changed("cyclegan", "generator", {"pool": 1}),
    "hifacegan by instance": changed("hifacegan", "generator", {"tie_grey": True, "normalisation": "instance"}),
    "ilvr of the paper": replace(
        ROWS["ilvr"], reference_noise="paper", kernel="linear", grey_reference=True, variance="fixed-small"
    ),
    "sr3 of the paper": changed(
        "sr3", "score", {"noise_level": "gamma", "shared_t": True, "p": 2}, variance="fixed-large", clamp_x0=False
    ),
    "sdedit twice": replace(ROWS["sdedit"], repeats=2, grey_source=True, variance="learned-range"),
    "egsde without a classifier": replace(ROWS["egsde"], lambda_s=0, similarity_i="cosine", kernel="bicubic"),
    "egsde in grey, twice": changed(
        "egsde",
        "domains",
        {"grey_source": True, "flip": False},
        grey_source=True,
        similarity_s="neg-l2",
        resample_source_noise=True,
        repeats=2,
    ),
    "t2v-ddpm from its first step": replace(ROWS["t2v-ddpm"], start_level="first-step"),
    "nfer-sde by Euler-Maruyama": replace(
        ROWS["cond+ef"],
        discretisation="euler-maruyama",
        reduction="mean",
        kernel="box",
        resample_source_noise=True,
    ),
}
TRANSLATORS = {translator: name for name, translator in VARIANTS.items()}
NAMES = {recipe: f"{name}-{role}" for name, row in VARIANTS.items() for role, recipe in row.networks().items()}
RECIPES = {name: recipe for recipe, name in NAMES.items()}
RECOGNISERS: dict[str, FERModel] = {
    name: resolve(Request(preset="quick", fer=name), PLUGINS).fer for name in PLUGINS.fer_models if name != "timm"
}
if find_spec("timm"):  # an extra
    RECOGNISERS["timm"] = resolve(
        Request(preset="quick", fer="timm", changes=("fer-models.timm.backbone=test_vit",)), PLUGINS
    ).fer
RECOGNISERS["resnet18 in colour"] = replace(RECOGNISERS["resnet18"], stem="small", luminance=False)  # type: ignore[type-var]


def short(translator: Any) -> Translator:
    """The translator with three reverse steps, or, where it has no steps, itself."""
    if hasattr(translator, "start_step"):
        return replace(translator, start_step=3, steps=None)
    if hasattr(translator, "skip"):
        return replace(translator, steps=4, skip=1)
    if hasattr(translator, "range_t"):
        return replace(translator, steps=3, range_t=0)
    return replace(translator, steps=3) if hasattr(translator, "steps") else translator


def settle_in_the_second_step(device: AbsentDevice, networks: dict[str, nn.Module]) -> None:
    """From the second evaluation on of the network that is evaluated first, nothing may come from the host."""
    evaluated: list[nn.Module] = []

    def note(network: nn.Module, _: object) -> None:
        device.settled = network in evaluated[:1] or device.settled
        evaluated.append(network)

    for network in networks.values():
        network.register_forward_pre_hook(note)


class Over(Exception):
    """Ends a block before what was heard in it is read."""


@pytest.mark.parametrize("translator", TRANSLATORS, ids=list(TRANSLATORS.values()))
def test_a_translation_stays_on_the_device_and_waits_for_nothing(translator: Translator) -> None:
    translator = short(translator)
    recipes = translator.networks()
    kind: Literal["cuda", "meta"] = "meta" if {"domains", "heatmaps"} & recipes.keys() else "cuda"
    # In the layout of `placed` and then moved: torch cannot move the weights of a network twice when they are fake.
    built = {role: recipe.build(SPEC).to(memory_format=torch.contiguous_format) for role, recipe in recipes.items()}
    with absent(kind) as device:
        networks = {role: network.requires_grad_(False).eval().to(device.device) for role, network in built.items()}
        settle_in_the_second_step(device, networks)
        faces = torch.zeros(FACES, SPEC.size, SPEC.size, 3, dtype=torch.uint8).to(device.device)
        with torch.inference_mode(), suppress(Over), hear_pushes():
            vis = pixels.to_float(faces)
            images = translator.translate(vis, networks, ImageNoise(range(FACES), device.device))
            raise Over
        stored = pixels.to_uint8(pixels.grey(images))
    assert stored.shape == faces.shape and stored.device.type == kind


def batch(spec: FaceSpec, recipe: NetworkRecipe, device: torch.device) -> Batch:
    vis, nir = (torch.zeros(recipe.batch_size, 3, spec.size, spec.size, device=device) for _ in range(2))
    points = torch.zeros(recipe.batch_size, spec.landmarks, 2, device=device)
    return Batch(vis, nir, points, points)


def check_updates(fresh: Callable[[], Steps], given: object, rows: int, device: AbsentDevice) -> None:
    """Two updates, and one after a resume, with less memory if it can; only the first may bring constants."""
    rng = torch.Generator(device.device)
    learner = fresh()
    learner.step(given, rng, 0)
    device.settled = True
    losses = learner.step(given, rng, 1)
    assert losses and all(loss.device == device.device and not loss.requires_grad for loss in losses.values())
    device.settled = False
    # A checkpoint is read onto the device whole, with what the learner had on the host.
    state = tree_map(lambda leaf: leaf.to(device.device) if isinstance(leaf, Tensor) else leaf, learner.state_dict())
    resumed = fresh()
    resumed.load_state_dict(state)
    means.given(resumed, means.Means(-(-rows // 2), recompute=True), rows)
    device.settled = True
    resumed.step(given, rng, 2)


def trained(recipe: NetworkRecipe, spec: FaceSpec, device: AbsentDevice) -> Steps:
    return recipe.learner(placed(recipe.build(spec), device.device), spec, 16)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_an_update_stays_on_the_device_and_waits_for_nothing(recipe: NetworkRecipe) -> None:
    with absent("meta") as device:
        given = batch(SPEC, recipe, device.device)
        check_updates(lambda: trained(recipe, SPEC, device), given, recipe.batch_size, device)


def test_so_does_an_update_with_the_perceptual_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        shapes = vgg19(weights=None, init_weights=False).state_dict()
    monkeypatch.setattr("nferbench.weights.require", lambda name: name)
    monkeypatch.setattr("nferbench.weights.load", lambda found: {k: torch.empty(v.shape) for k, v in shapes.items()})
    spec = FaceSpec(64, 68)
    recipe = changed("hifacegan", "generator", {"perceptual": "vgg19"}).networks()["generator"]
    with absent("meta") as device:
        learner = trained(recipe, spec, device)  # the same twice: VGG19 comes to the device in its first update
        check_updates(lambda: learner, batch(spec, recipe, device.device), recipe.batch_size, device)


@pytest.mark.parametrize("fer", RECOGNISERS.values(), ids=list(RECOGNISERS))
def test_so_does_an_update_of_a_recogniser(fer: FERModel) -> None:
    with absent("meta") as device:
        images = torch.zeros(fer.batch_size, 3, SPEC.size, SPEC.size, device=device.device)
        labels = torch.zeros(fer.batch_size, dtype=torch.int64, device=device.device)

        def fresh() -> Steps:
            return fer.learner(placed(fer.build(SPEC.size, 7), device.device), 100)

        check_updates(fresh, LabelledBatch(images, labels), fer.batch_size, device)


@pytest.mark.parametrize("fer", RECOGNISERS.values(), ids=list(RECOGNISERS))
def test_faces_are_recognised_on_the_device(fer: FERModel) -> None:
    network = fer.build(SPEC.size, 7).to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    with absent("cuda") as device, torch.inference_mode():
        faces = torch.zeros(FACES, SPEC.size, SPEC.size, 3, dtype=torch.uint8).to(device.device)
        scores = fer.logits(network.to(device.device), pixels.to_float(faces))
    assert scores.shape == (FACES, 7) and scores.device.type == "cuda"


def test_lpips_is_computed_on_the_device() -> None:
    if not all(isinstance(find(name), Found) for name in ("alexnet", "lpips-heads")):
        pytest.skip("the weights of LPIPS are missing")
    with absent("meta") as device:  # a network with two names for one layer: fake weights cannot be moved twice
        preds, target = torch.zeros(2, FACES, 3, 64, 64).to(device.device)
        distances = load_lpips(device.device)(preds, target)
    assert distances.shape == (FACES,) and distances.device.type == "meta"


@pytest.fixture
def translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[torch.device], Any]:
    """What stages that look at translated faces are done with, on a device; they write to `tmp_path`."""
    faces = tuple(Face(f"{n}-{m}", m, str(n), "happy", str(n)) for n in range(FACES) for m in ("nir", "vis"))
    images = np.random.default_rng(0).integers(0, 256, (len(faces), 32, 32, 3), np.uint8)
    monkeypatch.setattr(compared, "prepared_faces", lambda stage, context: PreparedFaces(images, None, faces))
    monkeypatch.setattr(compared, "translated_faces", lambda stage, context: (images[1::2], faces[1::2]))
    store = SimpleNamespace(partial=lambda stage: tmp_path)
    return lambda device: SimpleNamespace(device=device, store=store, progress=lambda done, total: None)


def test_faces_go_to_the_device_for_lpips_and_stay_on_the_host_for_psnr_and_ssim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, translated: Callable[[torch.device], Any]
) -> None:
    given: list[Tensor] = []

    def metric(preds: Tensor, target: Tensor) -> Tensor:
        given.extend((preds, target))
        return torch.zeros(len(preds))  # of an absent device, no number could be read

    monkeypatch.setattr(scoring, "Lpips", lambda: SimpleNamespace(load=lambda device: metric))
    stage: Any = SimpleNamespace(translation=SimpleNamespace(source=None), lpips="lpips")
    with absent("cuda") as device:
        scoring.score_faces(stage, translated(device.device))
    assert [each.device.type for each in given] == ["cuda", "cuda"]
    assert (tmp_path / "scores.csv").read_text().count("\n") == FACES + 1


def test_faces_go_to_the_device_for_any_other_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, translated: Callable[[torch.device], Any]
) -> None:
    given: list[Tensor] = []

    def measure(*faces: Tensor) -> Tensor:
        given.extend(faces)
        return torch.zeros(len(faces[0]))

    entry = SimpleNamespace(info={"files": {"images.npy": {"sha256": "0"}}})
    monkeypatch.setattr(measuring, "entry_of", lambda stage, context: entry)
    metric = SimpleNamespace(name="m", lacking="", reference=True, load=lambda device: measure)
    stage: Any = SimpleNamespace(translation=SimpleNamespace(source=None), metric=metric)
    with absent("cuda") as device:
        measuring.measure_faces(stage, translated(device.device))
    assert [each.device.type for each in given] == ["cuda", "cuda"]
    assert (tmp_path / "scores.csv").read_text().count("\n") == FACES + 1


class Reached(Exception):
    """Ends a stage where it would train, with the function that makes its batches."""

    def __init__(self, *arguments: Any, **_: Any) -> None:
        self.batch_of = arguments[1]


@pytest.mark.parametrize("module", [fitting, recognising], ids=["a network", "a recogniser"])
def test_batches_are_put_together_on_the_device(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    faces = tuple(Face(f"{n}-{m}", m, str(n), "fear", str(n)) for n in range(4) for m in ("nir", "vis"))
    images, points = np.zeros((8, 32, 32, 3), np.uint8), np.zeros((8, 68, 2), np.float32)
    rows = np.array([0, 2, 1])

    def reached(*arguments: Any, **_: Any) -> None:
        raise Reached(*arguments)

    monkeypatch.setattr(module, "prepared_faces", lambda stage, context: PreparedFaces(images, points, faces))
    monkeypatch.setattr(module, "train", reached)
    monkeypatch.setattr(module, "readable", lambda stage: "a stage")
    monkeypatch.setattr(fitting, "key", lambda stage: "a key")
    monkeypatch.setattr(fitting, "_means", lambda stage, context: means.Means(1))
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor)  # which only a machine with a GPU can
    fold, recipe = SimpleNamespace(test=("3",), index=0), ROWS["pix2pix"].networks()["generator"]
    stage: Any = SimpleNamespace(faces=None, fold=fold, recipe=recipe, fer=RECOGNISERS["smallcnn"])
    stage.extra, stage.seed, stage.repeat = None, 0, 0
    with absent("cuda") as device:
        context: Any = SimpleNamespace(device=device.device, how=How(piece=1), unfinished=lambda stage: None)
        context.progress = context.tell = context.stopping = context.checkpoint_seconds = None
        with pytest.raises(Reached) as stopped:
            {fitting: fitting.fit, recognising: recognising.recognise}[module](stage, context)
        batch = stopped.value.batch_of(np.stack([rows, rows]) if module is fitting else rows)
        made = [value for value in vars(batch).values() if value is not None]
    assert len(made) >= 2 and all(value.device.type == "cuda" and len(value) == 3 for value in made)


class Loop(nn.Module):
    """Three steps of a convolution, and something after each."""

    def __init__(self, after: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.convolution(x)
            self.after(x)
        return x


KINDS: tuple[Literal["cuda", "meta"], ...] = ("cuda", "meta")
HARMLESS: dict[str, Callable[[Tensor], object]] = {
    "nothing": lambda x: None,
    "a number": lambda x: x * 2.0 + torch.tensor(3.0),
    "constants made there": lambda x: torch.arange(3, device=x.device) + torch.zeros_like(x[0, 0, 0, 0]),
    "a choice made there": lambda x: torch.where(x > 0, x, 0.0).masked_fill(x < 0, 1.0),
    "a read of the host's": lambda x: (torch.ones(2) > 0).tolist(),
}
READS: dict[str, Callable[[Tensor], object]] = {
    "cpu": lambda x: x.cpu(),
    "to": lambda x: x.to("cpu", torch.float64),
    "copy": lambda x: torch.empty(x.shape).copy_(x),
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.detach().mean()),
    "tolist": lambda x: x.flatten().tolist(),
    "bool": lambda x: bool(torch.isfinite(x).all()),
    "equal": lambda x: torch.equal(x, x + 1),
    "nonzero": lambda x: x.nonzero(),
    "truth values": lambda x: x[x > 0],
}
UPLOADS: dict[str, Callable[[Tensor], object]] = {
    "to": lambda x: torch.ones(3).to(x.device),
    "to of another type": lambda x: torch.ones(3).to(x.device, torch.float64),
    "as another": lambda x: torch.ones(3).to(x),
    "tensor": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "new_tensor": lambda x: x.new_tensor((0.299, 0.587, 0.114)),
    "from_numpy": lambda x: torch.from_numpy(np.ones(3)).to(x.device),
    "copy": lambda x: torch.empty_like(x).copy_(torch.zeros(x.shape)),
    "a list of places": lambda x: x[..., [0, 1]],
}
MIXES: dict[str, Callable[[Tensor], object]] = {
    "convolution": lambda x: nn.functional.conv2d(x, torch.ones(3, 3, 1, 1)),
    "bias": lambda x: nn.functional.conv2d(x, torch.ones(3, 3, 1, 1, device=x.device), torch.ones(3)),
    "matmul": lambda x: x @ torch.ones(4, 4),
    "linear": lambda x: nn.functional.linear(x, torch.ones(4, 4)),
    "addition": lambda x: x + torch.ones(4),
    "places": lambda x: x[..., torch.tensor([0, 1])],
}


def loop(kind: Literal["cuda", "meta"], after: Callable[[Tensor], object], inference: bool) -> None:
    with absent(kind) as device, torch.inference_mode(inference):
        network = Loop(after).to(device.device)
        x = torch.zeros(1, 3, 4, 4).to(device.device)
        device.settled = True
        network(x)


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("kind", KINDS)
class TestTheTests:
    @pytest.mark.parametrize("what", HARMLESS)
    def test_what_costs_nothing_passes(self, kind: Literal["cuda", "meta"], inference: bool, what: str) -> None:
        loop(kind, HARMLESS[what], inference)

    @pytest.mark.parametrize("what", READS)
    def test_a_read_in_a_loop_is_found(self, kind: Literal["cuda", "meta"], inference: bool, what: str) -> None:
        with pytest.raises(Refused, match="waits for the device"):
            loop(kind, READS[what], inference)

    @pytest.mark.parametrize("what", UPLOADS)
    def test_a_copy_to_the_device_in_a_loop_is_found(
        self, kind: Literal["cuda", "meta"], inference: bool, what: str
    ) -> None:
        with pytest.raises(Refused, match="from the host, inside of a loop"):
            loop(kind, UPLOADS[what], inference)

    @pytest.mark.parametrize("what", MIXES)
    def test_a_tensor_left_on_the_host_is_found(
        self, kind: Literal["cuda", "meta"], inference: bool, what: str
    ) -> None:
        with pytest.raises(Refused, match="and on cpu"):
            loop(kind, MIXES[what], inference)
