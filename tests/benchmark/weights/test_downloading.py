"""Downloads: from a server of the test, whole or cut, right or wrong, begun anew or gone on with."""

from __future__ import annotations

import fcntl
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nferbench.contract.errors import NferbenchError, UsageError
from nferbench.weights import cache_directory
from nferbench.weights.downloading import DownloadError, download
from nferbench.weights.known import WeightFile

CONTENT = bytes(range(256)) * 20
HALF = len(CONTENT) // 2


@dataclass
class Served:
    """What the server has and how it behaves; what it was asked."""

    content: bytes = CONTENT
    cut: int | None = None  # bytes after which it hangs up
    ranges: bool = True  # whether it can leave out what is there already
    sized: bool = True  # whether it says how much will come
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    what = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            what.asked.append(wanted)
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and what.ranges else 0
            if self.path != "/toy-12345678.pth" or start >= len(what.content):
                self.send_error(416 if start else 404)
                return
            self.send_response(206 if start else 200)
            if what.sized:
                self.send_header("Content-Length", str(len(what.content) - start))
            self.end_headers()
            self.wfile.write(what.content[start : what.cut])

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(f"{__name__}.PORT", server.server_port)
    yield what
    server.shutdown()
    thread.join()
    server.server_close()


PORT = 0  # of the server that is running


def toy(digits: int = 8) -> WeightFile:
    """Weights of which the first digits of the SHA-256 are known."""
    known = hashlib.sha256(CONTENT).hexdigest()[:digits]
    url = f"http://127.0.0.1:{PORT}/toy-12345678.pth"
    return WeightFile("toy", "a test", (("toy-12345678.pth", known),), "nferbench weights get toy", url=url)


def quietly(done: int, total: int | None) -> None:
    return


def part() -> Path:
    return cache_directory() / ".toy-12345678.pth.part"


def left(content: bytes) -> None:
    """What an earlier process had when it was killed."""
    part().parent.mkdir(parents=True)
    part().write_bytes(content)


def kept() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache_directory().iterdir()}


@pytest.mark.parametrize("digits", [8, 64])
@pytest.mark.parametrize("sized", [True, False])
def test_a_file_lies_in_the_cache_once_it_is_whole_and_nothing_else_does(
    served: Served, digits: int, sized: bool
) -> None:
    served.sized = sized
    told: list[tuple[int, int | None]] = []
    path = download(toy(digits), lambda done, total: told.append((done, total)))
    assert path == cache_directory() / "toy-12345678.pth"
    assert kept() == {"toy-12345678.pth": CONTENT}
    assert told[-1] == (len(CONTENT), len(CONTENT) if sized else None)


@pytest.mark.parametrize("digits", [8, 64])
def test_another_file_than_the_known_one_is_refused_and_not_kept(served: Served, digits: int) -> None:
    served.content = b"<html>Please log in.</html>"
    with pytest.raises(DownloadError, match=f"SHA-256 {hashlib.sha256(served.content).hexdigest()}") as caught:
        download(toy(digits), quietly)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert kept() == {}


def test_a_cut_connection_is_told_and_the_next_call_goes_on(served: Served) -> None:
    served.cut = HALF
    with pytest.raises(DownloadError, match=f"cut after {HALF:,} of {len(CONTENT):,} bytes; start the same"):
        download(toy(), quietly)
    assert kept() == {part().name: CONTENT[:HALF]}
    served.cut = None
    told: list[int] = []
    download(toy(), lambda done, total: told.append(done))
    assert served.asked == [None, f"bytes={HALF}-"] and told == [len(CONTENT)]
    assert kept() == {"toy-12345678.pth": CONTENT}


@pytest.mark.parametrize(
    ("there", "ranges", "asked"),
    [
        (CONTENT[:100], True, ["bytes=100-"]),
        (CONTENT[:100], False, ["bytes=100-"]),
        (CONTENT, True, [f"bytes={len(CONTENT)}-"]),  # killed before it had its name
        (b"\0" * 100, True, ["bytes=100-", None]),  # damaged
        (b"\0" * 9999, True, ["bytes=9999-", None]),
    ],
)
def test_what_a_kill_left_is_gone_on_with_or_begun_anew(
    served: Served, there: bytes, ranges: bool, asked: list[str | None]
) -> None:
    left(there)
    served.ranges = ranges
    download(toy(), quietly)
    assert served.asked == asked
    assert kept() == {"toy-12345678.pth": CONTENT}


def test_a_damaged_file_of_that_name_is_replaced(served: Served) -> None:
    left(b"")
    (cache_directory() / "toy-12345678.pth").write_bytes(b"half a file")
    download(toy(), quietly)
    assert kept() == {"toy-12345678.pth": CONTENT}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/toy-12345678.pth", "file:///nowhere/toy.pth"])
def test_without_a_network_there_is_one_line(served: Served, url: str) -> None:
    with pytest.raises(DownloadError, match=re.escape(url)) as caught:
        download(replace(toy(), url=url), quietly)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert str(cache_directory()) in str(caught.value) and kept() == {}


def test_an_address_without_the_file_is_one_line(served: Served) -> None:
    with pytest.raises(DownloadError, match="404"):
        download(replace(toy(), url=f"http://127.0.0.1:{PORT}/other.pth"), quietly)


def test_a_cache_that_cannot_be_written_is_one_line_with_the_way_out(served: Served, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    with pytest.raises(UsageError, match=r"Not a directory.*XDG_CACHE_HOME") as caught:
        download(toy(), quietly)
    assert "\n" not in str(caught.value) and served.asked == []


def test_two_downloads_of_one_file_do_not_mix(served: Served) -> None:
    left(CONTENT[:100])
    with part().open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(NferbenchError, match="another process is downloading"):
            download(toy(), quietly)
    assert kept() == {part().name: CONTENT[:100]} and served.asked == []
