"""The built-in recognisers: their views of faces, what they learn, and that a training can be interrupted."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn
from torchvision.transforms.functional import normalize, rgb_to_grayscale
from unread import Unread

from nferbench import FERLearner, FERModel, LabelledBatch, UsageError
from nferbench.contract import precision
from nferbench.engine.training import sample_order
from nferbench.recognisers import resnet18, smallcnn
from nferbench.recognisers.augment import (
    erased,
    imagenet_normalised,
    jittered,
    luminance,
    random_view,
    resized,
)
from nferbench.recognisers.resnet18 import ResNet18
from nferbench.recognisers.smallcnn import SmallCNN

CLASSES = 6
MODELS: tuple[FERModel, ...] = (SmallCNN(), ResNet18(input_size=28))

# Mouth curvature, mouth opening, slope and height of the brows of six expressions.
SHAPES = ((-0.2, 0.0, 0.4, 0.02), (-0.4, 0.03, 0.1, 0.03), (0.0, 0.09, -0.4, 0.07))
SHAPES += ((0.6, 0.02, 0.0, 0.05), (-0.6, 0.0, -0.4, 0.03), (0.0, 0.14, 0.0, 0.1))


@pytest.fixture(autouse=True)
def one_thread() -> Iterable[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def noise(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=generator(seed)) * 2 - 1


def drawn_faces(count: int, side: int, seed: int) -> LabelledBatch:
    """Grey faces of six expressions that vary in strength, place, light and noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side - 0.5
    images = []
    for label in labels:
        drawn = SHAPES[label] * rng.uniform(0.6, 1.2, 4) + rng.normal(0, (0.06, 0.008, 0.05, 0.006))
        curve, opening, slope, height = drawn
        u, v = x - rng.uniform(-0.03, 0.03), y - rng.uniform(-0.03, 0.03)
        face = 0.6 * ((u / 0.36) ** 2 + (v / 0.46) ** 2 < 1)
        for side_of_face in (-1, 1):
            across = u - side_of_face * 0.15
            brow = v + 0.16 + height - slope * across * side_of_face
            face = face - 0.4 * np.exp(-((across / 0.05) ** 2) - ((v + 0.1) / 0.025) ** 2)
            face = face - 0.3 * np.exp(-((across / 0.08) ** 4) - (brow / 0.015) ** 2)
        mouth = v - 0.22 + curve * (u / 0.2) ** 2 * 0.2
        face = face - 0.4 * np.exp(-((u / 0.13) ** 4) - (mouth / (0.015 + opening / 2)) ** 2)
        face = face * rng.uniform(0.7, 1.3) + rng.normal(0, 0.05, face.shape) + rng.uniform(0, 0.3)
        images.append(face.clip(0, 1) * 2 - 1)
    stacked = torch.from_numpy(np.stack(images)).float()
    return LabelledBatch(stacked[:, None].expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(labels))


def built(model: FERModel, side: int, samples: int) -> tuple[nn.Module, FERLearner]:
    torch.manual_seed(0)
    network = model.build(side, CLASSES)
    return network, model.learner(network, samples)


def steps(learner: FERLearner, data: LabelledBatch, batch_size: int, updates: Iterable[int]) -> list[float]:
    """Do these updates as the training loop does them; the losses."""
    order, rng, losses = sample_order(len(data.labels), batch_size, seed=5), Generator(), []
    for k in updates:
        torch.manual_seed(k)
        rng.manual_seed(k)
        rows = torch.from_numpy(order(k))
        terms = learner.step(LabelledBatch(data.images[rows], data.labels[rows]), rng, k)
        losses.append(float(sum(terms.values())))
    return losses


def accuracy(model: FERModel, network: nn.Module, data: LabelledBatch) -> float:
    network.eval()
    with torch.inference_mode():
        return float((model.logits(network, data.images).argmax(1) == data.labels).float().mean())


def test_the_small_cnn_learns_six_expressions_from_a_few_hundred_faces() -> None:
    model, data, unseen = SmallCNN(), drawn_faces(240, 32, seed=0), drawn_faces(240, 32, seed=1)
    network, learner = built(model, 32, 240)
    assert accuracy(model, network, unseen) < 0.35
    steps(learner, data, model.batch_size, range(model.updates(240)))
    assert accuracy(model, network, unseen) > 0.6  # 0.78 to 0.82 from six starts; chance is 0.17


