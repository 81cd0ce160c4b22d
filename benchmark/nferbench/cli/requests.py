"""From options to a plan: what a request is made of, which stages it has, and what workers have to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nferbench.cli.devices import device_for
from nferbench.cli.output import say, tell_failures
from nferbench.contract.errors import UsageError

if TYPE_CHECKING:
    from nferbench.cli.options import RunOptions
    from nferbench.engine.how import How
    from nferbench.engine.worker import Setup
    from nferbench.planning.plan import Work
    from nferbench.planning.plugins import Plugins
    from nferbench.planning.settings import Request, Settings
    from nferbench.planning.status import Status
    from nferbench.workspace.stages import Stage
    from nferbench.workspace.store import Store

S = TypeVar("S", bound="Stage")

CHECKPOINT = 30.0  # seconds between two checkpoints of a training


def planned(
    chosen: RunOptions, store: Store, part: Callable[[Work], Work] | None = None
) -> tuple[Work, list[Status], Setup]:
    """All stages of a request, or of the part of it that is wanted, with their state, and what workers have to know."""
    from nferbench.engine.how import How
    from nferbench.metrics.perceptual import lpips_identity
    from nferbench.planning.again import again, changed_code
    from nferbench.planning.plan import data_roots, plan_work
    from nferbench.planning.plugins import load_plugins
    from nferbench.planning.settings import Request, resolve
    from nferbench.planning.status import statuses

    only = folds_named(chosen.fold)
    plugins = tell_failures(load_plugins(chosen.plugin))
    request = Request(
        chosen.dataset,
        items(chosen.methods),
        chosen.extra,
        chosen.preset,
        chosen.folds,
        chosen.division,
        chosen.seed,
        chosen.fer,
        chosen.fer_seeds,
        chosen.detector,
        chosen.crop,
        tuple(chosen.change),
        items(chosen.metrics),
    )
    settings = resolve(request, plugins)
    roots = data_roots(chosen.data_root, settings, plugins.datasets.items)
    work = plan_work(settings, roots, store, lpips_identity(settings.size), only)
    work = part(work) if part else work
    stages = {"dataset": work.faces, "extra": work.extra}
    places = {stage: roots[role] for role, stage in stages.items() if stage is not None and role in roots}
    how = How(chosen.precision, chosen.piece, chosen.compile, chosen.deterministic)
    setup = setup_of(store, places, plugins, chosen.device, chosen.batch, how)
    states = again(work, statuses(work, store), items(chosen.again))
    for note in changed_code(work, states):
        say(f"note: {note}")
    return work, states, setup


def settled(request: Request, plugin: Sequence[str]) -> tuple[Settings, Plugins]:
    """The values of a request, once the detector that it names is ready, and what was registered; tells its notes."""
    from nferbench.planning.plugins import load_plugins
    from nferbench.planning.settings import resolve

    plugins = tell_failures(load_plugins(plugin))
    settings = resolve(request, plugins)
    for note in settings.notes:
        say(f"note: {note}")
    if settings.detector is not None:
        settings.detector.ready()
    return settings, plugins


def setup_of(
    store: Store,
    roots: Mapping[S, Path],
    plugins: Plugins,
    device: str,
    batch: int | None,
    how: How | None = None,
) -> Setup:
    """What workers have to know.

    Args:
        roots: of each set of faces the data root, of given weights the file.
    """
    from nferbench.engine.how import AS_USUAL
    from nferbench.engine.worker import Setup
    from nferbench.workspace.stages import key

    resolved = {key(stage): path.resolve() for stage, path in roots.items()}
    on, cards = device_for(device)
    return Setup(
        store.workspace.resolve(), resolved, plugins.files, on, batch, CHECKPOINT, how or AS_USUAL, cards=cards
    )


def default_jobs(setup: Setup) -> int:
    """Workers: one a GPU, or one a core up to 8."""
    from nferbench.machine.cores import cores

    return len(setup.cards) or min(cores(), 8)


def items(text: str) -> tuple[str, ...]:
    """The items of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def folds_named(text: str) -> tuple[int, ...]:
    """The folds that --fold names.

    Raises:
        UsageError: something that is no number.
    """
    try:
        return tuple(int(name) for name in items(text))
    except ValueError:
        raise UsageError(f"--fold {text}: not a list of fold numbers; write 0 or 0,2") from None
