"""The noisy classifier of openai/guided-diffusion: `*_classifier.pt`, and the domain classifiers of ML-GSAI/EGSDE.

The class there is `EncoderUNetModel` with attention pooling. Its first half is read as that of a U-Net is.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nferbench import UsageError, note_initial
from nferbench_methods.diffusion.checkpoint import check_heads, from_guided_layers
from nferbench_methods.diffusion.domain_net import DomainNet

_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
}
_HEAD = {
    "norm.weight": "out.0.weight",
    "norm.bias": "out.0.bias",
    "pool.positions": "out.2.positional_embedding",
    "pool.qkv.weight": "out.2.qkv_proj.weight",
    "pool.qkv.bias": "out.2.qkv_proj.bias",
    "pool.out.weight": "out.2.c_proj.weight",
    "pool.out.bias": "out.2.c_proj.bias",
}
_LAST = ("pool.out.weight", "pool.out.bias")


def domain_net(state: Mapping[str, Tensor], network: DomainNet, head_channels: int) -> dict[str, Tensor]:
    """The tensors of a classifier; its last layer is left out where it tells other classes apart.

    Args:
        state: of guided-diffusion.
        network: of the same architecture.
        head_channels: channels of every attention head, which do not show in the file.

    Raises:
        UsageError: a tensor is missing, left over, of another shape than the network's, or not of finite numbers; or
            norms or heads are others.
    """
    check_heads(network, head_channels)
    converted, left = from_guided_layers(state, network.encoder, network.norm, _ENDS)
    content = {f"encoder.{name}": value for name, value in converted.items()}
    own = network.state_dict()
    for ours, theirs in _HEAD.items():
        if theirs not in left:
            raise UsageError(f"'{theirs}' is missing; give a classifier with attention pooling")
        value = left.pop(theirs)
        value = value.mT if ours == "pool.positions" else value.squeeze(-1)  # they convolve where we are linear
        if value.shape != own[ours].shape:
            if ours not in _LAST or value.shape[1:] != own[ours].shape[1:]:
                shapes = f"{tuple(value.shape)}, the network's {tuple(own[ours].shape)}"
                raise UsageError(
                    f"'{theirs}' has shape {shapes}; the recipe and the size of the faces must be the same"
                )
            note_initial(f"'{theirs}' tells {len(value)} classes apart, here are {len(own[ours])}: starts from nothing")
            continue
        content[ours] = value
    if left:
        raise UsageError(f"'{next(iter(left))}' is left over; give a classifier with attention pooling")
    return content
