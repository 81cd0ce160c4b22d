"""A workspace whose stages say what they took, small enough to work the means out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workspaces import Made, Reference

FOLDS = (0, 1)
UPDATES = 40
RECIPES: dict[str, dict[str, Any]] = {
    "shared": {"is": "test.Recipe", "lr": 0.001, "steps": UPDATES},
    "own": {"is": "test.GAN", "lr_generator": 0.0001, "steps": UPDATES},
}


def network(made: Made, faces: Reference, name: str, fold: int, seconds: float, **more: Any) -> Reference:
    """A trained network; `more` goes into its stage.json, each of its parts over what stands there."""
    label = f"{name}-tiny-fold{fold}"
    parts = {
        "result": {"updates": UPDATES, "pairs": 8, "parameters": 1000, "units": UPDATES},
        "cost": {"key": "k", "seconds": seconds, "units": UPDATES, "resumed": False},
        "made_with": {"device": "cpu", "peak_resident_bytes": 300_000_000 + fold, "piece": 4},
    }
    merged = {part: {**said, **more.get(part, {})} for part, said in parts.items()}
    description = {**made.description("networks", label, faces), "recipe": RECIPES.get(name, {"is": name})}
    files = {"losses.csv": losses(fold, lr=name == "shared"), "weights.safetensors": "heavy"}
    return made.stage("networks", label, faces, files=files, description=description, **merged)


def losses(fold: int, lr: bool) -> str:
    """Forty updates in which one term falls, one rises through 0, and the rate falls to a half."""
    lines = ["update,fit,game" + ",lr" * lr]
    for k in range(1, UPDATES + 1):
        lines.append(f"{k},{(1 + fold) / k!r},{(k - 20) / 10!r}" + f",{0.001 * (1 - k / 80)!r}" * lr)
    return "\r\n".join(lines) + "\r\n"


def translation(made: Made, name: str, fold: int, *needs: Reference, seconds: float, **more: Any) -> Reference:
    """The translation of four faces."""
    parts = {
        "result": {"images": 4, "units": 4, "evaluations": {"score": 8.0 + fold, "guide": 0.5}},
        "cost": {"key": "k", "seconds": seconds, "units": 4, "resumed": False},
        "made_with": {"device": "cpu", "peak_resident_bytes": 200_000_000, "batch": 4},
    }
    merged = {part: {**said, **more.get(part, {})} for part, said in parts.items()}
    return made.stage("translations", f"{name}{fold}", *needs, files={"images.npy": "made faces"}, **merged)


def recognition(made: Made, faces: Reference, name: str, fold: int, seconds: float) -> Reference:
    rows = ["id,subject,expression,predicted", "a,Ann-Lee,anger,anger", "b,Cleo,fear,anger"]
    cost = {"key": "k", "seconds": seconds, "units": 9, "resumed": False}
    files = {"predictions.csv": "\r\n".join(rows) + "\r\n"}
    return made.stage("recognition", f"{name}{fold}", faces, files=files, cost=cost)


def quality(made: Made, images: Reference, name: str, fold: int) -> Reference:
    rows = [
        "id,subject,expression,lpips,psnr,ssim,psnr_paper,ssim_paper",
        f"a,Ann-Lee,anger,0.{fold + 1},20,0.5,20,0.5",
    ]
    return made.stage("quality", f"{name}{fold}", images, files={"scores.csv": "\r\n".join(rows) + "\r\n"})


def costly(root: Path, needs: bool = True, **changes: Mapping[str, Any]) -> Made:
    """The rows "none", "alpha" (networks own and shared) and "beta" (shared alone) on two folds.

    Args:
        root: of the workspace.
        needs: whether the record says what folds need; those of earlier versions do not.
        changes: what stage.json of a stage says otherwise, by the name of the stage.
    """
    made = Made(root)
    faces = made.stage("faces", "tiny", files={"images.npy": "pixels of faces"})
    rows: dict[str, list[dict[str, Any]]] = {"none": [], "alpha": [], "beta": []}
    for fold in FOLDS:
        shared = network(made, faces, "shared", fold, 10.0 + fold, **changes.get(f"shared{fold}", {}))
        own = network(made, faces, "own", fold, 3.0 + 2 * fold, **changes.get(f"own{fold}", {}))
        behind = {"none": (), "alpha": (own, shared), "beta": (shared,)}
        for name, networks in behind.items():
            change = changes.get(f"{name}{fold}", {})
            images = translation(made, name, fold, faces, *networks, seconds=0.4 * (1 + fold), **change)
            cell: dict[str, Any] = {
                "translation": images,
                "quality": quality(made, images, name, fold),
                "fer": recognition(made, faces, name, fold, 5.0 + fold),
            }
            rows[name].append({**cell, "needs": [faces, *networks]} if needs else cell)
    made.record([made.row(name, cells) for name, cells in rows.items()], faces)
    return made
