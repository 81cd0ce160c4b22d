"""Training the networks of methods on everyone in a data set: work without folds, for other trainings to start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nferbench.contract.errors import DataError, UsageError
from nferbench.faces.folds import classes_of, subjects_of
from nferbench.planning.plan import Work, faces_stage, networks_of
from nferbench.planning.settings import Role, Settings
from nferbench.workspace.stages import HeldOut, TrainNetwork
from nferbench.workspace.store import Store


def pretraining(settings: Settings, roots: Mapping[Role, Path], store: Store) -> Work:
    """The faces of the data set and the trainings of all networks on them, each network once; no rows.

    Args:
        settings: name the methods and the data set.
        roots: data root by role.
        store: of the workspace, for its cache of file hashes.

    Raises:
        UsageError: methods without networks, or with two different networks of one name.
        UsageError, DataError: data that are missing, or hold no pairs.
    """
    faces, listing = faces_stage(settings, "dataset", roots, store)
    nir = {face.pair for face in listing.faces if face.modality == "nir" and face.pair}
    pairs = sum(face.modality == "vis" and face.pair in nir for face in listing.faces)
    if not pairs:
        raise DataError(f"{settings.dataset.name} has no VIS-NIR pairs; a data set to train on needs them")
    everyone = HeldOut(0, ())
    trainings = [
        training for row in settings.rows for training in networks_of(row.translator, faces, everyone, settings.seed)
    ]
    if not trainings:
        raise UsageError("these methods have no networks to train; name others (nferbench methods lists all)")
    named: dict[str, TrainNetwork] = {}
    for training in trainings:
        if named.setdefault(training.role, training) != training:
            raise UsageError(f"two different networks are called {training.role}; name fewer methods")
        if training.recipe.updates(pairs) < 1:
            raise UsageError(f"network {training.role} would have no updates; set its steps or epochs to 1 or more")
    return Work(
        settings=settings,
        faces=faces,
        extra=None,
        rows=(),
        stages=(faces, *named.values()),
        classes=classes_of(listing.faces),
        subjects=len(subjects_of(listing.faces)),
        pairs=pairs,
        splits="",
        division=settings.division,
        notes=(*settings.notes, *listing.notes),
        trainings=len(named),
        trainings_unshared=len(trainings),
        listings={faces: listing},
    )
