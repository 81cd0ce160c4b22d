"""Black and white of files of more than 8 bits: one decision for a modality of a data set, told and settable."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nferbench.contract.dataset import FaceDataset
from nferbench.contract.errors import UsageError
from nferbench.contract.values import describe
from nferbench.datasets import depth
from nferbench.datasets.depth import levelled
from nferbench.datasets.detected import Detected
from nferbench.datasets.large_hfe import LargeHfeDataset
from nferbench.datasets.levels import FULL, Levels, Range, Values, decided, parsed, with_levels
from nferbench.datasets.manifest import ManifestDataset, dataset_from_path
from nferbench.detectors.mesh import Mesh
from nferbench.planning.levelling import remembered
from nferbench.workspace.store import Store


def tree(root: Path, shift: int, people: int = 3, suffix: str = ".png", base: int = 0) -> FaceDataset:
    """Pairs whose VIS faces have 8 bits, and whose NIR faces hold values of 8 bits `shift` bits to the left."""
    for person in range(people):
        for expression in ("anger", "fear"):
            grey = np.random.default_rng([person, *expression.encode()]).integers(0, 256, (12, 12), np.uint8)
            for modality, values in (("vis", grey), ("nir", base + (grey.astype(np.uint16) << shift))):
                file = root / modality / f"p{person}" / expression / f"1{suffix if modality == 'nir' else '.png'}"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values).save(file)
    return dataset_from_path(root)


def levels_of(dataset: FaceDataset, **wanted: Range) -> tuple[Levels, tuple[str, ...]]:
    found, listing = levelled(dataset, dataset.listing(None), None, wanted)  # type: ignore[arg-type]
    return found.levels, listing.notes  # type: ignore[attr-defined]


@pytest.mark.parametrize(("shift", "bits"), [(0, 8), (2, 10), (4, 12), (6, 14), (8, 16)])
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_the_fewest_bits_that_hold_every_value_are_taken_and_told(
    tmp_path: Path, shift: int, bits: int, suffix: str
) -> None:
    levels, notes = levels_of(tree(tmp_path, shift, suffix=suffix))
    assert levels == Levels(FULL, (0, 2**bits - 1))
    (note,) = notes
    assert f"NIR files of more than 8 bits use {bits}: 0 becomes black and {2**bits - 1} white" in note
    assert "--set nir_levels=BLACK-WHITE" in note


@pytest.mark.parametrize("shift", [2, 4, 6])
def test_files_of_fewer_bits_show_what_those_of_eight_show(tmp_path: Path, shift: int) -> None:
    dataset = tree(tmp_path, shift)
    found, listing = levelled(dataset, dataset.listing(None), None, {})
    for face in listing.faces:
        vis = found.load(replace(face, modality="vis", files=(face.files[0].replace("nir", "vis"),)), None, 8)
        difference = np.abs(found.load(face, None, 8).pixels.astype(int) - vis.pixels)
        assert difference.max() <= 2 and np.abs(difference).mean() < 1.2


def test_one_bright_file_decides_for_all(tmp_path: Path) -> None:
    dataset = tree(tmp_path, 2)
    Image.fromarray(np.full((12, 12), 3000, np.uint16)).save(tmp_path / "nir" / "p2" / "fear" / "1.png")
    assert levels_of(dataset)[0].nir == (0, 4095)


def test_modalities_differ_and_eight_bits_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tree(tmp_path, 4)
    for file in (tmp_path / "vis").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file)).astype(np.uint16) << 6).save(file)
    assert levels_of(dataset)[0] == Levels((0, 16383), (0, 4095))
    plain = tree(tmp_path / "plain", 0)
    for file in (tmp_path / "plain" / "nir").rglob("*.png"):
        Image.new("L", (12, 12), 90).save(file)
    monkeypatch.setattr(Image, "open", lambda *args, **kwargs: pytest.fail("decoded"))
    assert levels_of(plain) == (Levels(), ())


def test_looking_ends_where_nothing_can_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tree(tmp_path, 8, people=4)
    seen: list[Path] = []
    look = depth.values_of
    monkeypatch.setattr(depth, "values_of", lambda path: seen.append(path) or look(path))
    monkeypatch.setattr(depth, "CHUNK", 2)
    levels_of(dataset)
    assert sum("nir" in path.parts for path in seen) == 2


def test_damaged_and_floating_files_say_nothing(tmp_path: Path) -> None:
    dataset = tree(tmp_path, 4, suffix=".tiff")
    (tmp_path / "nir" / "p0" / "fear" / "1.tiff").write_bytes(b"II*\0 and no more")
    Image.fromarray(np.full((12, 12), 0.5, np.float32)).save(tmp_path / "nir" / "p1" / "fear" / "1.tiff")
    assert levels_of(dataset)[0].nir == (0, 4095)


def test_files_that_name_their_white_are_believed(tmp_path: Path) -> None:
    dataset = tree(tmp_path, 0, suffix=".pgm")
    for file in (tmp_path / "nir").rglob("*.pgm"):
        grey = np.asarray(Image.open(file).convert("L"))
        file.write_bytes(b"P5 12 12 1023\n" + grey.astype(">u2").tobytes())  # dark, and meant to be
    found, listing = levelled(dataset, dataset.listing(None), None, {})
    assert found.levels.nir == FULL  # type: ignore[attr-defined]
    assert max(found.load(face, None, 8).pixels.max() for face in listing.faces if face.modality == "nir") <= 64


def packed_tiff(path: Path, values: NDArray[np.uint16]) -> None:
    """A TIFF file of 12 bits a pixel, three bytes for two of them."""
    left, right = values.reshape(-1, 2).T.astype(int)
    data = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=1).astype(np.uint8).tobytes()
    height, width = values.shape
    entries = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
    entries.append((279, len(data)))
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    directory = struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)


def test_packed_twelve_bits_have_a_white_of_their_own(tmp_path: Path) -> None:
    dataset = tree(tmp_path, 0, suffix=".tiff")
    for file in (tmp_path / "nir").rglob("*.tiff"):
        packed_tiff(file, np.arange(144, dtype=np.uint16).reshape(12, 12))
    assert levels_of(dataset)[0].nir == (0, 4095)


def test_big_endian_files_are_read_alike(tmp_path: Path) -> None:
    dataset = tree(tmp_path, 6, suffix=".tiff")
    for file in (tmp_path / "nir").rglob("*.tiff"):
        values = np.asarray(Image.open(file))
        data = values.astype(">u2").tobytes()
        entries = [(256, 12), (257, 12), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 12), (279, len(data))]
        table = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in entries)
        directory = struct.pack(">H", len(entries)) + table + struct.pack(">I", 0)
        file.write_bytes(b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + directory)
    assert levels_of(dataset)[0].nir == (0, 16383)


def test_counts_of_a_radiometric_camera_get_a_note_that_says_what_to_set(tmp_path: Path) -> None:
    dataset = tree(tmp_path, 3, base=7000)
    levels, notes = levels_of(dataset)
    assert levels.nir == (0, 16383) and len(notes) == 2
    assert "as counts of a radiometric camera do" in notes[1]
    setting = notes[1].split("--set nir_levels=")[1].split()[0]
    wanted = parsed(setting, "nir_levels")
    assert wanted is not None and 7000 <= wanted[0] < 7100 and 8900 < wanted[1] <= 9040
    found, _ = levelled(dataset, dataset.listing(None), None, {"nir": wanted})
    face = next(face for face in dataset.listing(None).faces if face.modality == "nir")
    assert np.ptp(dataset.load(face, None, 8).pixels) < 10 and np.ptp(found.load(face, None, 8).pixels) > 230


def test_a_setting_decides_and_says_so_or_says_that_it_has_no_effect(tmp_path: Path) -> None:
    levels, notes = levels_of(tree(tmp_path, 4), nir=(16, 2000), vis=(0, 4095))
    assert levels == Levels(FULL, (16, 2000))
    assert "vis_levels has no effect, there are no VIS files of more than 8 bits" in notes[0]
    assert "16 becomes black and 2000 white, as set" in notes[1]


@pytest.mark.parametrize("text", ["12", "4095-0", "5-5", "-4095", "0-", "0-65536", "a-b", "0-1-2"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"nir_levels is '{text}'; write BLACK-WHITE"):
        parsed(text, "nir_levels")


def test_only_other_levels_than_the_full_range_enter_the_key(tmp_path: Path) -> None:
    dataset = ManifestDataset()
    assert "levels" not in describe(dataset)
    assert describe(with_levels(dataset, Levels())) == describe(dataset)
    assert describe(with_levels(dataset, Levels(nir=(0, 4095)))) != describe(dataset)
    full = Values(0, 60000, 65535)
    assert decided({"vis": None, "nir": full}, {}, "x")[0] == Levels()


def test_levels_reach_the_set_that_reads_the_files() -> None:
    levels = Levels(nir=(0, 4095))
    changed = with_levels(Detected(LargeHfeDataset(), Mesh()), levels)
    assert isinstance(changed, Detected) and isinstance(changed.inner, LargeHfeDataset)
    assert changed.inner.manifest.levels == levels


def test_files_are_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, store = tree(tmp_path / "data", 4), Store(tmp_path / "runs")
    listing = dataset.listing(None)
    first = remembered(dataset, listing, None, "content", {}, store)
    monkeypatch.setattr(depth, "values_of", lambda path: pytest.fail("looked again"))
    assert remembered(dataset, listing, None, "content", {}, store) == first
    for damaged in ("[1, 2]", "[" * 100_000, '{"a": 1}'):
        (store.workspace / "cache" / "levels.json").write_text(damaged)
        monkeypatch.undo()
        assert remembered(dataset, listing, None, "content", {}, store) == first
