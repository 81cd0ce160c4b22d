"""Import of checkpoints of the guided-diffusion code into our U-Net.

Its networks are ours layer for layer (Dhariwal & Nichol 2021). Only names differ, and attention: there one matrix makes
queries, keys and values, here three do. What a file shows is checked; what it does not show (the order of that matrix,
the channels of a head) is told by the recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from nferbench import UsageError
from nferbench_methods.diffusion.score import AttentionOrder
from nferbench_methods.diffusion.unet import TimeUNet

GROUPS = 32  # of all their norms, whatever the width

_MUST = (
    "the recipe must be that of the checkpoint, and the checkpoint one with resblock_updown and use_scale_shift_norm, "
    "without classes"
)
_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


def from_guided_diffusion(
    state: Mapping[str, Tensor], network: TimeUNet, order: AttentionOrder = "legacy"
) -> dict[str, Tensor]:
    """Rename and split the tensors of a guided-diffusion state dict as `network.net` names them.

    Raises:
        UsageError: a tensor is missing, left over, of another shape than the network's, or not of finite numbers; or
            the network's norms have other groups than guided-diffusion's.
    """
    converted, left = from_guided_layers(state, network.net, network.net.conv_norm_out, _ENDS, order)
    if left:
        raise UsageError(f"'{next(iter(left))}' is left over; {_MUST}")
    return converted


def from_guided_layers(
    state: Mapping[str, Tensor],
    net: UNet2DModel,
    norm: nn.GroupNorm,
    ends: Mapping[str, str],
    order: AttentionOrder = "legacy",
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same of all or the first layers of a U-Net, with what is left of the state dict.

    Args:
        state: of guided-diffusion.
        net: a U-Net, which may lack the way up.
        norm: any norm of the network.
        ends: their names of the layers outside all blocks, with ours.
        order: of the rows of their attention.

    Raises:
        UsageError: as `from_guided_diffusion`, but for tensors that are left over.
    """
    if norm.num_groups != GROUPS:
        width = net.conv_in.out_channels
        raise UsageError(
            f"norms of width {width} have {norm.num_groups} groups here and {GROUPS} there; allowed: multiples of 32 "
            "from 128 on"
        )
    expected = net.state_dict()
    left = dict(state)
    converted: dict[str, Tensor] = {}

    def take(name: str, shape: tuple[int, ...]) -> Tensor:
        if name not in left:
            raise UsageError(f"'{name}' is missing; {_MUST}")
        value = left.pop(name)
        if tuple(value.shape) not in (shape, (*shape, 1)):  # their attention convolves where ours is linear
            raise UsageError(f"'{name}' has shape {tuple(value.shape)}, the network's {shape}; {_MUST}")
        if not (value.is_floating_point() and value.isfinite().all()):
            raise UsageError(f"'{name}' is not of finite floating-point numbers; give the file as it was published")
        return value.reshape(shape).float()

    for theirs, ours in _layers(net, ends):
        for kind in ("weight", "bias"):
            if isinstance(ours, str):
                target = f"{ours}.{kind}"
                if target in expected:  # a residual block whose width does not change has no skip convolution
                    converted[target] = take(f"{theirs}.{kind}", tuple(expected[target].shape))
            else:
                name, heads = ours
                rows, *columns = expected[f"{name}.to_q.{kind}"].shape
                joint = take(f"{theirs}.{kind}", (3 * rows, *columns))
                for role, part in zip("qkv", _split(joint, heads, order), strict=True):
                    converted[f"{name}.to_{role}.{kind}"] = part
    return converted, left


def check_heads(network: nn.Module, head_channels: int) -> None:
    """Refuse a network whose heads are narrower than asked for, which the width of an attending level had made so.

    Raises:
        UsageError: such a network.
    """
    for module in network.modules():
        if isinstance(module, Attention) and module.heads * head_channels != module.inner_dim:
            raise UsageError(
                f"an attention of {module.inner_dim} channels cannot have heads of {head_channels}; "
                "set head_channels to the checkpoint's num_head_channels"
            )


def _split(joint: Tensor, heads: int, order: AttentionOrder) -> Iterator[Tensor]:
    """Queries, keys and values out of the rows of one matrix or one bias."""
    if order == "new":
        yield from joint.chunk(3)
    else:
        yield from (part.flatten(0, 1) for part in joint.reshape(heads, 3, -1, *joint.shape[1:]).unbind(1))


def _layers(net: nn.Module, ends: Mapping[str, str]) -> Iterator[tuple[str, str | tuple[str, int]]]:
    """Their name of every layer beside ours; for a joint attention matrix, the attention's name and its heads."""
    yield from ends.items()
    for theirs, ours in _blocks(net):
        block = net.get_submodule(ours)
        if isinstance(block, Attention):
            yield f"{theirs}.norm", f"{ours}.group_norm"
            yield f"{theirs}.qkv", (ours, block.heads)
            yield f"{theirs}.proj_out", f"{ours}.to_out.0"
        else:
            yield from ((f"{theirs}.{a}", f"{ours}.{b}") for a, b in _RESIDUAL.items())


def _blocks(net: nn.Module) -> Iterator[tuple[str, str]]:
    """Their name of every residual and attention block beside ours. They count blocks through, we count by level."""
    n = 1  # their input block 0 is the first convolution
    for level, block in enumerate(net.down_blocks):  # type: ignore[arg-type]
        attends = hasattr(block, "attentions")
        for i in range(len(block.resnets)):
            yield f"input_blocks.{n}.0", f"down_blocks.{level}.resnets.{i}"
            if attends:
                yield f"input_blocks.{n}.1", f"down_blocks.{level}.attentions.{i}"
            n += 1
        if block.downsamplers is not None:
            yield f"input_blocks.{n}.0", f"down_blocks.{level}.downsamplers.0"
            n += 1
    yield "middle_block.0", "mid_block.resnets.0"
    yield "middle_block.1", "mid_block.attentions.0"
    yield "middle_block.2", "mid_block.resnets.1"
    n = 0
    for level, block in enumerate(getattr(net, "up_blocks", ())):
        attends = hasattr(block, "attentions")
        for i in range(len(block.resnets)):
            yield f"output_blocks.{n}.0", f"up_blocks.{level}.resnets.{i}"
            if attends:
                yield f"output_blocks.{n}.1", f"up_blocks.{level}.attentions.{i}"
            n += 1
        if block.upsamplers is not None:  # theirs belongs to the level's last block
            yield f"output_blocks.{n - 1}.{2 if attends else 1}", f"up_blocks.{level}.upsamplers.0"
