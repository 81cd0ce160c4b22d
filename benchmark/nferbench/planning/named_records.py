"""Records of a workspace as a command names them."""

from __future__ import annotations

from nferbench.contract.errors import DataError, UsageError, unknown
from nferbench.workspace.recorded import Recorded, all_recorded
from nferbench.workspace.store import Store

ALL = "all"


def records_named(name: str, store: Store) -> tuple[Recorded, ...]:
    """The record of a name, or all of a workspace.

    Args:
        name: of a record, without ".json"; or "all".
        store: of the workspace.

    Raises:
        UsageError: there is no workspace, no record in it, or none of this name.
        DataError: one that is wanted cannot be read.
    """
    workspace = store.workspace
    if not workspace.is_dir():
        raise UsageError(f"no workspace at '{workspace}'; name the one of your run with --workspace")
    found, faults = all_recorded(workspace)
    by_name = {record.name: record for record in found}
    if name in by_name:
        return (by_name[name],)
    if faults and (name == ALL or any(name in fault for fault in faults)):
        raise DataError(f"{faults[0]}; start its run again, or move it away")
    if not found:
        raise UsageError(f"no stored results in workspace '{workspace}'; nferbench run makes some")
    if name != ALL:
        raise unknown("record", name, by_name, f"nferbench status --workspace {workspace}")
    return tuple(found)
