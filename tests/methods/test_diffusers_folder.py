"""Score networks start from folders that diffusers saved: the same class, and the same settings or none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel
from released import close, randomise, refusal, started

from nferbench.contract.weight_files import digest
from nferbench_methods.diffusion.score import ScoreRecipe
from nferbench_methods.pix2pix import Pix2PixRecipe

RECIPE = ScoreRecipe(conditional=False, width=16, multipliers=(1, 2), res_blocks=1, attention=(8,), head_channels=8)
SIZE = 16


def network(**changes: object) -> UNet2DModel:
    settings = {
        "in_channels": 3,
        "out_channels": 6,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": 8,
        "norm_num_groups": 4,
        "attn_norm_num_groups": 4,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
    }
    return randomise(UNet2DModel(**{**settings, **changes})).eval()


def told(folder: Path) -> ScoreRecipe:
    return replace(RECIPE, init=str(folder), init_sha256=digest(folder))


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("inside", ["", "unet"])
def test_a_saved_network_answers_the_same_here(safe: bool, inside: str, tmp_path: Path) -> None:
    theirs = network(dropout=0.3, sample_size=64)
    theirs.save_pretrained(tmp_path / inside, safe_serialization=safe)
    ours, _ = started(told(tmp_path), SIZE)
    x, t = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(6)), torch.tensor([1, 600])
    with torch.no_grad():
        assert close(torch.cat(ours(x, t), 1), theirs(x, t).sample)


def test_former_names_of_attention_are_read(tmp_path: Path) -> None:
    theirs = network()
    theirs.save_pretrained(tmp_path, safe_serialization=False)
    file = tmp_path / "diffusion_pytorch_model.bin"
    former = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    state = {}
    for name, value in torch.load(file, weights_only=True).items():
        for now, before in former.items():
            name = name.replace(now, before)
        state[name] = value
    torch.save(state, file)
    ours, _ = started(told(tmp_path), SIZE)
    x, t = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(6)), torch.tensor([10])
    with torch.no_grad():
        assert close(torch.cat(ours(x, t), 1), theirs(x, t).sample)


def test_the_digest_is_that_of_both_files_as_sha256sum_lists_them(tmp_path: Path) -> None:
    network().save_pretrained(tmp_path)
    names = ("config.json", "diffusion_pytorch_model.safetensors")
    lines = [f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    before = digest(tmp_path)
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    recipe = told(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"norm_eps": 1e-6}))
    assert digest(tmp_path) != before
    assert "have SHA-256" in refusal(recipe, SIZE)


OTHERS = {
    "norm_eps": {"norm_eps": 1e-6},
    "freq_shift": {"freq_shift": 1},
    "attention_head_dim": {"attention_head_dim": 16},
    "norm_num_groups": {"norm_num_groups": 8},
    "resnet_time_scale_shift": {"resnet_time_scale_shift": "default"},
    "out_channels": {"out_channels": 3},
    "act_fn": {"act_fn": "mish"},
}


@pytest.mark.parametrize("setting", OTHERS)
def test_other_settings_are_refused_by_name(setting: str, tmp_path: Path) -> None:
    network(**OTHERS[setting]).save_pretrained(tmp_path)
    assert f"{setting} is " in refusal(told(tmp_path), SIZE)


def test_other_classes_other_schedules_and_halves_of_a_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "unet"
    network().save_pretrained(folder)
    recipe = told(tmp_path)
    (tmp_path / "scheduler").mkdir()
    (schedule := tmp_path / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "v_prediction"}')
    assert "prediction_type is 'v_prediction'" in refusal(recipe, SIZE)
    schedule.write_text('{"beta_schedule": "linear", "beta_start": 0.0001}')
    started(recipe, SIZE)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "UNet2DConditionModel"}))
    assert "'UNet2DConditionModel'" in refusal(told(tmp_path), SIZE)
    (folder / "config.json").write_text("[]")
    assert "no JSON object" in refusal(told(tmp_path), SIZE)
    (folder / "config.json").unlink()
    assert "folder without config.json" in refusal(recipe, SIZE)


def test_networks_without_such_a_form_refuse_the_folder(tmp_path: Path) -> None:
    network().save_pretrained(tmp_path)
    recipe = Pix2PixRecipe(levels=2, width=4, init=str(tmp_path), init_sha256=digest(tmp_path))
    assert "in the form of diffusers; allowed here: a safetensors file of nferbench, or torch" in refusal(recipe, 32)
