"""`nferbench methods --json` at the published sizes: parameters, pairing, and who shares what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nferbench.cli.catalogue import methods_json
from nferbench.planning.plugins import load_plugins

PARAMETERS = {
    "pix2pix": {"generator": {"generator": 54_413_955, "discriminator": 2_768_705}},
    "cyclegan": {
        "generator": {
            "generator": 11_378_179,
            "inverse": 11_378_179,
            "nir_discriminator": 2_764_737,
            "vis_discriminator": 2_764_737,
        }
    },
    "hifacegan": {"generator": {"generator": 130_543_811, "discriminator": 5_533_826}},
    "ilvr": {"score": {"network": 93_563_910}},
    "sr3": {"score": {"network": 97_807_491}},
    "sdedit": {"score": {"network": 93_563_910}},
    "egsde": {"score": {"network": 93_563_910}, "domains": {"network": 53_584_386}},
    "t2v-ddpm": {"score": {"network": 311_027_910}},
}


@pytest.fixture(scope="module")
def methods() -> dict[str, Any]:
    listed = json.loads(methods_json(load_plugins(installed=False), "paper"))
    return {method["name"]: method for method in listed["methods"]}


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_have_as_many_parameters_as_published(methods: dict[str, Any], name: str) -> None:
    found = {role: network["parameters"] for role, network in methods[name]["networks"].items()}
    assert found == PARAMETERS[name]


def test_who_uses_pairs_and_who_is_made_for_heterogeneous_faces(methods: dict[str, Any]) -> None:
    nine = [name for name in load_plugins(installed=False).translators if name != "none"]
    assert nine == ["pix2pix", "cyclegan", "hifacegan", "ilvr", "sr3", "sdedit", "egsde", "t2v-ddpm", "nfer-sde"]
    assert [name for name in nine if methods[name]["uses_pairs"]] == [
        *("pix2pix", "hifacegan", "sr3", "t2v-ddpm", "nfer-sde")
    ]
    assert [name for name in nine if methods[name]["heterogeneous"]] == ["hifacegan", "t2v-ddpm"]
    assert not any(method["stamps"] for method in methods.values())


def test_score_networks_are_shared(methods: dict[str, Any]) -> None:
    shared = {
        name: set(methods[name]["networks"]["score"]["shared_with"]) | {name} for name in ("ilvr", "t2v-ddpm", "sr3")
    }
    variants = {"ilvr-grey", "ilvr-cells-16", "ilvr-cells-4", "sdedit-300", "sdedit-400", "sdedit-600"}
    assert shared["ilvr"] == {"ilvr", "sdedit", "egsde", "baseline", "egsde-fresh-noise"} | variants
    ablation = {"cond", "cond+eh", "cond+ef", "cond+eh+ef"}
    assert shared["t2v-ddpm"] == {"t2v-ddpm", "nfer-sde", "t2v-ddpm-noise"} | ablation
    assert shared["sr3"] == {"sr3"}


def test_what_departs_in_its_loss_says_so_in_every_table() -> None:
    for preset in ("small", "brief", "quick"):
        listed = json.loads(methods_json(load_plugins(installed=False), preset))["methods"]
        stamps = {method["name"]: method["stamps"] for method in listed if method["stamps"]}
        weaker = {
            name: ["its energies have other weights than published"] for name in ("nfer-sde", "cond+eh", "cond+eh+ef")
        }
        loss = (
            "trained without the perceptual loss"
            if preset == "quick"
            else "its perceptual loss sees VGG16 instead of VGG19"
        )
        assert stamps == {"hifacegan": [loss]} | (weaker if preset == "quick" else {})
