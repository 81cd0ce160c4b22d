"""Where a reverse process starts, and in how many steps it ends: the idea of SDEdit, on which EGSDE and NFER-SDE build.

Meng et al., "SDEdit" (ICLR 2022), do not start from pure noise but from the source, noised to index M - 1 of the 1000
on which networks are trained; the M cleanest reverse steps are then left. Settings are checked while planning, so torch
is loaded for the levels only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nferbench import UsageError

if TYPE_CHECKING:
    import torch

    from nferbench_methods.diffusion.sampling import Level


def check_start_step(method: str, start_step: int) -> None:
    """Refuse a start outside of the schedule.

    Raises:
        UsageError: `start_step`, M, is not in 0..1000.
    """
    if not 0 <= start_step <= 1000:
        raise UsageError(f"{method}: start_step is {start_step}; allowed: 0 to 1000")


def check_steps(method: str, steps: int | None, available: int) -> None:
    """Refuse a number of reverse steps that cannot be spread over those that are left.

    Args:
        method: name for the message.
        steps: None takes all.
        available: steps from the start to the clean face, M for a noised source; may be 0.

    Raises:
        UsageError: `steps` is neither None nor `available` nor in 2..available; the first and the last step are kept.
    """
    if steps not in (None, available) and not 2 <= steps <= available:
        raise UsageError(f"{method}: steps is {steps}; allowed: 2 to {available}, or null for all")


def levels_from(start_step: int, steps: int | None, device: torch.device | str) -> list[Level]:
    """The noise levels of a reverse process that starts at index start_step - 1, cleanest first.

    Args:
        start_step: M, 0 to 1000; 0 leaves no level, and the face as it is.
        steps: None takes all M levels, fewer are spread evenly over them, the noisiest and the cleanest among them.
        device: of the times that networks are told.
    """
    from nferbench_methods.diffusion import sampling
    from nferbench_methods.diffusion.schedule import head, linear_schedule, spread

    schedule = head(linear_schedule(), start_step)
    return sampling.levels(spread(schedule, steps or len(schedule)), device)
