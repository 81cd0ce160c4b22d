"""What a run will cost, measured: each distinct network is built, and a few updates and evaluations are timed.

Runs in a process of its own (`preflight`), so that the command line never loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nferbench.contract import pixels
from nferbench.contract.errors import NferbenchError
from nferbench.contract.fer import FERModel, LabelledBatch
from nferbench.contract.initial import hear_initial
from nferbench.contract.metric import ImageMetric
from nferbench.contract.noise import ImageNoise
from nferbench.contract.printable import one_line
from nferbench.contract.translator import Batch, NetworkRecipe
from nferbench.datasets.detected import Detected
from nferbench.engine.batches import halving, wanted
from nferbench.engine.how import settle
from nferbench.engine.lost import lost_device
from nferbench.engine.means import Means, given
from nferbench.engine.placing import device_name, placed
from nferbench.engine.scoring import pixel_scores
from nferbench.engine.skeletons import each_tensor, repeated, skeleton
from nferbench.engine.taking import face_of
from nferbench.engine.translating import build
from nferbench.engine.worker import Setup
from nferbench.faces.crops import crop_named
from nferbench.faces.geometry import cut
from nferbench.metrics.published import Lpips
from nferbench.planning.costs import Preflight, cost_key
from nferbench.workspace.stages import (
    GivenImages,
    MeasureTranslation,
    PrepareFaces,
    Recognise,
    ScoreTranslation,
    Stage,
    TrainNetwork,
    Translate,
    key,
    readable,
)

PAIRS = 100  # that a timed training is told of
BUDGET = 3.0  # seconds of timing per distinct network, translator or recogniser, after warming up
LARGE = 20_000_000  # parameters above which updates are timed on few samples and scaled to the batch


def build_all(stages: Sequence[Stage], setup: Setup, known: Mapping[str, float]) -> Preflight:
    """Build every network of some stages and count its parameters.

    Args:
        stages: those that are to run.
        setup: as for a worker.
        known: seconds per unit by cost key, from earlier runs.
    """
    device = torch.device(setup.device)
    settle(setup.how, device)
    problems: list[str] = []
    lacking: list[str] = []
    notes: list[str] = []
    counts: dict[NetworkRecipe, int] = {}
    sizes: dict[NetworkRecipe, int] = {}
    recognisers: set[tuple[FERModel, int]] = set()  # with the side of their faces
    metrics: set[ImageMetric] = set()
    for stage in stages:
        if isinstance(stage, TrainNetwork) and stage.recipe not in counts:
            try:
                network = skeleton(stage.recipe, stage.faces.spec())
            except NferbenchError as error:
                problems.append(str(error))
                continue
            except Exception as error:  # whatever a plugin's build raises
                problems.append(f"{readable(stage)} cannot be built: {one_line(f'{type(error).__name__}: {error}')}")
                continue
            lacking += (lacks := _lacking(stage))
            if not lacks:
                _look_at_initial(stage, network, problems, notes)
            counts[stage.recipe] = sum(parameter.numel() for parameter in network.parameters())
            sizes[stage.recipe] = sum(value.numel() * value.element_size() for value in network.state_dict().values())
        elif isinstance(stage, PrepareFaces) and isinstance(stage.dataset, Detected):
            try:
                stage.dataset.detector.ready()
            except NferbenchError as error:
                problems.append(str(error))
        elif isinstance(stage, Recognise) and (stage.fer, stage.faces.size) not in recognisers:
            recognisers.add((stage.fer, stage.faces.size))
            try:
                stage.fer.build(stage.faces.size, 2)
            except NferbenchError as error:
                problems.append(str(error))
        elif isinstance(stage, MeasureTranslation) and stage.metric not in metrics:
            metrics.add(stage.metric)
            problems += _unready(stage)
    keys = {stage: cost_key(stage, device_name(device)) for stage in stages}
    told, absent, noted = (tuple(dict.fromkeys(each)) for each in (problems, lacking, notes))
    return Preflight(told, absent, counts, sizes, dict(known), keys, noted)


def _unready(stage: MeasureTranslation) -> list[str]:
    """What keeps the metric of a stage from measuring, if anything does."""
    try:
        stage.metric.ready()
    except NferbenchError as error:
        return [str(error)]
    except Exception as error:  # whatever a plugin raises
        return [f"metric {stage.metric.name} is not ready: {one_line(f'{type(error).__name__}: {error}')}"]
    return []


def _lacking(stage: TrainNetwork) -> list[str]:
    """Why a training is not ready to start, if it is not; a plan can be made all the same."""
    try:
        stage.recipe.ready()
    except NferbenchError as error:
        return [str(error)]
    except Exception as error:  # whatever a plugin raises
        return [f"{readable(stage)} is not ready: {one_line(f'{type(error).__name__}: {error}')}"]
    return []


def _look_at_initial(stage: TrainNetwork, network: nn.Module, problems: list[str], notes: list[str]) -> None:
    """Read the weights that a training is to start from, if any: do they fit, and what of them is not used?"""
    if not getattr(stage.recipe, "init", ""):
        return
    try:
        with torch.device("meta"), hear_initial() as heard:
            stage.recipe.learner(network.to("meta"), stage.faces.spec(), PAIRS)
    except NferbenchError as error:
        problems.append(f"{stage.role}: {error}")
    except Exception:  # a learner that reads numbers cannot be made without any; the training will tell
        return
    notes += [f"{stage.role}: {line}" for line in heard]


def time_all(stages: Sequence[Stage], setup: Setup, found: Preflight) -> Iterator[dict[str, float]]:
    """Time what is not known yet, one cost key after the other; what fails stays unknown.

    An error that costs this process its device is the end.
    """
    device = torch.device(setup.device)
    tried = set(found.seconds)
    for stage in stages:
        key = found.keys[stage]
        if key in tried:
            continue
        tried.add(key)
        if isinstance(stage, TrainNetwork) and not stage.recipe.updates(PAIRS):
            continue
        try:
            yield {key: _seconds_per_unit(stage, setup, device)}
        except Exception as error:  # whatever a plugin raises: its stage will raise it again, and be told of then
            if lost_device(error):  # nothing more can be timed in this process
                return


def _seconds_per_unit(stage: Stage, setup: Setup, device: torch.device) -> float:
    if isinstance(stage, PrepareFaces):
        root = setup.roots.get(key(stage))
        some = stage.dataset.listing(root).faces[:4]
        began = time.perf_counter()
        for face in some:
            try:
                picture = stage.dataset.load(face, root, stage.size)
                cut(picture.pixels, crop_named(stage.crop)(picture), stage.size)
            except NferbenchError:
                continue
        return (time.perf_counter() - began) / len(some)
    if isinstance(stage, TrainNetwork):
        return _update_seconds(stage, setup, device)
    if isinstance(stage, Translate):
        return _translation_seconds(stage, setup, device)
    if isinstance(stage, GivenImages):
        files = [Path(file) for _, file in stage.files[:4]]
        began = time.perf_counter()
        for file in files:
            face_of(file, stage.source.size)
        return (time.perf_counter() - began) / len(files)
    if isinstance(stage, ScoreTranslation):
        return _score_seconds(stage, device)
    if isinstance(stage, MeasureTranslation):
        return _measure_seconds(stage, device)
    if isinstance(stage, Recognise):
        network = stage.fer.build(stage.faces.size, 6).to(device)
        learner = stage.fer.learner(network, 100)
        images, labels = _noise(stage.fer.batch_size, stage.faces.size, device), torch.arange(stage.fer.batch_size) % 6
        batch = LabelledBatch(images, labels.to(device))
        rng = torch.Generator(device)
        return _clock(lambda k: learner.step(batch, rng, k), device)
    raise TypeError(f"no way to time a {type(stage).__name__}")


def _update_seconds(stage: TrainNetwork, setup: Setup, device: torch.device) -> float:
    spec = stage.faces.spec()
    network = placed(build(stage.recipe, spec), device, setup.how)
    learner = stage.recipe.learner(network, spec, PAIRS)
    given(learner, Means(setup.how.piece or stage.recipe.batch_size), stage.recipe.batch_size)
    large = sum(parameter.numel() for parameter in network.parameters()) > LARGE
    size = min(stage.recipe.batch_size, 2) if large and device.type == "cpu" else stage.recipe.batch_size
    points = None
    if spec.landmarks:
        points = torch.rand(size, spec.landmarks, 2, device=device) * spec.size
    batch = Batch(_noise(size, spec.size, device), _noise(size, spec.size, device), points, points)
    rng = torch.Generator(device)
    return _clock(lambda k: learner.step(batch, rng, k), device) * stage.recipe.batch_size / size


def _translation_seconds(stage: Translate, setup: Setup, device: torch.device) -> float:
    recipes = stage.translator.networks()
    networks = {
        role: placed(build(recipes[role], need.spec()).requires_grad_(False).eval(), device, setup.how)
        for role, need in zip(sorted(recipes), stage.networks, strict=True)
    }
    batch = wanted(setup.batch, device)

    def timed(count: int) -> float:
        clocks = {role: Clocked(network, device) for role, network in networks.items()}
        began = time.perf_counter()
        with torch.inference_mode():
            vis = _noise(count, stage.source.size, device)
            stage.translator.translate(vis, clocks, ImageNoise(range(count), device))
        _synchronise(device)
        elapsed = time.perf_counter() - began
        calls = sum(clock.calls for clock in clocks.values())
        real = sum(clock.real for clock in clocks.values())
        free = min((clock.stopped for clock in clocks.values() if clock.stopped is not None), default=None)
        if free is not None and real:
            elapsed = (free - began) * calls / real  # the rest of the evaluations were counted, not made
        return elapsed / count

    return halving(min(batch, 8) if device.type == "cpu" else batch, timed)[0]


class Clocked(nn.Module):
    """A network that, once it has been timed for long enough, repeats its last answer so that calls can be counted."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.network = network
        self.calls = 0  # how often it was asked
        self.real = 0  # how often it computed
        self.stopped: float | None = None  # when it stopped computing
        self._device = device
        self._began = time.perf_counter()
        self._answer: Any = None

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            self._began = time.perf_counter()
        if self.real >= 2 and time.perf_counter() - self._began > BUDGET:
            if self.stopped is None:
                _synchronise(self._device)
                self.stopped = time.perf_counter()
            return repeated(self._answer, (args, kwargs))
        self.real += 1
        answer = self.network(*args, **kwargs)
        self._answer = each_tensor(answer, Tensor.detach)
        return answer


