"""Nothing is downloaded behind the user's back, whatever a library tries."""

from __future__ import annotations

import socket
import threading
import urllib.request

import pytest

from nferbench.contract.errors import UsageError
from nferbench.metrics.offline import without_network

MESSAGE = "metric 'lib:net' asks for weights that are not on this machine"


def test_a_download_is_refused_in_one_line_and_again_allowed_afterwards() -> None:
    with without_network("lib:net"), pytest.raises(UsageError, match=MESSAGE):
        urllib.request.urlopen("http://127.0.0.1:9/weights.pth", timeout=1)
    with pytest.raises(OSError):
        urllib.request.urlopen("http://127.0.0.1:9/weights.pth", timeout=1)


def test_threads_of_a_library_are_held_to_it_too() -> None:
    raised: list[BaseException] = []

    def download() -> None:
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except BaseException as error:
            raised.append(error)

    with without_network("lib:net"):
        thread = threading.Thread(target=download)
        thread.start()
        thread.join()
    assert isinstance(raised[0], UsageError)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no such sockets here")
def test_processes_of_this_machine_are_no_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    with without_network("lib:net"), socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect("nowhere.socket")