def test_resnet18_fits_a_handful_of_faces() -> None:
    model = ResNet18(input_size=28, batch_size=12, lr=1e-3, jitter=0.0, erasing=0.0, decay=1.0)
    _, learner = built(model, 32, 12)
    losses = steps(learner, drawn_faces(12, 32, seed=0), 12, range(25))
    assert sum(losses[-5:]) / 5 < 0.6 * losses[0]  # a tenth to a third from eight starts


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_an_interrupted_training_ends_bit_for_bit_like_an_undisturbed_one(model: FERModel) -> None:
    data = drawn_faces(24, 32, seed=0)
    _, straight = built(model, 32, 24)
    losses = steps(straight, data, 8, range(6))

    _, first = built(model, 32, 24)
    assert steps(first, data, 8, range(3)) == losses[:3]
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    torch.manual_seed(99)
    second = model.learner(model.build(32, CLASSES), 24)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert steps(second, data, 8, range(3, 6)) == losses[3:]

    before, after = straight.weights(), second.weights()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert any(not torch.equal(first.weights()[key], after[key]) for key in after)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_an_answer_depends_neither_on_the_batch_nor_on_chance(model: FERModel) -> None:
    data = drawn_faces(16, 32, seed=0)
    network, learner = built(model, 32, 16)
    steps(learner, data, 8, range(2))  # so that running statistics are not those of a fresh network
    network.eval()
    with torch.inference_mode():
        together = model.logits(network, data.images)
        alone = torch.cat([model.logits(network, image[None]) for image in data.images])
        assert torch.equal(together, model.logits(network, data.images))
    assert together.shape == (16, CLASSES)
    assert torch.allclose(together, alone, rtol=0, atol=1e-4)
    assert together.std(dim=0).max() > 1e-3  # the faces do get different answers


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("side", [8, 32])
def test_a_batch_of_one_face_can_be_trained_on(model: FERModel, side: int) -> None:
    _, learner = built(model, side, 1)
    (loss,) = steps(learner, drawn_faces(1, side, seed=0), 1, [0])
    assert math.isfinite(loss)
    assert all(value.isfinite().all() for value in learner.weights().values())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_tint_of_equal_luminance_changes_no_answer(model: FERModel) -> None:
    network, _ = built(model, 32, 8)
    network.eval()
    grey = drawn_faces(8, 32, seed=0).images * 0.5
    tint = torch.tensor([0.3, -0.299 * 0.3 / 0.587, 0.0]).view(1, 3, 1, 1)  # Rec. 601 weighs it to zero
    with torch.inference_mode():
        plain, tinted = model.logits(network, grey), model.logits(network, grey + tint)
        assert torch.allclose(plain, tinted, rtol=0, atol=1e-4)
        if isinstance(model, ResNet18):
            seeing = ResNet18(input_size=28, luminance=False)
            assert not torch.allclose(seeing.logits(network, grey), seeing.logits(network, grey + tint), atol=1e-3)


@pytest.mark.parametrize(
    ("model", "samples", "updates"),
    [(SmallCNN(epochs=3, batch_size=8), 20, 8), (ResNet18(epochs=3, batch_size=8), 20, 8), (ResNet18(), 1152, 720)],
)
def test_a_full_training_sees_every_face_once_an_epoch(model: FERModel, samples: int, updates: int) -> None:
    assert model.updates(samples) == updates


def test_the_rate_of_resnet18_falls_by_a_tenth_an_epoch() -> None:
    model = ResNet18(input_size=28, batch_size=2, lr=1.0)
    _, learner = built(model, 32, 4)
    data = drawn_faces(4, 32, seed=0)
    rates = []
    for k in range(6):
        steps(learner, data, 2, [k])
        rates.append(learner.state_dict()["optimiser"]["param_groups"][0]["lr"])
    assert rates == pytest.approx([1.0, 1.0, 0.9, 0.9, 0.81, 0.81])


def test_the_networks_have_the_sizes_that_are_promised() -> None:
    sizes = [sum(p.numel() for p in model.build(32, CLASSES).parameters()) for model in MODELS]
    assert 100_000 < sizes[0] < 500_000
    assert sizes[1] == 11_176_512 + 513 * CLASSES  # He et al. 2016 without the last layer, and ours