def _score_seconds(stage: ScoreTranslation, device: torch.device) -> float:
    size = stage.translation.source.size
    preds, target = (pixels.grey(_noise(4, size, device)) for _ in range(2))
    lpips = Lpips().load(device) if stage.lpips.startswith("lpips") else None
    began = time.perf_counter()
    list(pixel_scores(preds.cpu(), target.cpu()))
    if lpips:
        lpips(preds, target)
    _synchronise(device)
    return (time.perf_counter() - began) / 4


def _measure_seconds(stage: MeasureTranslation, device: torch.device) -> float:
    size = stage.translation.source.size
    faces = [pixels.grey(_noise(4, size, device)) for _ in range(2 if stage.metric.reference else 1)]
    measure = stage.metric.load(device)
    with torch.inference_mode():
        return _clock(lambda k: measure(*faces), device) / 4


def _clock(step: Any, device: torch.device) -> float:
    """Median seconds of one call, after one that warms up."""
    step(0)
    _synchronise(device)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 20 and (len(times) < 2 or time.perf_counter() - began < BUDGET):
        start = time.perf_counter()
        step(len(times) + 1)
        _synchronise(device)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _noise(count: int, size: int, device: torch.device) -> Tensor:
    shape = (count, size, size, 3)
    return pixels.to_float(torch.randint(0, 256, shape, dtype=torch.uint8, device=device))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
