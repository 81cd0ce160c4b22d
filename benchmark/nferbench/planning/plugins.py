"""Finding what plugins register, be they built in, installed packages or single files, all alike."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pluggy

from nferbench import __version__
from nferbench.contract import hookspecs
from nferbench.contract.dataset import FaceDataset
from nferbench.contract.detector import FaceDetector
from nferbench.contract.errors import NferbenchError, PluginError, UsageError, unknown
from nferbench.contract.fer import FERModel
from nferbench.contract.metric import ImageMetric, Metric, MetricLibrary
from nferbench.contract.printable import one_line
from nferbench.contract.translator import Translator
from nferbench.planning.alike import in_run
from nferbench.planning.checks import check, shown
from nferbench.planning.presets import row_names

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
    "nferbench.recognisers.timm_backbone",
    "nferbench.detectors.mesh",
    "nferbench.detectors.dlib68",
    "nferbench.detectors.fan",
    "nferbench.metrics.published",
    "nferbench.metrics.landmarks",
    "nferbench.metrics.of_torchmetrics",
    "nferbench.metrics.of_pyiqa",
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

# Words that mean something else where a name of that kind is typed.
METHOD_WORDS = ("all", "ablation", "variants", "studies", "nir-only", "oracle")  # and the rows of presets
DATASET_WORDS = ("none",)
DETECTOR_WORDS = ("given",)
METRIC_WORDS = ("all", "accuracy", "macro_f1", "psnr_paper", "ssim_paper")  # the latter are columns of stored results

KINDS: Mapping[str, tuple[type[Any], ...]] = {
    "nferbench_translators": (Translator,),
    "nferbench_datasets": (FaceDataset,),
    "nferbench_fer_models": (FERModel,),
    "nferbench_detectors": (FaceDetector,),
    "nferbench_metrics": (ImageMetric, MetricLibrary),
}

T = TypeVar("T", Translator, FaceDataset, FERModel, FaceDetector, Metric)


@dataclass(frozen=True)
class Failure:
    """A plugin that cannot be used, or something of it."""

    plugin: str
    reason: str  # one line
    whole: bool = True  # False where the rest of the plugin is used

    def __str__(self) -> str:
        return f"plugin {self.plugin} {'did not load' if self.whole else 'is used in part only'}: {self.reason}"


@dataclass(frozen=True)
class Registration:
    """Where a plugin is from, and what of it can be used."""

    plugin: str  # what it is called in messages: a module, an entry point or a file
    distribution: str  # "" where it is a file, or the package does not say
    version: str  # of the distribution
    names: Mapping[str, tuple[str, ...]]  # by hook that it implements


@dataclass(frozen=True)
class Table(Generic[T]):
    """What one hook gave, by name."""

    kind: str  # "method", "data set", "FER model", "face detector", "metric"
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
            raise UsageError(f"{error}; {'; '.join(map(str, self.failures))}")
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
    metrics: Table[Metric]
    failures: tuple[Failure, ...]
    files: tuple[str, ...]  # plugin files, for processes that must load them too
    registrations: tuple[Registration, ...]  # of all plugins, those that failed too


def load_plugins(files: Iterable[str] = (), *, installed: bool = True) -> Plugins:
    """Load the built-in plugins, those of installed packages (entry points of group "nferbench"), and single files.

    A plugin that fails to import, misuses a hook or registers something that breaks the contract is set aside with the
    reason, whatever it did; the others keep working. A name is that of the built-in plugin that has it, whatever
    packages are installed; of two others that register one name, or a file and a built-in plugin, neither gets it.

    Args:
        files: paths of plugin files.
        installed: False leaves installed packages out.

    Raises:
        UsageError: a plugin file does not exist.
    """
    files = tuple(files)
    failures: list[Failure] = []
    sources: list[tuple[str, Callable[[], object]]] = [(name, _importer(name)) for name in BUILT_IN]
    distributions = dict.fromkeys(BUILT_IN, ("nferbench", __version__))
    for point in entry_points(group="nferbench") if installed else ():
        sources.append((owner_of(point), point.load))
        distributions.setdefault(owner_of(point), distribution_of(point))
    for file in files:
        if not Path(file).is_file():
            raise UsageError(f"plugin file {file} does not exist; --plugin takes the path of a Python file")
        sources.append((file, lambda file=file: import_file(file)))  # type: ignore[misc]
    managers: dict[str, pluggy.PluginManager] = {}
    for owner, load in sources:
        try:
            managers.setdefault(owner, managed(owner, load))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything at import, SystemExit too
            failures.append(Failure(owner, reason_of(error)))
    owners: dict[str, dict[str, str]] = {hook: {} for hook in KINDS}
    found = {hook: _collect(managers, hook, files, owners[hook], failures) for hook in KINDS}
    methods = found["nferbench_translators"]
    found["nferbench_translators"] = _led(methods, owners["nferbench_translators"], failures)
    lost = tuple(failures)
    return Plugins(
        Table("method", "nferbench methods", found["nferbench_translators"], lost),
        Table("data set", "nferbench datasets", found["nferbench_datasets"], lost),
        Table("FER model", "nferbench fer-models", found["nferbench_fer_models"], lost),
        Table("face detector", "nferbench detectors", found["nferbench_detectors"], lost),
        Table("metric", "nferbench metrics", found["nferbench_metrics"], lost),
        lost,
        tuple(file for file in dict.fromkeys(files) if file in managers),
        tuple(
            Registration(owner, *distributions.get(owner, ("", "")), _names(owner, managers.get(owner), found, owners))
            for owner in dict.fromkeys(owner for owner, _ in sources)
        ),
    )


def kinds_of(hook: str) -> str:
    """What a hook registers, in words."""
    return " or ".join(kind.__name__ for kind in KINDS[hook])


def reserved(hook: str, owner: str) -> Collection[str]:
    """The words that a plugin may not register under a hook: on the command line they mean something else there."""
    if hook == "nferbench_translators":
        return METHOD_WORDS if owner in BUILT_IN else {*METHOD_WORDS, *row_names()}
    words: Mapping[str, Collection[str]] = {
        "nferbench_datasets": DATASET_WORDS,
        "nferbench_detectors": DETECTOR_WORDS,
        "nferbench_metrics": METRIC_WORDS,
    }
    return words.get(hook, ())


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


def owner_of(point: EntryPoint) -> str:
    """What an installed plugin is called in messages; metadata of its package may be broken."""
    try:
        return f"{point.name} ({point.dist.name})" if point.dist else point.name
    except Exception:
        return point.name


def distribution_of(point: EntryPoint) -> tuple[str, str]:
    """The package of an installed plugin and its version, "" where its metadata do not say."""
    try:
        return (point.dist.name or "", point.dist.version or "") if point.dist else ("", "")
    except Exception:
        return "", ""


def managed(owner: str, load: Callable[[], object]) -> pluggy.PluginManager:
    """A plugin in a manager of its own, so that what it does wrong is never told of another.

    Raises:
        BaseException: whatever it raises when it is imported.
        PluginValidationError: it implements hooks that there are not, or with arguments.
    """
    manager = pluggy.PluginManager("nferbench")
    manager.add_hookspecs(hookspecs)
    manager.register(load(), owner)
    manager.check_pending()
    return manager


def _collect(
    managers: Mapping[str, pluggy.PluginManager],
    hook: str,
    files: Collection[str],
    owners: dict[str, str],
    failures: list[Failure],
) -> dict[str, Any]:
    """What all plugins return from a hook, by name, as far as it keeps the contract; `owners` gets whose each is."""
    items: dict[str, Any] = {}
    for owner, manager in managers.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            try:
                values = implementation.function()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # as at import
                failures.append(Failure(owner, f"{hook} raised {reason_of(error)}", whole=False))
                continue
            for value in values if isinstance(values, list | tuple) else [values]:
                try:
                    name = _checked(value, hook, owner)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # a property may raise anything too
                    failures.append(Failure(owner, f"{hook}: {reason_of(error)}", whole=False))
                    continue
                first = owners.setdefault(name, owner)
                if name not in items and first == owner:
                    items[name] = value
                    continue
                failures.append(
                    Failure(owner, f"plugins {first} and {owner} both register '{name}'; rename one", whole=False)
                )
                if first not in BUILT_IN or owner in files:  # whose it is cannot be told
                    items.pop(name, None)
    return items


def _names(
    owner: str,
    manager: pluggy.PluginManager | None,
    found: Mapping[str, Collection[str]],
    owners: Mapping[str, Mapping[str, str]],
) -> dict[str, tuple[str, ...]]:
    """What one plugin gave by each hook that it implements; nothing of one that did not load."""
    return {
        hook: tuple(name for name in names if owners[hook][name] == owner)
        for hook, names in found.items()
        if manager is not None and getattr(manager.hook, hook).get_hookimpls()
    }


def _led(
    methods: Mapping[str, Translator], owners: Mapping[str, str], failures: list[Failure]
) -> dict[str, Translator]:
    """The methods whose fields lead somewhere where they follow those of others."""
    items: dict[str, Translator] = {}
    for name, method in methods.items():
        try:
            in_run(name, methods, {})
        except Exception as error:  # whatever a plugin raises when its fields are set
            failures.append(Failure(owners[name], f"nferbench_translators: {reason_of(error)}", whole=False))
        else:
            items[name] = method
    return items


def _checked(value: Any, hook: str, owner: str) -> str:
    """The name of a registered value that keeps the contract."""
    if not isinstance(value, KINDS[hook]):
        raise PluginError(f"it must return a list of {kinds_of(hook)}, not {shown(value)}")
    check(value, reserved(hook, owner))
    return str(value.name)


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line."""
    lines = str(error).strip().splitlines()
    first = one_line(lines[0]) if lines else "no message"
    return first if isinstance(error, NferbenchError) else f"{type(error).__name__}: {first}"