@pytest.mark.parametrize(("side", "seen"), [(256, 224), (96, 224)])
def test_resnet18_sees_224_pixels_in_training_and_testing(side: int, seen: int) -> None:
    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(CLASSES))
            self.shapes: list[tuple[int, ...]] = []

        def forward(self, images: Tensor) -> Tensor:
            self.shapes.append(tuple(images.shape))
            return images.mean() * self.scale.expand(len(images), -1)

    spy, model = Spy(), ResNet18()
    steps(model.learner(spy, 2), LabelledBatch(noise(2, side), torch.tensor([0, 1])), 2, [0])
    model.logits(spy, noise(2, side))
    assert spy.shapes == [(2, 3, seen, seen)] * 2


def test_the_small_stem_keeps_the_resolution() -> None:
    torch.manual_seed(0)
    for stem, side in (("imagenet", 8), ("small", 32)):
        network = ResNet18(stem=stem).build(32, CLASSES)  # type: ignore[arg-type]
        maps: list[Tensor] = []
        network.layer1.register_forward_hook(lambda _module, _args, out, maps=maps: maps.append(out))  # type: ignore[operator,union-attr]
        network.eval()(noise(1, 32))
        assert maps[0].shape[-2:] == (side, side)
    with pytest.raises(UsageError, match="unknown stem 'tall'"):
        ResNet18(stem="tall").build(32, CLASSES)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [smallcnn, resnet18])
def test_a_plugin_registers_its_recogniser_without_importing_torch(module: object) -> None:
    code = (
        f"import sys; from {module.__name__} import nferbench_fer_models as hook;"  # type: ignore[attr-defined]
        "print(hook()[0].name); sys.exit(bool({'torch', 'torchvision'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": ":".join(sys.path)}, stdout=-1)
    assert run.returncode == 0
    assert run.stdout.decode().strip() == module.__name__.rsplit(".", 1)[1]  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_presets_change_only_fields_that_exist(model: FERModel) -> None:
    for changes in model.presets.values():
        assert changes.keys() <= vars(model).keys()


def coordinates(count: int, side: int) -> Tensor:
    """Images whose two channels hold x and y in [-1, 1], so that a view tells from where it was taken."""
    axis = (torch.arange(side) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y]).expand(count, 2, side, side)


def test_a_view_is_a_moved_turned_and_mirrored_window_of_its_face() -> None:
    count, side, window, shift, degrees = 400, 32, (0.4, 0.6), 0.2, 10.0
    view = random_view(coordinates(count, 64), side, generator(), window=window, shift=shift, degrees=degrees)
    along_x, along_y = view[..., :, -1] - view[..., :, 0], view[..., -1, :] - view[..., 0, :]
    along_x, along_y = along_x.mean(-1) * side / (side - 1) / 2, along_y.mean(-1) * side / (side - 1) / 2
    share = along_x.norm(dim=1)
    assert torch.allclose(share, along_y.norm(dim=1), atol=1e-4)  # nothing is stretched
    assert torch.allclose((along_x * along_y).sum(1), torch.zeros(count), atol=1e-4)  # or sheared
    assert 0.4 - 1e-4 < share.min() < 0.41
    assert 0.59 < share.max() < 0.6 + 1e-4
    mirrored = (along_x[:, 0] * along_y[:, 1] - along_x[:, 1] * along_y[:, 0]) < 0
    assert 0.4 < mirrored.float().mean() < 0.6
    angle = torch.atan2(-along_y[:, 0], along_y[:, 1]).rad2deg()
    assert 9.5 < angle.abs().max() < 10.0 + 1e-2
    assert abs(angle.mean()) < 1.0
    centre = view.mean(dim=(2, 3))
    assert centre.abs().max() < 0.2 + 1e-4
    assert centre.abs().max(dim=0).values.min() > 0.19
    assert abs(np.corrcoef(centre[:, 0], centre[:, 1])[0, 1]) < 0.15  # the two are drawn apart


def test_a_view_of_the_whole_face_without_a_turn_is_the_face_or_its_mirror_image() -> None:
    faces = noise(20, 24)
    views = random_view(faces, 24, generator(), window=(1.0, 1.0), shift=0.0, degrees=0.0)
    same = [torch.allclose(view, face, atol=1e-5) for view, face in zip(views, faces, strict=True)]
    mirrored = [torch.allclose(view, face.flip(-1), atol=1e-5) for view, face in zip(views, faces, strict=True)]
    assert [one != other for one, other in zip(same, mirrored, strict=True)] == [True] * 20
    assert any(same)
    assert any(mirrored)


