"""Faults of networks, data sets, recognisers, detectors and of the plugin as a whole, each found by its check."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import GOOD, broken, spoilt, verdicts, written

LOSS = '            return {"l1": (network(batch.vis) - batch.nir).abs().mean()}\n'
LEARNER = "        return GradientLearner(network, Adam(network.parameters(), 1e-2), loss)\n"
BUILD = "        return nn.Conv2d(3, 3, 3, padding=1)\n"
CLASS = "@dataclass(frozen=True)\nclass Mine"

# A learner of a plugin's own, to be spoilt.
OWN = """
from nferbench import Learner


class Own(Learner):
    def __init__(self, network, optimiser):
        self.network, self.optimiser, self.moment = network, optimiser, 0.0

    def step(self, batch, rng, k):
        loss = (self.network(batch.vis) - batch.nir).abs().mean() * (1 + self.moment)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"l1": loss.detach()}

    def state_dict(self):
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state):
        from nferbench import load_optimiser

        self.network.load_state_dict(state["network"])
        load_optimiser(self.optimiser, state["optimiser"])

    def networks(self):
        return {"network": self.network}

    def weights(self):
        return self.network.state_dict()


def made(network):
    from nferbench import fuse
    from torch.optim import Adam

    optimiser = Adam(network.parameters(), 1e-2)
    fuse(optimiser)
    return Own(network, optimiser)


"""
WITH_OWN = spoilt(spoilt(GOOD, CLASS, OWN + CLASS), LEARNER, "        return made(network)\n")

OF_NETWORKS: dict[str, tuple[str, str, str, set[str]]] = {
    "too small a face": (GOOD, BUILD, "        return [][faces.size]\n", {"network: builds", "shape"}),
    "an error that is no UsageError": (GOOD, BUILD, "        1 // (faces.size - 17)\n" + BUILD, {"network: refuses"}),
    "numpy draws weights": (
        GOOD,
        BUILD,
        "        import numpy, torch\n        net = nn.Conv2d(3, 3, 3, padding=1)\n"
        "        torch.nn.init.constant_(net.bias, numpy.random.rand())\n        return net\n",
        {"network: initial"},
    ),
    "ready raises something else": (
        GOOD,
        "    def updates(",
        "    def ready(self):\n        raise FileNotFoundError('weights')\n\n    def updates(",
        {"network: ready"},
    ),
    "nothing is learned": (
        GOOD,
        "Adam(network.parameters(), 1e-2)",
        "Adam(network.parameters(), 0.0)",
        {"network: trains"},
    ),
    "a loss with dimensions": (
        WITH_OWN,
        'return {"l1": loss.detach()}',
        'return {"l1": loss.detach()[None]}',
        {"network: trains"},
    ),
    "a loss that is not detached": (
        WITH_OWN,
        'return {"l1": loss.detach()}',
        'return {"l1": loss}',
        {"network: trains"},
    ),
    "a loss that is a number": (
        WITH_OWN,
        'return {"l1": loss.detach()}',
        'return {"l1": loss.item()}',
        {"network: trains"},
    ),
    "numpy in a loss": (
        GOOD,
        LOSS,
        "            import numpy\n            scale = float(numpy.random.rand())\n"
        '            return {"l1": scale * (network(batch.vis) - batch.nir).abs().mean()}\n',
        {"network: chance"},
    ),
    "a generator of its own": (
        WITH_OWN,
        "loss = (self.network(batch.vis)",
        "import random\n        loss = random.SystemRandom().random() * (self.network(batch.vis)",
        {"network: chance"},
    ),
    "state that is not saved": (
        WITH_OWN,
        'return {"l1": loss.detach()}',
        'self.moment = self.moment + 0.5\n        return {"l1": loss.detach()}',
        {"network: resumes"},
    ),
    "state that is no tensor": (
        WITH_OWN,
        'return {"network": self.network.state_dict(), ',
        'return {"self": self, "network": self.network.state_dict(), ',
        {"network: resumes"},
    ),
    "weights of another network": (
        WITH_OWN,
        "return self.network.state_dict()\n",
        'return {f"module.{k}": v for k, v in self.network.state_dict().items()}\n',
        {"network: weights"},
    ),
    "not fused": (WITH_OWN, "    fuse(optimiser)\n", "", {"network: fused"}),
    "no longer fused": (
        WITH_OWN,
        'load_optimiser(self.optimiser, state["optimiser"])',
        'self.optimiser.load_state_dict(state["optimiser"])',
        {"network: fused"},
    ),
    "a promise that a spectral norm breaks": (
        GOOD,
        LEARNER,
        "        from nferbench import PiecewiseLoss\n\n"
        "        both = PiecewiseLoss(lambda batch, rng: (batch.vis, batch.nir),\n"
        '            lambda v, n: {"l1": (network(v) - n).abs().mean()})\n'
        "        return GradientLearner(network, Adam(network.parameters(), 1e-2), both)\n",
        {"network: divides"},
    ),
    "a constant of the CPU": (
        GOOD,
        LOSS,
        "            import torch\n            weight = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)\n"
        '            return {"l1": (weight * (network(batch.vis) - batch.nir)).abs().mean()}\n',
        {"network: device"},
    ),
    "init that is not read": (
        GOOD,
        "    batch_size: int = 4\n",
        '    batch_size: int = 4\n    init_sha256: str = ""\n    init: str = field(default="", compare=False)\n',
        {"network: init"},
    ),
    "init without its SHA-256": (
        GOOD,
        "    batch_size: int = 4\n",
        '    batch_size: int = 4\n    init: str = field(default="", compare=False)\n',
        {"network: init"},
    ),
    "init in the key": (
        GOOD,
        "    batch_size: int = 4\n",
        '    batch_size: int = 4\n    init_sha256: str = ""\n    init: str = ""\n',
        {"network: init"},
    ),
}


@pytest.mark.parametrize("fault", OF_NETWORKS)
def test_a_fault_of_a_network_is_found(tmp_path: Path, fault: str) -> None:
    text, before, after, rules = OF_NETWORKS[fault]
    if fault == "a promise that a spectral norm breaks":
        text = spoilt(
            text, BUILD, "        return nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 3, 3, padding=1)))\n"
        )
    assert broken(written(tmp_path, spoilt(text, before, after))).keys() == rules


def test_a_learner_of_its_own_can_be_right(tmp_path: Path) -> None:
    assert broken(written(tmp_path, WITH_OWN)) == {}


def test_what_a_gpu_would_wait_for_is_told_and_not_wrong(tmp_path: Path) -> None:
    reads = "        return out * float(out.std() > 0)\n"
    found = verdicts(written(tmp_path, spoilt(GOOD, "        return out\n", reads)))["device"]
    assert found.state == "skipped" and "waits for the device" in found.said


DATASET = """
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from nferbench import Face, FaceDataset, Listing, Picture, UsageError, hookimpl


