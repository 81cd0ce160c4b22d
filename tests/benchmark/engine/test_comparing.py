"""Two folders of images, one against the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from nferbench.contract.errors import DataError, UsageError
from nferbench.engine import comparing
from nferbench.engine.comparing import Compared, compare


def folder(path: Path, seed: int, *names: str, size: tuple[int, int] = (12, 9)) -> Path:
    rng = np.random.default_rng(seed)
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path / name)
    return path


def compared(one: Path, other: Path) -> Compared:
    return compare(one, other, "cpu", lambda done, total: None)


def test_each_pair_is_scored_in_colour_and_the_mean_is_theirs(tmp_path: Path) -> None:
    one = folder(tmp_path / "a", 0, "x.png", "deep/y.png")
    other = folder(tmp_path / "b", 1, "x.tif", "deep/y.tif")
    found = compared(one, other)
    assert list(found.scores) == ["deep/y", "x"] and found.lpips.startswith("no LPIPS")
    preds, target = (np.asarray(Image.open(path)) / 255 for path in (one / "x.png", other / "x.tif"))
    assert found.scores["x"]["psnr"] == pytest.approx(peak_signal_noise_ratio(target, preds, data_range=1), abs=1e-5)
    similar = structural_similarity(target, preds, data_range=1, channel_axis=2)
    assert found.scores["x"]["ssim"] == pytest.approx(similar, abs=1e-6)
    assert found.scores["x"]["psnr_paper"] > found.scores["x"]["psnr"] + 42
    assert found.means()["psnr"] == pytest.approx(np.mean([each["psnr"] for each in found.scores.values()]))
    assert "lpips" not in found.means()


def test_lpips_is_there_where_all_images_are_large_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def metric(preds: object, target: object) -> list[float]:
        seen.append(tuple(preds.shape))  # type: ignore[attr-defined]
        return [0.25]

    monkeypatch.setattr(comparing, "lpips_identity", lambda side: f"lpips at {side}")
    monkeypatch.setattr(comparing, "load_lpips", lambda device: metric)
    one, other = (folder(tmp_path / name, 0, "x.png", size=(40, 33)) for name in "ab")
    found = compared(one, other)
    assert (found.lpips, seen) == ("lpips at 33", [(1, 3, 40, 33)])
    assert found.means()["lpips"] == 0.25 and found.means()["psnr"] == np.inf


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "a: no images; PNG, JPEG, TIFF and .npy are read"),
        (("x.png",), r"1 of 2 images of \S+b have no partner in \S+a: y.png"),
        (("x.png", "y.png", "z.png"), r"1 of 3 images of \S+a have no partner in \S+b: z.png"),
        (("x.png", "y.png", "y.tif"), "y.png and y.tif have one name; one image a name is due"),
        (("X.png", "y.png"), "no partner in .*: X.png"),
    ],
)
def test_what_has_no_partner_or_two_is_listed(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=told):
        compared(folder(tmp_path / "a", 0, *names), folder(tmp_path / "b", 0, "x.png", "y.png"))


def test_sizes_that_differ_are_listed(tmp_path: Path) -> None:
    other = folder(tmp_path / "b", 0, "x.png", "y.png")
    one = folder(folder(tmp_path / "a", 0, "x.png"), 0, "y.png", size=(9, 12))
    with pytest.raises(DataError, match=r"1 of 2 pairs have two sizes: y \(12 x 9 and 9 x 12 pixels\)"):
        compared(one, other)
    for name in ("x.png", "y.png"):
        (one / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 2 pairs cannot be used: \S+x.png: the file is empty; \S+y.png"):
        compared(one, other)
    with pytest.raises(UsageError, match="is no folder"):
        compared(one, tmp_path / "nowhere")
