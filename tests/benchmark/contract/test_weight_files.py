"""Weights are what a file holds, whatever it is called; what is none is told in a line, and nothing in it is run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from nferbench import UsageError
from nferbench.contract.weight_files import digest, parts, read

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def zipped(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def legacy(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def with_header(header: object, body: bytes) -> bytes:
    """A safetensors file whose header says what it likes."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def archive(**members: str) -> bytes:
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return stream.getvalue()


def compiled() -> bytes:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), stream := io.BytesIO())
    return stream.getvalue()


def tensors_of(content: bytes, path: Path) -> dict[str, Tensor]:
    path.write_bytes(content)
    return read(str(path), hashlib.sha256(content).hexdigest()).tensors


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.zip", "w.html", "w"])
@pytest.mark.parametrize("made", [zipped, legacy, save])
def test_the_form_is_what_the_file_holds_and_not_its_name(
    tmp_path: Path, name: str, made: Callable[[object], bytes]
) -> None:
    assert same(tensors_of(made(STATE), tmp_path / name), STATE)


def test_tensors_are_read_from_wherever_they_were_computed_and_however_they_lay(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    state = {"slice": base[2:4], "strided": base[::3], "row": torch.ones(1, 3).expand(2, 3), "none": torch.zeros(0, 3)}
    twice = {**state, "again": state["slice"], "kept": nn.Parameter(torch.ones(2))}
    assert same(tensors_of(zipped(twice), tmp_path / "w"), twice)
    on_gpu = legacy(STATE).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    assert on_gpu != legacy(STATE) and same(tensors_of(on_gpu, tmp_path / "w"), STATE)
    parallel = {f"module.{key}": value for key, value in STATE.items()}
    assert same(tensors_of(zipped(parallel), tmp_path / "w"), STATE)


NO_WEIGHTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "but an empty file; get it again"),
    "a web page": (lambda: b"\n<!DOCTYPE html><html>404</html>", "but a web page or other markup; get the file itself"),
    "git-lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "; .*with git lfs pull"),
    "text": (lambda: b"no weights" * 9, r"no safetensors file \(.*\) and not a state dict that torch saved; give one"),
    "safetensors, cut off": (lambda: save(STATE)[:-1], "if the copy is not complete"),
    "safetensors, other kind": (
        lambda: with_header({"w": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}, b"\0\0"),
        r"no safetensors file \('F4'\)",
    ),
    "zip, cut off": (lambda: zipped(STATE)[:-30], "damaged or cut off; is the copy complete"),
    "legacy, cut off": (lambda: legacy(STATE)[:-3], "damaged or cut off; is the copy complete"),
    "legacy, its start": (lambda: legacy(STATE)[:3], "damaged or cut off; is the copy complete"),
    "another zip": (lambda: archive(**{"a.txt": "x", "b/data.pkl": "y"}), "a zip file of something else"),
    "compiled": (compiled, "a zip file of something else, or a compiled network; save the tensors"),
    "pickle": (lambda: pickle.dumps(STATE), "they hold other objects, .*only tensors are unpickled; save the tensors"),
    "network": (lambda: zipped(nn.Linear(2, 2)), r"such as a whole network, .*network\.state_dict\(\), FILE"),
    "network, legacy": (lambda: legacy(nn.Linear(2, 2)), "such as a whole network"),
    "a list": (lambda: zipped([torch.ones(1)]), "they are list; save the tensors"),
    "no tensor": (lambda: zipped({}), "there is none in it"),
    "checkpoint": (
        lambda: zipped({"epoch": 3, "state_dict": STATE, "optimizer": {"state": {}}, "loss": 0.1}),
        "they hold 'epoch', 'state_dict', 'optimizer', …; save what it has as 'state_dict' alone",
    ),
    "numbers as names": (lambda: zipped({0: torch.ones(1), "0": torch.zeros(1)}), "they hold 0, '0'"),
    "names with line breaks": (lambda: zipped({"a\nb": 1}), r"they hold 'a\\nb'"),
    "sparse": (lambda: zipped({"w": torch.eye(2).to_sparse()}), r"'w' is not dense \(sparse_coo\); save it dense"),
    "sparse rows": (lambda: zipped({"w": torch.eye(2).to_sparse_csr()}), r"'w' is not dense \(sparse_csr\)"),
    "ragged": (lambda: zipped({"w": torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])}), "not dense"),
    "no numbers": (lambda: zipped({"w": torch.ones(2, device="meta")}), r"'w' has no numbers \(device meta\)"),
    "8 bits": (lambda: save({"w": torch.ones(2).to(torch.float8_e4m3fn)}), "'w' is float8_e4m3fn; save it"),
    "complex": (lambda: zipped({"w": torch.ones(2, dtype=torch.complex64)}), "'w' is complex64; save it"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("kind", NO_WEIGHTS)
def test_what_holds_no_weights_is_one_line_with_a_way_out(tmp_path: Path, kind: str, name: str) -> None:
    made, message = NO_WEIGHTS[kind]
    with pytest.raises(UsageError, match=message) as caught:
        tensors_of(made(), tmp_path / name)
    assert str(caught.value).startswith(f"initial weights {tmp_path / name}") and "\n" not in str(caught.value)


def test_quantised_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning):
        state = {"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}
    with pytest.raises(UsageError, match="'w' is qint8; save it dense"):
        tensors_of(zipped(state), tmp_path / "w")


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "trap"),)

    for content in (zipped({"w": Code()}), legacy({"w": Code()}), pickle.dumps({"w": Code()})):
        with pytest.raises(UsageError, match="only tensors are unpickled"):
            tensors_of(content, tmp_path / "w")
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("name", ["x" * 300, "nul\0", "file/below"])
def test_a_place_that_cannot_be_asked_holds_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    for ask in (parts, digest):
        with pytest.raises(UsageError, match="is not a file or folder; set init to where they lie"):
            ask(tmp_path / name)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w").write_bytes(content := save(STATE))

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    for ask in (lambda: digest(tmp_path / "w"), lambda: read(str(tmp_path / "w"), hashlib.sha256(content).hexdigest())):
        with pytest.raises(UsageError, match=r"w cannot be read \(Permission denied\); give others$"):
            ask()
