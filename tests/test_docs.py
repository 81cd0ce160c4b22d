"""The docs say what the sources do."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
import yaml
from PIL import Image
from program import program

import nferbench
from nferbench import Batch, FaceSpec, ImageNoise
from nferbench.cli.app import app
from nferbench.contract import hookspecs
from nferbench.planning.plugins import load_plugins

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_what_the_docs_promise_of_the_samplers_is_there() -> None:
    text = (DOCS / "plugins.md").read_text("utf-8")
    rows = re.findall(r"^\| (`(?:score|start|schedule|sampling)\..+?`) \|", text, re.MULTILINE)
    promised = [call for row in rows for call in re.findall(r"`(.+?)`", row)]
    assert len(promised) >= 14
    for call in promised:
        name, _, words = call.removesuffix(")").partition("(")
        module, _, attribute = name.partition(".")
        found = getattr(importlib.import_module(f"nferbench_methods.diffusion.{module}"), attribute)
        if words:
            assert [word.rstrip("=") for word in words.split(", ")] == list(inspect.signature(found).parameters), call


def test_every_deviation_has_its_row() -> None:
    marks: Counter[str] = Counter()
    for folder in ("benchmark", "methods", "reports"):
        for path in (ROOT / folder).rglob("*.py"):
            count = len(re.findall(r"# Deviation:", path.read_text("utf-8")))
            if count:
                marks[path.relative_to(ROOT).as_posix()] = count
    rows = Counter(re.findall(r"^\| `([^`]+\.py)` \|", (DOCS / "deviations.md").read_text("utf-8"), re.MULTILINE))
    assert rows == marks


def test_every_hook_has_a_section_with_its_signature() -> None:
    text = (DOCS / "plugins.md").read_text("utf-8")
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("nferbench_")]
    assert len(hooks) == 5
    for hook in hooks:
        returns = inspect.signature(hook).return_annotation
        assert f"## {hook.__name__}() -> {returns}\n" in text


@pytest.fixture(scope="module")
def of_docs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every complete plugin of the docs as a file, by the name that its first line says."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "plugins.md").read_text("utf-8"), re.DOTALL)
    found, folder = {}, tmp_path_factory.mktemp("of_docs")
    for code in (block for block in blocks if "@hookimpl" in block):
        name = re.match(r'"""([\w-]+): ', code)
        assert name, f"a plugin is to begin with its name: {code[:60]}"
        found[name[1]] = folder / f"docs_{name[1].replace('-', '_')}.py"
        found[name[1]].write_text(code)
    return found


# Kinds of what the plugins of the docs register; a plugin without an entry is run by nobody.
OF_THE_DOCS = {
    "unet-l1": "translators",
    "edge-sde": "translators",
    "tone-map": "translators",
    "lab": "datasets",
    "linear": "fer_models",
    "brightest": "detectors",
    "edge-gap": "metrics",
}


def test_every_plugin_of_the_docs_loads_and_is_short(of_docs: dict[str, Path]) -> None:
    plugins = load_plugins(map(str, of_docs.values()), installed=False)
    assert plugins.failures == () and set(of_docs) == set(OF_THE_DOCS)
    for name, kind in OF_THE_DOCS.items():
        assert name in getattr(plugins, kind).items, name
    lines = {name: len(file.read_text().splitlines()) for name, file in of_docs.items()}
    assert lines["edge-sde"] < 40 and lines["lab"] < 40 and lines["unet-l1"] < 60 and max(lines.values()) < 80


def test_the_statistics_of_the_docs_see_every_pair_once(of_docs: dict[str, Path]) -> None:
    plugins = load_plugins([str(of_docs["tone-map"])], installed=False)
    translator: Any = plugins.translators["tone-map"]
    recipe = replace(translator.tones, batch_size=3)
    vis = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    nir = -vis.mean(1, keepdim=True).expand_as(vis)
    network = recipe.build(FaceSpec(4))
    learner = recipe.learner(network, FaceSpec(4), 5)
    for k in range(recipe.updates(5)):
        rows = [0, 1, 2] if k == 0 else [3, 4, 0]
        learner.step(Batch(vis[rows], nir[rows]), torch.Generator(), k)
    assert (recipe.updates(5), network.count.sum()) == (2, 5 * 16)
    assert network.total.sum().item() == pytest.approx(nir[:, 0].sum().item(), abs=1e-4)
    out = translator.translate(vis, {"tones": network}, ImageNoise([0] * 5, "cpu"))
    assert out.shape == vis.shape and (out - nir).square().mean() < nir.var()