def test_a_large_face_is_smoothed_before_it_is_shrunk() -> None:
    stripes = (torch.arange(256) % 2 * 2.0 - 1).expand(1, 3, 256, 256)
    view = random_view(stripes, 28, generator(), window=(0.875, 0.875), shift=0.125, degrees=10.0)
    assert view.abs().max() < 0.1
    assert resized(stripes, 28).abs().max() < 0.1


def test_jitter_scales_brightness_and_contrast_within_its_strength() -> None:
    face = torch.full((300, 3, 4, 4), -0.2)
    face[..., :2] = 0.2
    after = (jittered(face, generator(), strength=0.2) + 1) / 2
    brightness = after.mean(dim=(1, 2, 3)) / 0.5
    contrast = (after[..., 0] - after[..., -1]).mean(dim=(1, 2)) / 0.2 / brightness
    for factor in (brightness, contrast):
        assert 0.8 - 1e-4 < factor.min() < 0.82
        assert 1.18 < factor.max() < 1.2 + 1e-4
    assert torch.allclose(jittered(face, generator(), strength=0.0), face, atol=1e-6)
    extreme = jittered(noise(50, 8).sign(), generator(), strength=0.9)
    assert extreme.abs().max() <= 1.0


def test_half_of_the_faces_lose_a_rectangle_of_2_to_25_percent() -> None:
    after = erased(torch.ones(600, 3, 64, 64), generator(), p=0.5)
    gone = after == 0
    assert (gone.any(dim=1) == gone.all(dim=1)).all()  # all channels alike
    gone = gone[:, 0]
    share = gone.float().mean(dim=(1, 2))
    hit = share > 0
    assert 0.42 < hit.float().mean() < 0.58
    rows, columns = gone.any(dim=2).sum(1), gone.any(dim=1).sum(1)
    assert torch.equal(gone.sum(dim=(1, 2)), rows * columns)  # a full rectangle
    assert 0.01 < share[hit].min() < 0.04
    assert 0.22 < share[hit].max() < 0.28
    assert torch.equal(erased(after, generator(), p=0.0), after)


def test_images_enter_resnet18_as_torchvision_would_normalise_them() -> None:
    faces = noise(2, 8)
    expected = normalize((faces + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert torch.allclose(imagenet_normalised(faces), expected, atol=1e-6)
    assert torch.allclose(luminance(faces), rgb_to_grayscale(faces), atol=2e-4)


def test_all_chance_in_a_view_comes_from_the_generator_that_is_handed_in() -> None:
    def views(seed: int, global_seed: int) -> Tensor:
        torch.manual_seed(global_seed)
        rng = generator(seed)
        seen = random_view(noise(3, 16), 16, rng, window=(0.8, 1.0), shift=0.1, degrees=5.0)
        return erased(jittered(seen, rng, strength=0.2), rng, p=0.5)

    assert torch.equal(views(1, 1), views(1, 2))
    assert not torch.equal(views(1, 1), views(2, 1))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("count", [1, 4])
def test_an_update_neither_reads_back_nor_copies_constants(model: FERModel, count: int) -> None:
    learner = model.learner(model.build(32, CLASSES).to("meta"), 24)
    for group in learner._optimiser.param_groups:
        group["fused"] = False  # not on a device that holds no values
    data = LabelledBatch(noise(count, 32).to("meta"), torch.arange(count).to("meta"))
    learner.step(data, generator(), 0)  # makes the optimiser's state
    with Unread(host=True):
        losses = learner.step(data, generator(), 1)
    assert all(loss.is_meta for loss in losses.values())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_it_is_trained_in_bfloat16_and_tested_in_float32_where_a_gpu_would(
    model: FERModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = drawn_faces(8, 32, seed=0)
    _, plain = built(model, 32, 8)
    expected = steps(plain, data, 8, range(2))
    monkeypatch.setattr(precision, "precision_on", lambda device: "bf16")
    network, learner = built(model, 32, 8)
    computed: list[torch.dtype] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda module, args, out: computed.append(out.dtype))
    losses = steps(learner, data, 8, range(2))
    assert set(computed) == {torch.bfloat16}
    assert losses == pytest.approx(expected, rel=0.05) and losses != expected
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    computed.clear()
    assert model.logits(network.eval(), data.images).dtype == torch.float32
    assert set(computed) == {torch.float32}