@dataclass(frozen=True)
class Squares(FaceDataset):
    name: str = field(default="squares", compare=False)
    title: str = field(default="Squares", compare=False)

    def listing(self, root):
        faces = [
            Face(f"{n}-{m}", m, f"p{n}", "anger", f"{n}")
            for n in range(4) for m in ("vis", "nir")
        ]
        return Listing(tuple(sorted(faces)))

    def load(self, face, root, size):
        pixels = np.full((size, size, 3), 40 + len(face.id), np.uint8)
        return Picture(pixels, cropped=True)


@hookimpl
def nferbench_datasets():
    return [Squares()]
"""
PIXELS = "        pixels = np.full((size, size, 3), 40 + len(face.id), np.uint8)\n"
LISTED = "return Listing(tuple(sorted(faces)))"

OF_DATA_SETS: dict[str, tuple[str, str, set[str]]] = {
    "no Listing": (LISTED, "return faces", {"lists"}),
    "empty": (LISTED, "return Listing(())", {"lists"}),
    "another order of ids": (
        LISTED,
        "import time\n        return Listing((Face(f'{time.monotonic_ns()}', 'vis', 'p', 'anger'),))",
        {"lists"},
    ),
    "another modality": ('("vis", "nir")', '("vis", "thermal")', {"lists"}),
    "no subject": ('f"p{n}"', '""', {"lists"}),
    "an absolute file": ('f"{n}")\n', 'f"{n}", ("/data/x.png",))\n', {"lists"}),
    "an id twice": ('f"{n}-{m}", m, f"p{n}", "anger", f"{n}"', '"same", m, f"p{n}", "anger", f"{n}"', {"pairs"}),
    "pairs of two people": ('f"p{n}"', 'f"p{n}{m}"', {"pairs"}),
    "no pairs": ('"anger", f"{n}")', '"anger", f"{n}{m}")', {"pairs"}),
    "float pixels": (PIXELS, PIXELS.replace("np.uint8", "np.float32"), {"faces"}),
    "grey pixels": (PIXELS, PIXELS.replace("(size, size, 3)", "(size, size)"), {"faces"}),
    "no square": (PIXELS, PIXELS.replace("(size, size, 3)", "(size, 2 * size, 3)"), {"faces"}),
    "black": (PIXELS, PIXELS.replace("40 + len(face.id)", "0"), {"faces"}),
    "NIR in colour": (PIXELS, PIXELS + "        pixels[..., 0] = 0\n", {"faces"}),
    "landmarks that are not listed": (
        "Picture(pixels, cropped=True)",
        "Picture(pixels, np.zeros((68, 2), np.float32), cropped=True)",
        {"faces"},
    ),
    "random pixels": (
        PIXELS,
        PIXELS + "        pixels = pixels + np.random.randint(0, 9, (size, size, 1)).astype(np.uint8)\n",
        {"faces-again"},
    ),
    "an open file": (
        '    title: str = field(default="Squares", compare=False)\n',
        '    title: str = field(default="Squares", compare=False)\n    log: object = open(__file__)\n',
        {"plain"},
    ),
}


@pytest.mark.parametrize("fault", OF_DATA_SETS)
def test_a_fault_of_a_data_set_is_found(tmp_path: Path, fault: str) -> None:
    before, after, rules = OF_DATA_SETS[fault]
    assert broken(written(tmp_path, spoilt(DATASET, before, after))).keys() == rules


def test_a_data_set_that_needs_a_root_is_asked_with_one(tmp_path: Path) -> None:
    needing = spoilt(
        DATASET,
        "    def listing(self, root):\n",
        "    def listing(self, root):\n        if root is None:\n            raise UsageError('needs a root')\n",
    )
    found = verdicts(written(tmp_path, needing))
    assert found["lists"].state == "skipped" and "needs a root" in found["lists"].said
    assert verdicts(written(tmp_path, needing), {"squares": tmp_path})["faces"].state == "ok"
    assert verdicts(written(tmp_path, needing), {"": tmp_path})["faces"].state == "ok"


RECOGNISER = """
from dataclasses import dataclass, field