def test_the_example_of_a_metric_measures(of_docs: dict[str, Path]) -> None:
    plugins = load_plugins([str(of_docs["edge-gap"])], installed=False)
    metric = plugins.metrics["edge-gap"]
    assert isinstance(metric, nferbench.ImageMetric)
    flat, ramp = torch.zeros(2, 3, 8, 8), torch.linspace(-0.7, 0.7, 8).expand(2, 3, 8, 8)
    assert metric.load(torch.device("cpu"))(ramp, flat).tolist() == pytest.approx([0.2, 0.2])


def test_every_plugin_of_the_docs_runs(of_docs: dict[str, Path], tmp_path: Path) -> None:
    draw_lab(tmp_path / "pictures")
    files = [*of_docs.values(), ROOT / "tests" / "plugins" / "toy.py"]
    words = [
        *("run", "--methods", "nfer-sde,unet-l1,edge-sde,tone-map", "--dataset", "lab", "--extra", "toy-extra"),
        *("--data-root", f"lab={tmp_path / 'pictures'}", "--detector", "brightest", "--crop", "given"),
        *(
            "--fer",
            "linear",
            "--preset",
            "quick",
            "--folds",
            "2",
            "--fold",
            "0",
            "--workspace",
            str(tmp_path / "runs"),
            "--jobs",
            "1",
        ),
        *("--set", "fer_seeds=1", "--set", "fer-models.linear.epochs=2", "--set", "methods.unet-l1.network.steps=2"),
        *("--set", "methods.nfer-sde.score.steps=2", "--set", "methods.nfer-sde.lambda_h=0"),
        *("--metrics", "edge-gap"),
        *(word for file in files for word in ("--plugin", str(file))),
    ]
    done = program(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = ("nfer-sde", "unet-l1", "edge-sde", "tone-map")
    for row in rows:
        assert len(list(tmp_path.glob(f"runs/quality/{row}-lab-*/scores.csv"))) == 2, row  # that of edge-gap too
        assert len(list(tmp_path.glob(f"runs/recognition/linear-{row}-*"))) == 1, row
    assert len(list(tmp_path.glob("runs/networks/*"))) == len(rows) - 1  # edge-sde has that of nfer-sde


def draw_lab(folder: Path) -> None:
    """Pictures as `lab` expects them: a bright disc whose height is the expression; NIR is brighter than VIS."""
    folder.mkdir()
    (folder / "notes.png").write_text("left out by its name")
    for person in range(6):
        rng = np.random.default_rng(person)
        for height, expression in enumerate(("happiness", "sadness")):
            y, x = np.mgrid[0:48, 0:48] / 48
            disc = np.hypot(x - 0.5, y - 0.35 - 0.25 * height + 0.02 * person) < 0.2
            vis = (30 + 120 * disc + rng.integers(0, 30, disc.shape)).astype(np.uint8)
            for modality, image in (("vis", vis), ("nir", 100 + vis // 2)):
                Image.fromarray(image).save(folder / f"p{person}_{expression}_{modality}.png")


def test_the_readme_lists_every_method_command_and_data_set() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    plugins = load_plugins(installed=False)
    for name in (*plugins.translators, *plugins.datasets, *plugins.fer_models, *plugins.metrics):
        assert f"`{name}`" in text, name
    tree = [("nferbench", typer.main.get_command(app))]
    commands = []
    while tree:
        words, command = tree.pop()
        inner = getattr(command, "commands", {})
        tree += [(f"{words} {name}", each) for name, each in inner.items()]
        commands += [] if inner else [words]
    assert len(commands) > 20  # all of them, and not the first level alone
    for name in commands:
        assert name in text, name


def test_the_readme_shows_the_set_up_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("install", "demo", "test", "bench"):
        assert f"make {target}" in text and f"\n{target}:" in makefile


def test_the_docs_name_every_public_name() -> None:
    text = (DOCS / "plugins.md").read_text("utf-8").split("\n## What it imports\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| [\w ]+ \| (`.+`) \|$", text, re.MULTILINE)
    named = {name for row in table for name in re.findall(r"`(\w+)`", row)}
    assert named == set(nferbench.__all__) - {"__version__", "Group", "NferbenchError"}


def test_licence_and_citation_are_those_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["version"] == project["version"] == nferbench.__version__
    assert citation["license"] == project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert {"LICENSE", "CITATION.cff"} <= set(project["license-files"])


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")]), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)", prose):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
