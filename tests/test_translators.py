"""One conformance suite for every registered translator and for the variants of the ablation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields

import pytest
import torch
from torch import Tensor, nn

from nferbench import FaceSpec, Translator
from nferbench.contract.noise import ImageNoise
from nferbench.contract.values import describe, digest
from nferbench.engine.translating import translate
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve

PLUGINS = load_plugins(installed=False)
SETTINGS = resolve(Request(preset="quick", methods=("all", "ablation")), PLUGINS)
ROWS = {row.name: row.translator for row in SETTINGS.rows}
SPEC = FaceSpec(SETTINGS.size, 68)


@pytest.fixture(scope="module", params=list(ROWS))
def translator(request: pytest.FixtureRequest) -> Translator:
    return ROWS[request.param]


@pytest.fixture(scope="module")
def networks(translator: Translator) -> Mapping[str, nn.Module]:
    torch.manual_seed(0)
    built = {role: recipe.build(SPEC) for role, recipe in translator.networks().items()}
    for network in built.values():
        for parameter in network.parameters():  # networks that begin at zero would hide dependence on the input
            parameter.data += 0.02 * torch.randn_like(parameter)
        network.requires_grad_(False).eval()
    return built


def faces(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, 3, SPEC.size, SPEC.size, generator=generator) * 2 - 1


def output(translator: Translator, networks: Mapping[str, nn.Module], vis: Tensor, seeds: list[int]) -> Tensor:
    return translate(translator, vis, networks, ImageNoise(seeds, "cpu"))


def test_an_output_has_the_shape_range_and_type_of_a_face(
    translator: Translator, networks: Mapping[str, nn.Module]
) -> None:
    images = output(translator, networks, faces(2), [1, 2])
    assert images.shape == (2, 3, SPEC.size, SPEC.size) and images.dtype == torch.float32
    assert images.abs().max() <= 1
    if translator.grey:
        assert torch.equal(images[:, 0], images[:, 1]) and torch.equal(images[:, 0], images[:, 2])


def test_equal_seeds_give_equal_outputs_whatever_the_global_generator(
    translator: Translator, networks: Mapping[str, nn.Module]
) -> None:
    torch.manual_seed(1)
    first = output(translator, networks, faces(2), [1, 2])
    torch.manual_seed(2)
    assert torch.equal(output(translator, networks, faces(2), [1, 2]), first)


def test_an_output_depends_neither_on_batch_size_nor_on_order(
    translator: Translator, networks: Mapping[str, nn.Module]
) -> None:
    vis, seeds = faces(5), [11, 12, 13, 14, 15]
    whole = output(translator, networks, vis, seeds)
    order = [3, 0, 4]
    part = output(translator, networks, vis[order], [seeds[i] for i in order])
    single = output(translator, networks, vis[1:2], seeds[1:2])
    assert torch.equal(part, whole[order])
    assert torch.equal(single, whole[1:2])


def test_translating_leaves_networks_input_and_generators_as_they_were(
    translator: Translator, networks: Mapping[str, nn.Module]
) -> None:
    before = {role: {name: value.clone() for name, value in n.state_dict().items()} for role, n in networks.items()}
    modes = {role: [module.training for module in network.modules()] for role, network in networks.items()}
    vis = faces(2)
    copy = vis.clone()
    state = torch.get_rng_state()
    output(translator, networks, vis, [1, 2])
    assert torch.equal(vis, copy) and torch.equal(torch.get_rng_state(), state)
    for role, network in networks.items():
        assert all(torch.equal(value, before[role][name]) for name, value in network.state_dict().items())
        assert [module.training for module in network.modules()] == modes[role]


def test_it_is_a_frozen_value_with_a_stable_description(translator: Translator) -> None:
    hash(translator)
    assert digest(describe(translator)) == digest(describe(translator))
    labels = {field.name for field in fields(translator) if not field.compare}  # type: ignore[arg-type]
    assert {"name", "title"} <= labels
    with pytest.raises(FrozenInstanceError):
        translator.name = "other"


def test_its_description_contains_the_recipes_of_its_networks(translator: Translator) -> None:
    described = str(describe(translator))
    for recipe in translator.networks().values():
        assert str(describe(recipe)) in described