from nferbench import FERModel, hookimpl


@dataclass(frozen=True)
class Linear(FERModel):
    name: str = field(default="linear", compare=False)
    title: str = field(default="Linear", compare=False)
    batch_size: int = 8

    def build(self, size, classes):
        from torch import nn

        return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, classes))

    def learner(self, network, samples):
        from torch.nn.functional import cross_entropy
        from torch.optim import Adam
        from nferbench import GradientLearner

        def loss(batch, rng):
            return {"cross": cross_entropy(network(batch.images), batch.labels)}

        return GradientLearner(network, Adam(network.parameters(), 1e-2), loss)

    def updates(self, samples):
        return 20

    def logits(self, network, images):
        scores = network(images)
        return scores


@hookimpl
def nferbench_fer_models():
    return [Linear()]
"""
SCORES = "        return scores\n"
OF_RECOGNISERS: dict[str, tuple[str, str, set[str]]] = {
    "labels in place of scores": (SCORES, "        return scores.argmax(1)\n", {"scores"}),
    "a column too many": (SCORES, "        return scores.repeat(1, 2)\n", {"scores"}),
    "NaN": (SCORES, "        return scores / 0 - scores / 0\n", {"scores"}),
    "chance in a test": (
        SCORES,
        "        import torch\n        return scores + torch.rand(()) * 0.01\n",
        {"scores-repeat"},
    ),
    "batch mates": (SCORES, "        return scores - scores.mean(0)\n", {"scores-alone"}),
    "a constant of the CPU": (
        SCORES,
        "        import torch\n        return scores * torch.tensor([1.0, 1.1])\n",
        {"scores-device"},
    ),
    "labels turned round": ("batch.labels)}", "1 - batch.labels)}", {"learns"}),
    "blind": ("cross_entropy(network(batch.images)", "cross_entropy(network(0 * batch.images)", {"learns"}),
}


def test_a_recogniser_can_be_right(tmp_path: Path) -> None:
    found = verdicts(written(tmp_path, RECOGNISER))
    assert {name: verdict for name, verdict in found.items() if verdict.state != "ok"} == {}
    assert {"learns", "resumes", "scores-alone"} <= found.keys()


@pytest.mark.parametrize("fault", OF_RECOGNISERS)
def test_a_fault_of_a_recogniser_is_found(tmp_path: Path, fault: str) -> None:
    before, after, rules = OF_RECOGNISERS[fault]
    assert broken(written(tmp_path, spoilt(RECOGNISER, before, after))).keys() == rules


DETECTOR = """
from dataclasses import dataclass, field
from typing import ClassVar

