"""Finding what plugins register, be they built in, installed packages or single files, all alike."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pluggy

from nferbench.contract import hookspecs
from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import PluginError, UsageError, unknown
from nferbench.contract.fer import FERModel
from nferbench.contract.translator import Translator

# Listed as strings: the core imports no method. The order is that of the tables.
BUILT_IN = (
    "nferbench.datasets.synthetic",
    "nferbench.datasets.files",
    "nferbench.datasets.oulu_casia",
    "nferbench.datasets.large_hfe",
    "nferbench.datasets.cfee",
    "nferbench.datasets.kdef",
    "nferbench.datasets.raf_db",
    "nferbench.datasets.ck_plus",
    "nferbench.datasets.kmu_fed",
    "nferbench.recognisers.smallcnn",
    "nferbench.recognisers.resnet18",
    "nferbench.detectors.mesh",
    "nferbench.detectors.dlib68",
    "nferbench.detectors.fan",
    "nferbench_methods.none",
    "nferbench_methods.pix2pix",
    "nferbench_methods.cyclegan",
    "nferbench_methods.hifacegan",
    "nferbench_methods.ilvr",
    "nferbench_methods.sr3",
    "nferbench_methods.sdedit",
    "nferbench_methods.egsde",
    "nferbench_methods.t2v_ddpm",
    "nferbench_methods.nfer_sde",
)

T = TypeVar("T", Translator, FaceDataset, FERModel, FaceDetector)


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be used."""

    plugin: str
    reason: str


@dataclass(frozen=True)
class Table(Generic[T]):
    """What one hook gave, by name."""

    kind: str  # "method", "data set", "FER model", "face detector"
    command: str  # what lists them
    items: Mapping[str, T]
    failures: tuple[Failure, ...]

    def __getitem__(self, name: str) -> T:
        """The registered value of this name.

        Raises:
            UsageError: there is none; the message names the nearest match and any plugin that failed to load.
        """
        if name in self.items:
            return self.items[name]
        error = unknown(self.kind, name, self.items, self.command)
        if self.failures:
            lost = "; ".join(f"plugin {failure.plugin} did not load: {failure.reason}" for failure in self.failures)
            raise UsageError(f"{error}; {lost}")
        raise error

    def __iter__(self) -> Iterator[str]:
        return iter(self.items)


@dataclass(frozen=True)
class Plugins:
    """Everything that is registered, and the plugins that failed to load."""

    translators: Table[Translator]
    datasets: Table[FaceDataset]
    fer_models: Table[FERModel]
    detectors: Table[FaceDetector]
    failures: tuple[Failure, ...]
    files: tuple[str, ...]  # plugin files, for processes that must load them too


def load_plugins(files: Iterable[str] = (), *, installed: bool = True) -> Plugins:
    """Load the built-in plugins, those of installed packages (entry points of group "nferbench"), and single files.

    A plugin that fails to import, or misuses a hook, is set aside with its reason; the others keep working.

    Args:
        files: paths of plugin files.
        installed: False leaves installed packages out.

    Raises:
        PluginError: two plugins register one name, or a hook returns something else than a list of the right kind.
        UsageError: a plugin file does not exist.
    """
    files = tuple(files)
    failures: list[Failure] = []
    sources: list[tuple[str, Callable[[], object]]] = [(name, _importer(name)) for name in BUILT_IN]
    if installed:
        for point in entry_points(group="nferbench"):
            owner = f"{point.name} ({point.dist.name})" if point.dist else point.name
            sources.append((owner, point.load))
    for file in files:
        if not Path(file).is_file():
            raise UsageError(f"plugin file {file} does not exist; --plugin takes the path of a Python file")
        sources.append((file, lambda file=file: import_file(file)))  # type: ignore[misc]
    manager = pluggy.PluginManager("nferbench")
    manager.add_hookspecs(hookspecs)
    for name, load in sources:
        try:
            plugin = load()
            manager.register(plugin, name)
            try:
                manager.check_pending()
            except pluggy.PluginValidationError:
                manager.unregister(name=name)
                raise
        except Exception as error:  # a plugin may raise anything at import; the rest must keep working
            failures.append(Failure(name, f"{type(error).__name__}: {_first_line(error)}"))
    lost = tuple(failures)
    return Plugins(
        Table("method", "nferbench methods", _collect(manager, "nferbench_translators", Translator, failures), lost),
        Table("data set", "nferbench datasets", _collect(manager, "nferbench_datasets", FaceDataset, failures), lost),
        Table("FER model", "nferbench fer-models", _collect(manager, "nferbench_fer_models", FERModel, failures), lost),
        Table(
            "face detector",
            "nferbench detectors",
            _collect(manager, "nferbench_detectors", FaceDetector, failures),
            lost,
        ),
        tuple(failures),
        files,
    )


def import_file(file: str) -> ModuleType:
    """Import a plugin file under its stem, so that its classes have one name in every process."""
    path = Path(file)
    name = path.stem
    present = sys.modules.get(name)
    if present is not None:
        if getattr(present, "__file__", None) == str(path.resolve()):
            return present
        raise ImportError(f"a module called '{name}' is loaded already; rename the file")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _importer(name: str) -> Callable[[], object]:
    return lambda: importlib.import_module(name)


def _collect(manager: pluggy.PluginManager, hook: str, kind: type[Any], failures: list[Failure]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        owner = implementation.plugin_name
        try:
            values = implementation.function()
        except Exception as error:  # as at import
            failures.append(Failure(owner, f"{hook} raised {type(error).__name__}: {_first_line(error)}"))
            continue
        for value in values if isinstance(values, list | tuple) else [values]:
            if not isinstance(value, kind):
                raise PluginError(f"plugin {owner}: {hook} must return a list of {kind.__name__}, not {value!r}")
            if value.name in items:
                raise PluginError(f"plugins {owners[value.name]} and {owner} both register '{value.name}'; rename one")
            items[value.name] = value
            owners[value.name] = owner
    return items


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
