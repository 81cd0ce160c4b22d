"""Trees with some damaged and odd files, from listing to a run: these are left out and named, all others are usable."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image
from program import program

from nferbench.contract.dataset import EXPRESSIONS, FaceDataset, Modality
from nferbench.datasets.folder import FolderDataset
from nferbench.datasets.manifest import ManifestDataset
from nferbench.datasets.oulu_casia import OuluCasia
from nferbench.faces.prepare import prepare
from nferbench.faces.prepared import PreparedFaces, read_prepared
from nferbench.faces.verify import verify

PEOPLE, SAMPLES = 20, 4  # with six expressions and two modalities 960 images
SIZE = 24  # pixels
OFTEN = 0.03  # share of the images that may be odd

Write = Callable[[Image.Image, Path], None]
Kind = Literal["folder", "manifest", "oulu"]
KINDS: tuple[Kind, ...] = ("folder", "manifest", "oulu")


@dataclass(frozen=True)
class Odd:
    """An image that is replaced, and what shall become of it."""

    write: Write
    modality: Modality = "vis"
    reason: str = ""  # part of why it is left out; "" where it is usable
    listed: bool = True  # whether it looks like an image as long as nobody opens it
    error: float = 0.0  # greatest mean difference in levels of the crop where it is usable
    manifest: bool = True  # whether a manifest may name it: a path that leaves the root is refused there


def saved(kind: str, mode: str = "RGB", size: int = SIZE, **options: object) -> Write:
    def write(image: Image.Image, path: Path) -> None:
        image.resize((size, size)).convert(mode).save(path, kind, **options)

    return write


def truncated(image: Image.Image, path: Path) -> None:
    whole = io.BytesIO()
    image.save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[:-200])


def sixteen_bits(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path, "PNG")


def animated(kind: str) -> Write:
    def write(image: Image.Image, path: Path) -> None:
        image.save(path, kind, save_all=True, append_images=[Image.new("RGB", image.size)])

    return write


def outside(image: Image.Image, path: Path) -> None:
    target = outer(path) / "image.png"
    image.save(target)
    path.symlink_to(target)


def forbidden(image: Image.Image, path: Path) -> None:
    image.save(path, "PNG")
    path.chmod(0)


def outer(path: Path) -> Path:
    """A folder that is not in the data root."""
    folder = next(place for place in path.parents if place.name == "damaged").parent / "elsewhere"
    folder.mkdir(exist_ok=True)
    return folder


ODD: Mapping[str, Odd] = {
    "truncated": Odd(truncated, reason="cannot be decoded"),
    "truncated nir": Odd(truncated, "nir", reason="cannot be decoded"),
    "empty": Odd(lambda image, path: path.touch(), reason="the file is empty"),
    "text": Odd(lambda image, path: path.write_text("404 not found") and None, reason="not an image"),
    "one pixel": Odd(saved("PNG", size=1), reason="1 x 1 pixels"),
    "folder": Odd(lambda image, path: path.mkdir(), reason="a folder", listed=False),
    "pipe": Odd(lambda image, path: os.mkfifo(path), reason="not a file", listed=False),
    "link away": Odd(outside, reason="a link out of the data root", listed=False, manifest=False),
    "link in a circle": Odd(lambda i, path: path.symlink_to(path), "nir", "not a file", False, manifest=False),
    "larger": Odd(saved("PNG", size=3 * SIZE), error=4),
    "sixteen bits": Odd(sixteen_bits, "nir"),
    "cmyk": Odd(saved("JPEG", "CMYK", quality=98), error=4),
    "alpha": Odd(saved("PNG", "RGBA")),
    "animated": Odd(animated("PNG")),
    "animated gif": Odd(animated("GIF"), error=8),
}
if os.geteuid():  # nothing is forbidden to root
    ODD |= {"forbidden": Odd(forbidden, reason="cannot be read (Permission denied)")}

NAMES = ("two words", 'it\'s "quoted"', "Jürgen Groß", "a,b;c", "[red]{x}%s", "笑顔")  # usable as names of samples
BAD_NAMES = {"two\nlines": "two\\nlines", os.fsdecode(b"Ren\xe9"): "Ren\\xe9", "\x1b[2J": "\\x1b[2J"}  # and as shown


@dataclass(frozen=True)
class Tree:
    """A tree with odd files, and one that has healthy files in their place, or none where they are not listed."""

    kind: Kind
    damaged: Path
    healthy: Path

    @property
    def dataset(self) -> FaceDataset:
        return {"folder": FolderDataset(), "manifest": ManifestDataset(), "oulu": OuluCasia()}[self.kind]


def place(kind: Kind, modality: Modality, person: int, expression: str, sample: int | str) -> str:
    """The path of an image, which is also its id."""
    if kind == "oulu":
        return f"{'VL' if modality == 'vis' else 'NI'}/Strong/P{person:03}/{expression.capitalize()}/{sample:03}.jpeg"
    return f"{modality}/P{person:03}/{expression}/{sample}.jpg"


def odd_place(kind: Kind, number: int, modality: Modality | None = None) -> str:
    """Where the odd image of this number lies, or its partner: always the last sample, which Oulu-CASIA takes."""
    odd = list(ODD.values())[number]
    return place(kind, modality or odd.modality, number + 1, EXPRESSIONS[number % 6], SAMPLES - 1)


def drawn(rng: np.random.Generator, modality: Modality) -> Image.Image:
    coarse = Image.fromarray(rng.integers(40, 216, (6, 6, 3), np.uint8))
    return coarse.convert("L" if modality == "nir" else "RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def build(kind: Kind, folder: Path) -> Tree:
    rng = np.random.default_rng(0)
    tree = Tree(kind, folder / "damaged", folder / "healthy")
    samples: list[int | str] = list(range(SAMPLES))
    for person in range(1, PEOPLE + 1):
        for expression in EXPRESSIONS:
            extra = NAMES if kind != "oulu" and (person, expression) == (1, "fear") else ()
            for modality in ("vis", "nir"):
                for sample in (*samples, *extra):
                    path = tree.healthy / place(kind, modality, person, expression, sample)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    drawn(rng, modality).save(path, "PNG")  # whatever the name says, the content decides
    shutil.copytree(tree.healthy, tree.damaged, copy_function=os.link)
    for number, odd in enumerate(ODD.values()):
        file = odd_place(kind, number)
        image = Image.open(tree.healthy / file)
        image.load()
        (tree.damaged / file).unlink()
        if kind != "manifest" or odd.manifest:
            odd.write(image, tree.damaged / file)
        if not odd.listed:
            (tree.healthy / file).unlink()
    for name in BAD_NAMES:
        for modality in ("vis", "nir"):
            path = tree.damaged / place(kind, modality, 1, "fear", 0)
            drawn(rng, modality).save(path.with_name(f"{name}.jpg"), "PNG")
    if kind == "manifest":
        for root in (tree.damaged, tree.healthy):
            write_manifest(root)
    else:
        link = tree.damaged / place(kind, "vis", 99, "fear", 0)
        link.parents[2].joinpath("P099").symlink_to(outer(link))
    return tree


def write_manifest(root: Path) -> None:
    """All that lies there and has a name that can be written in UTF-8."""
    files = [path.relative_to(root) for path in sorted(root.glob("*/*/*/*"))]
    with (root / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "modality", "subject", "expression", "pair"))
        for path in files:
            if str(path).isprintable() or "\n" in str(path):
                writer.writerow((path.as_posix(), *path.parts[:3], "/".join(path.parts[1:])))


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """A pipe must not hang: whoever waits is woken by an error."""

    def late(*_: object) -> None:
        raise TimeoutError("something waits forever")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", params=KINDS)
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def prepared(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreparedFaces, PreparedFaces]:
    """The folder of the prepared odd tree, its faces, and those of the healthy one."""
    out = tmp_path_factory.mktemp("prepared")
    for root in (tree.damaged, tree.healthy):
        prepare(tree.dataset, root, 16, "given", out / root.name, lambda done, total: None)
    return out / "damaged", read_prepared(out / "damaged"), read_prepared(out / "healthy")


def left_out(folder: Path) -> dict[str, str]:
    """What was left out and why, of a file in which that takes one line each."""
    text = (folder / "dropped.csv").read_text("utf-8")
    assert all(line.isprintable() for line in text.split("\n"))
    rows = {row["what"]: row["reason"] for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == text.count("\n") - 1
    assert "damaged" not in text  # a name is told once, and never with the place of the tree on this machine
    return rows


def test_every_odd_file_is_usable_or_left_out_with_its_partner(
    tree: Tree, prepared: tuple[Path, PreparedFaces, PreparedFaces]
) -> None:
    folder, faces, _ = prepared
    reasons = left_out(folder)
    kept = {face.id for face in faces.faces}
    assert len(ODD) + 2 * len(BAD_NAMES) < OFTEN * 2 * PEOPLE * len(EXPRESSIONS) * SAMPLES
    for number, (what, odd) in enumerate(ODD.items()):
        file = odd_place(tree.kind, number)
        partner = odd_place(tree.kind, number, "nir" if odd.modality == "vis" else "vis")
        if not odd.reason:
            assert {file, partner} <= kept, what
            continue
        assert file not in kept, what
        if tree.kind != "manifest" or odd.manifest:
            assert odd.reason in reasons[file], what
        if tree.kind != "oulu" or odd.listed:  # a recording is paired from what it has, so it loses another frame
            assert partner not in kept and reasons[partner] == f"no {odd.modality} partner", what


def test_odd_names_are_shown_in_one_line_and_harmless_ones_are_used(
    tree: Tree, prepared: tuple[Path, PreparedFaces, PreparedFaces]
) -> None:
    folder, faces, _ = prepared
    reasons = left_out(folder)
    kept = {face.id for face in faces.faces}
    for modality in ("vis", "nir"):
        beside = place(tree.kind, modality, 1, "fear", 0).rpartition("/")[0]
        for name, shown in BAD_NAMES.items():
            if tree.kind != "manifest" or "\n" in name:
                assert "its name " in reasons[f"{beside}/{shown}.jpg"]
        for name in NAMES if tree.kind != "oulu" else ():
            assert f"{beside}/{name}.jpg" in kept
    if tree.kind != "manifest":
        person = place(tree.kind, "vis", 99, "fear", 0).split("P099")[0] + "P099"
        assert reasons[person] == "a link out of the data root"


def test_all_other_faces_are_prepared_as_if_nothing_odd_were_there(
    tree: Tree, prepared: tuple[Path, PreparedFaces, PreparedFaces]
) -> None:
    _, faces, healthy = prepared
    lost = {
        odd_place(tree.kind, number, modality)
        for number, odd in enumerate(ODD.values())
        for modality in ("vis", "nir")
        if odd.reason and odd.listed
    }
    error = {odd_place(tree.kind, number): odd.error for number, odd in enumerate(ODD.values())}
    rows = [row for row, face in enumerate(healthy.faces) if face.id not in lost]
    assert faces.faces == tuple(healthy.faces[row] for row in rows)
    for face, image, expected in zip(faces.faces, faces.images, healthy.images[rows], strict=True):
        difference = np.abs(image.astype(int) - expected.astype(int))
        assert difference.mean() <= error.get(face.id, 0), face.id


def test_verify_counts_and_names_and_finds_the_set_usable(tree: Tree) -> None:
    verdict = verify(tree.dataset, tree.damaged, 16, "given")
    assert all(line.isprintable() for line in verdict.lines)
    text = "\n".join(verdict.lines)
    assert "left out: " in text and " faces of 20 subjects" in text
    if tree.kind != "oulu":  # 20 of 80 people are no copy of that one
        assert verdict.usable
        assert "1 left out: a folder" in text


def run(*arguments: str) -> str:
    done = program(*arguments, PYTHONIOENCODING="ascii")  # the least that a terminal can do
    text = done.stdout + done.stderr
    assert done.returncode == 0 and text.isascii() and "Traceback" not in text, text
    return text


def test_the_commands_end_with_what_was_left_out_and_a_result(tmp_path: Path) -> None:
    tree = build("folder", tmp_path)
    options = ("--preset", "quick", "--crop", "none", "--workspace", str(tmp_path / "runs"))
    said = run("data", "verify", str(tree.damaged), *options)
    assert "damaged: usable; " in said
    assert "left out: its name is not UTF-8; rename it (such as vis/P001/fear/Ren\\xe9.jpg)" in said
    assert "left out: its name holds a line break" in said
    options += ("--dataset", str(tree.damaged), "--extra", "none")
    said = run("data", "prepare", *options)
    (folder,) = (tmp_path / "runs" / "faces").iterdir()
    assert f"note: {len(left_out(folder))} faces of {folder.name} were left out, see {folder / 'dropped.csv'}" in said
    few = ("--set", "fer-models.smallcnn.epochs=1")
    said = run("run", "--methods", "none", "--folds", "2", "--fold", "0", "--jobs", "1", *few, *options)
    assert "0 not. Record: " in said and f"see {folder / 'dropped.csv'}" in said
    assert "note: damaged: 2 left out: its name is not UTF-8; rename it (such as vis/P001/fear/Ren\\xe9.jpg)" in said