from nferbench import Detection, FaceDetector, UsageError, hookimpl


@dataclass(frozen=True)
class Whole(FaceDetector):
    points: ClassVar[int] = 0

    name: str = field(default="whole", compare=False)
    title: str = field(default="The bright part", compare=False)

    def find(self, pixels):
        if pixels.min() == pixels.max():
            return ()
        return (Detection((0.0, 0.0, pixels.shape[1] - 1.0, pixels.shape[0] - 1.0)),)


@hookimpl
def nferbench_detectors():
    return [Whole()]
"""
BOX = "(0.0, 0.0, pixels.shape[1] - 1.0, pixels.shape[0] - 1.0)"
OF_DETECTORS: dict[str, tuple[str, str, set[str]]] = {
    "None for no face": ("            return ()\n", "            return None\n", {"finds-none"}),
    "no tuple": (f"return (Detection({BOX}),)", f"return Detection({BOX})", {"finds"}),
    "a box of shares": (BOX, "(0.0, 0.0, 1.0, 1.0)", {"finds"}),
    "corner and size": (BOX, "(300.0, 300.0, 50.0, 50.0)", {"finds"}),
    "landmarks that are missing": ("points: ClassVar[int] = 0", "points: ClassVar[int] = 5", {"finds"}),
    "pixels that are changed": (
        "    def find(self, pixels):\n",
        "    def find(self, pixels):\n        pixels += 1\n",
        {"finds-again"},
    ),
    "chance": (BOX, "(__import__('numpy').random.rand(), 0.0, 99.0, 99.0)", {"finds-again"}),
    "an error where it is not ready": (
        "    def find(",
        "    def ready(self):\n        raise ImportError('no dlib')\n\n    def find(",
        {"ready"},
    ),
}


@pytest.mark.parametrize("fault", OF_DETECTORS)
def test_a_fault_of_a_detector_is_found(tmp_path: Path, fault: str) -> None:
    before, after, rules = OF_DETECTORS[fault]
    assert broken(written(tmp_path, spoilt(DETECTOR, before, after))).keys() == rules


def test_a_detector_can_be_right_or_lack_something(tmp_path: Path) -> None:
    assert {verdict.state for verdict in verdicts(written(tmp_path, DETECTOR)).values()} == {"ok"}
    lacking = "    def ready(self):\n        raise UsageError('get dlib')\n\n    def find("
    found = verdicts(written(tmp_path, spoilt(DETECTOR, "    def find(", lacking)))
    assert found["ready"].said == "get dlib" and found["finds"].state == "skipped"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1 / 0\n", "loads"),
        ("raise SystemExit(3)\n", "loads"),
        ("import a_module_that_is_not_there\n", "loads"),
        ("def broken(:\n", "loads"),
        ("x = 1\n", "loads"),
        ("from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators(me):\n    return []\n", "loads"),
        ("from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators():\n    return 1 / 0\n", "hooks"),
        ("from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators():\n    return 'nfer'\n", "hooks"),
        ("from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators():\n    return [1]\n", "hooks"),
        ("from nferbench import hookimpl\n\n@hookimpl\ndef nferbench_translators():\n    return []\n", "hooks"),
    ],
)
def test_a_plugin_that_registers_nothing_is_told_by_its_check(tmp_path: Path, text: str, rule: str) -> None:
    assert broken(written(tmp_path, text)).keys() == {rule}
