from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nferbench.contract.errors import DataError
from nferbench.engine.artifacts import entry_of
from nferbench.engine.context import Context
from nferbench.planning.plugins import import_file
from nferbench.workspace import entries
from nferbench.workspace.stages import PrepareFaces
from nferbench.workspace.store import Store

TOY = import_file(str(Path(__file__).parents[2] / "plugins" / "toy.py"))
STAGE = PrepareFaces(TOY.Blobs(), "content", 32, "given", 0)


def test_a_large_file_is_compared_whenever_it_is_read_and_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "SMALL", 3)
    store = Store(tmp_path)
    context = Context(store, {}, torch.device("cpu"), 1)
    (store.partial(STAGE) / "data.txt").write_text("twelve bytes")
    path = store.commit(STAGE, {"result": {}}).path / "data.txt"
    assert entry_of(STAGE, context).path == path.parent
    path.write_text("twelve bites")
    assert store.find(STAGE) is not None  # its size is right, and it was not read
    with pytest.raises(DataError, match=r"has changed since it was written; set aside as .*, start the run again"):
        entry_of(STAGE, context)
    with pytest.raises(DataError, match="not in the workspace any more"):
        entry_of(STAGE, context)
