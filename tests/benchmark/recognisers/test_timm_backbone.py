"""Backbones of timm as recognisers: by name, from local files, by the recipe of resnet18."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from nferbench import LabelledBatch, UsageError
from nferbench.contract.values import describe, digest
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.recognisers import backbones
from nferbench.recognisers.recipe import Recipe
from nferbench.recognisers.resnet18 import ResNet18
from nferbench.recognisers.timm_backbone import TimmBackbone

CLASSES = 6


@pytest.fixture(autouse=True)
def one_thread() -> Iterable[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def timm() -> object:
    return pytest.importorskip("timm", reason="timm is an extra: pip install 'nferbench[timm]'")


def noise(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=Generator().manual_seed(0)) * 2 - 1


def built(model: Recipe) -> nn.Module:
    torch.manual_seed(0)
    return model.build(32, CLASSES)


def trained(model: Recipe, network: nn.Module, updates: range, state: bytes | None = None) -> tuple[bytes, bytes]:
    """A state and the weights after some updates of a training, as the harness does them."""
    learner = model.learner(network, 4)
    if state is not None:
        learner.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))
    batch, rng = LabelledBatch(noise(4, 32), torch.arange(4)), Generator()
    for k in updates:
        torch.manual_seed(k)
        rng.manual_seed(k)
        learner.step(batch, rng, k)
    kept, weights = io.BytesIO(), io.BytesIO()
    torch.save(learner.state_dict(), kept)
    torch.save(learner.weights(), weights)
    return kept.getvalue(), weights.getvalue()


def saved(network: nn.Module, path: Path) -> dict[str, str]:
    """Weights in a file, as fields of a recogniser that starts from them."""
    if path.suffix == ".pth":
        torch.save(network.state_dict(), path)
    else:
        save_file(network.state_dict(), path)
    return {"init": str(path), "init_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_the_recipe_of_resnet18_is_shared_and_its_key_is_what_it_was() -> None:
    assert digest(describe(ResNet18())) == "5263601f46799851132b467a3901397d7c51d79157f9edde091e05bdaaf570c7"
    own = {field.name for field in fields(Recipe)}
    mine, theirs = TimmBackbone(), ResNet18()
    assert {name: getattr(mine, name) for name in own} == {name: getattr(theirs, name) for name in own}


def test_timms_resnet18_with_the_same_weights_is_trained_and_tested_like_resnet18_to_the_bit(tmp_path: Path) -> None:
    timm()
    sizes = {"input_size": 16, "batch_size": 4}
    theirs = ResNet18(**sizes)  # type: ignore[arg-type]
    network = built(theirs)
    mine = TimmBackbone(backbone="resnet18", **sizes, **saved(network, tmp_path / "r.pth"))  # type: ignore[arg-type]
    twin = built(mine)
    twin.load_state_dict(network.state_dict())  # the last layer too, which is made anew
    assert trained(mine, twin, range(2))[1] == trained(theirs, network, range(2))[1]
    faces = noise(2, 32)
    with torch.inference_mode():
        assert torch.equal(mine.logits(twin.eval(), faces), theirs.logits(network.eval(), faces))
    assert mine.updates(9) == theirs.updates(9)


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet", "test_convnext"])
def test_a_backbone_is_trained_on_its_size_and_resumes_bit_for_bit(backbone: str) -> None:
    timm()
    model = TimmBackbone(backbone=backbone, input_size=64, batch_size=4)
    _, straight = trained(model, built(model), range(3))
    half, _ = trained(model, built(model), range(2))
    _, resumed = trained(model, built(model), range(2, 3), half)
    assert resumed == straight
    scores = model.logits(built(model).eval(), noise(2, 40))
    assert scores.shape == (2, CLASSES) and bool(scores.isfinite().all())


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_it_starts_from_a_local_file_but_for_its_last_layer(tmp_path: Path, ending: str) -> None:
    timm()
    seven = replace(TimmBackbone(backbone="test_convnext", input_size=64)).build(32, 7)
    model = TimmBackbone(backbone="test_convnext", input_size=64, **saved(seven, tmp_path / f"mine.{ending}"))
    state, given = built(model).state_dict(), seven.state_dict()
    assert state["head.fc.weight"].shape[0] == CLASSES
    assert all(torch.equal(state[key], given[key]) for key in given if not key.startswith("head.fc."))


def test_the_file_is_known_by_its_content_when_a_run_is_planned(tmp_path: Path) -> None:
    timm()
    plugins = load_plugins(installed=False)
    model = TimmBackbone(backbone="test_resnet", input_size=64)
    given = saved(built(model), tmp_path / "a.pth")

    def planned(file: str, *more: str) -> TimmBackbone:
        words = ("backbone=test_resnet", f"init={file}", *more)
        changes = tuple(f"fer-models.timm.{word}" for word in words)
        fer = resolve(Request(fer="timm", changes=changes), plugins).fer
        assert isinstance(fer, TimmBackbone)
        return fer

    first = planned(given["init"])
    assert first.init_sha256 == given["init_sha256"] and first.title == "test_resnet (timm)"
    moved = (tmp_path / "a.pth").rename(tmp_path / "b.pth")
    assert digest(describe(planned(str(moved)))) == digest(describe(first)) != digest(describe(model))
    with pytest.raises(UsageError, match="is not a file or folder; set init"):
        planned(given["init"])
    with pytest.raises(UsageError, match=r"has SHA-256 .*, not 'abc'"):
        planned(str(moved), "init_sha256=abc")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("", r"set fer-models\.timm\.backbone, to resnet34 for example"),
        ("resnt18", "did you mean resnet18"),
        (
            "resnet18.a1_in1k",
            r"'\.a1_in1k' names weights, which are not downloaded: write resnet18; ",
        ),
        ("hf-hub:timm/resnet18.a1_in1k", "no backbone 'hf-hub:timm/resnet18"),
        ("local-dir:/tmp", "no backbone 'local-dir:/tmp'"),
        ("§§\n", r"no backbone '§§\\n'; name one of them"),
    ],
)
def test_a_name_that_timm_does_not_know_is_one_line_with_near_ones(backbone: str, message: str) -> None:
    timm()
    with pytest.raises(UsageError, match=message) as caught:
        TimmBackbone(backbone=backbone).build(32, CLASSES)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(("backbone", "side"), [("test_vit", 30), ("test_convnext", 8)])
def test_a_size_that_a_backbone_cannot_see_is_one_line_with_one_that_it_can(backbone: str, side: int) -> None:
    timm()
    with pytest.raises(UsageError, match=rf"'{backbone}' cannot see faces of {side} px .*set .*input_size") as caught:
        TimmBackbone(backbone=backbone, input_size=side).build(32, CLASSES)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    timm()
    model = TimmBackbone(backbone="test_resnet", input_size=64)
    other = saved(TimmBackbone(backbone="test_vit", input_size=64).build(32, CLASSES), tmp_path / "vit.pth")
    for wrong, message in (
        (other, r"timm: .*vit\.pth does not fit test_resnet: '.*' is missing"),
        ({"init": str(tmp_path / "absent.pth"), "init_sha256": "abc"}, r"timm: no weights at .*absent\.pth.*set init"),
        ({**other, "init_sha256": "abc"}, "timm: .* have SHA-256 .*, not 'abc'"),
        ({"init_sha256": "abc"}, "timm: no weights at ''"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            replace(model, **wrong).build(32, CLASSES)
        assert "\n" not in str(caught.value)


def test_building_asks_for_no_weights_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    timm()
    import timm as package

    asked: list[dict[str, object]] = []
    create = package.create_model
    monkeypatch.setattr(package, "create_model", lambda name, **given: asked.append(given) or create(name, **given))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection is made"))
    TimmBackbone(backbone="test_resnet", input_size=64).build(32, CLASSES)
    assert [each["pretrained"] for each in asked] == [False]


def test_without_the_package_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "nferbench\[timm\]"') as caught:
        TimmBackbone(backbone="resnet18").build(32, CLASSES)
    assert "\n" not in str(caught.value)


def test_it_is_registered_without_torch_or_timm() -> None:
    code = (
        "import sys; from nferbench.recognisers.timm_backbone import nferbench_fer_models as hook;"
        "print(hook()[0].name, hook()[0].title); sys.exit(bool({'torch', 'timm'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": ":".join(sys.path)}, stdout=-1)
    assert run.returncode == 0 and run.stdout.decode().strip() == "timm A backbone of timm"
