"""nferbench weights: what is there, what is missing, and the one command that downloads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nferbench.cli.app import app
from nferbench.contract.errors import UsageError
from nferbench.weights import cache_directory, downloading, hub_directory, searching
from nferbench.weights.known import WeightFile

CONTENT = b"tensors"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches; "net" has an address, of "heads" every digit is known and a package carries it."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "net-12345678.pth").write_bytes(CONTENT)
    url = (tmp_path / "served" / "net-12345678.pth").as_uri()
    net = WeightFile("net", "a loss", (("net-12345678.pth", DIGEST[:8]),), "nferbench weights get net", url=url)
    heads = WeightFile("heads", "a metric", (("heads.pth", DIGEST),), "pip install heads", package="no_heads/weights")
    monkeypatch.setattr(searching, "KNOWN", (net, heads))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("TORCH_HOME", "NFERBENCH_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)


def nferbench(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("words", [("weights",), ("weights", "list")])
def test_weights_are_listed_by_content_with_what_they_are_for_and_how_to_get_them(words: tuple[str, ...]) -> None:
    put(hub_directory() / "net-12345678.pth", b"tensor")
    path = put(cache_directory() / "heads.pth")
    done = nferbench(*words)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("weights net (a loss): missing, ") and "has another SHA-256" in lines[0]
    assert lines[0].endswith("; to get them: nferbench weights get net")
    assert lines[1] == f"weights heads (a metric): found, {path}, SHA-256 {DIGEST}"


def test_the_list_says_how_many_digits_are_known() -> None:
    put(hub_directory() / "net-12345678.pth")
    assert f"SHA-256 {DIGEST}, of which the first 8 digits are known" in nferbench("weights").output


@pytest.mark.parametrize("words", [("weights", "--json"), ("weights", "list", "--json")])
def test_other_programs_read_the_same_list(words: tuple[str, ...]) -> None:
    path = put(cache_directory() / "heads.pth")
    net, heads = json.loads(nferbench(*words).output)
    assert (net["name"], net["state"]) == ("net", "missing") and not {"path", "sha256"} & net.keys()
    assert net["looked"].startswith("no net-12345678.pth in ") and net["how_to_get"] == "nferbench weights get net"
    assert (heads["state"], heads["path"], heads["sha256"]) == ("found", str(path), DIGEST)


def test_json_before_get_is_no_silent_nothing() -> None:
    assert isinstance(nferbench("weights", "--json", "get", "net").exception, UsageError)


def test_what_is_asked_for_is_downloaded_and_then_there(tmp_path: Path) -> None:
    path = cache_directory() / "net-12345678.pth"
    first = nferbench("weights", "get", "net")
    assert first.exit_code == 0
    assert f"net: downloaded, {path}, SHA-256 {DIGEST}, of which the first 8 digits are known" in first.output
    (tmp_path / "served" / "net-12345678.pth").unlink()
    again = nferbench("weights", "get", "net", "net")
    assert (again.exit_code, again.output) == (0, f"net: there already, {path}\n")
    assert nferbench("weights").output.startswith(f"weights net (a loss): found, {path}")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("net", "nett"), "unknown weights 'nett'; did you mean 'net'.*nferbench weights lists all"),
        (("net", "heads"), "weights 'heads' come in a package; get them with: pip install heads"),
    ],
)
def test_nothing_is_downloaded_where_one_name_cannot_be(
    names: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "download", lambda *_: pytest.fail("downloaded"))
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(app, ("weights", "get", *names), catch_exceptions=False)


def test_what_a_package_carried_here_needs_no_download() -> None:
    path = put(cache_directory() / "heads.pth")
    assert nferbench("weights", "get", "heads").output == f"heads: there already, {path}\n"


def test_the_doctor_says_the_same_of_weights() -> None:
    path = put(cache_directory() / "heads.pth")
    said = nferbench("doctor").output
    assert "to get them: nferbench weights get net" in said and f"weights heads (a metric): found, {path}" in said
