"""What a diagnosis does is a part of the run: its trainings are the run's, its few faces are stages of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from nferbench import UsageError
from nferbench.planning.costs import units
from nferbench.planning.first_faces import first_faces
from nferbench.planning.plan import Work, plan_work
from nferbench.planning.plugins import load_plugins
from nferbench.planning.settings import Request, resolve
from nferbench.workspace.stages import TrainNetwork, Translate, description, key
from nferbench.workspace.store import Store


def planned(tmp_path: Path, *methods: str) -> Work:
    request = Request("synthetic-hfe", methods, "none", "quick", changes=("datasets.synthetic-hfe.subjects=6",))
    return plan_work(resolve(request, load_plugins(installed=False)), {}, Store(tmp_path), "")


def test_trainings_are_those_of_the_run_and_of_one_fold(tmp_path: Path) -> None:
    work = planned(tmp_path, "none", "pix2pix", "nfer-sde", "egsde")
    part = first_faces(work, 2, 4)
    trained = {stage for stage in part.stages if isinstance(stage, TrainNetwork)}
    assert trained < set(work.stages) and {stage.fold.index for stage in trained} == {2}
    assert len(trained) == part.trainings == 4
    assert [row.name for row in part.rows] == ["nfer-sde", "egsde"]
    for stage in part.stages:
        assert all(need in part.stages[: part.stages.index(stage)] for need in stage.needs())


def test_a_few_faces_are_another_stage_and_all_keep_their_key(tmp_path: Path) -> None:
    work = planned(tmp_path, "nfer-sde")
    (few,) = (stage for stage in first_faces(work, 0, 4).stages if isinstance(stage, Translate))
    (all_of_them,) = (
        stage for stage in work.stages if isinstance(stage, Translate) and stage.fold and stage.fold.index == 0
    )
    assert "first" not in description(all_of_them) and description(few)["first"] == 4
    assert key(few) != key(all_of_them) and few.label() == f"{all_of_them.label()}-first4"
    assert units(few, work) == 4 < units(all_of_them, work)


def test_methods_that_take_no_steps_are_no_matter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to diagnose: none, pix2pix: a face is not moved step by step there"):
        first_faces(planned(tmp_path, "none", "pix2pix"), 0, 4)
