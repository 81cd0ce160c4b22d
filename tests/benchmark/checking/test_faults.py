"""Each planted fault is found by the check that is meant for it, and no other check breaks on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted import GOOD, broken, spoilt, verdicts, written

RETURN = "        return out\n"
NAME = '    name: str = field(default="mine", compare=False)\n'
STRENGTH = "    strength: float = 0.5\n"

# What is changed, into what, and the rules that break.
FAULTS: dict[str, tuple[str, str, set[str]]] = {
    "uint8": (RETURN, "        return ((out + 1) * 127.5).clamp(0, 255).to(torch.uint8)\n", {"type"}),
    "0 to 255": (RETURN, "        return (out + 1) * 127.5\n", {"range"}),
    "0 to 2": (RETURN, "        return out + 1\n", {"range"}),
    "NaN": (RETURN, "        return out / 0 - out / 0\n", {"range"}),
    "wrong shape": (RETURN, "        return out[:, :1]\n", {"shape"}),
    "channels last": (RETURN, "        return out.permute(0, 2, 3, 1)\n", {"shape"}),
    "no tensor": (RETURN, "        return out.numpy()\n", {"shape"}),
    "batch mean": (RETURN, "        return out - out.mean(0)\n", {"batch-size", "batch-mates"}),
    "batch place": (
        RETURN,
        "        return out * torch.linspace(0.5, 1, len(out)).view(-1, 1, 1, 1)\n",
        {"batch-size", "order", "device"},
    ),
    "torch's generator": (RETURN, "        return out + 0.1 * torch.randn_like(out)\n", {"noise"}),
    "seeds torch itself": (
        RETURN,
        "        torch.manual_seed(0)\n        return out + 0.1 * torch.randn_like(out)\n",
        {"noise"},
    ),
    "numpy's generator": (
        RETURN,
        "        import numpy\n        return out + 0.1 * float(numpy.random.rand())\n",
        {"noise"},
    ),
    "Python's generator": (RETURN, "        import random\n        return out + 0.1 * random.random()\n", {"noise"}),
    "the time": (
        RETURN,
        "        import time\n        return out + time.monotonic_ns() % 1_000_003 / 1e7\n",
        {"deterministic"},
    ),
    "unfrozen class": ("@dataclass(frozen=True)\nclass Mine", "@dataclass\nclass Mine", {"frozen"}),
    "no dataclass": ("@dataclass(frozen=True)\nclass Mine", "class Mine", {"frozen", "name", "title"}),
    "unfrozen recipe": (
        "@dataclass(frozen=True)\nclass Recipe",
        "@dataclass(unsafe_hash=True)\nclass Recipe",
        {"frozen"},
    ),
    "list field": (STRENGTH, "    strength: list = field(default_factory=list)\n", {"plain"}),
    "list in a recipe": (
        "    batch_size: int = 4\n",
        "    batch_size: int = 4\n    sizes: list = field(default_factory=list)\n",
        {"plain"},
    ),
    "dict field": (STRENGTH, "    strength: dict = field(default_factory=dict)\n", {"plain"}),
    "function field": (STRENGTH, "    strength: object = len\n", {"plain"}),
    "lambda field": (STRENGTH, "    strength: object = lambda: 0\n", {"plain"}),
    "path field": (STRENGTH, "    strength: object = __import__('pathlib').Path('x')\n", {"plain"}),
    "NaN field": (STRENGTH, '    strength: float = float("nan")\n', {"plain"}),
    "missing name": (NAME, "", {"name"}),
    "name of the class": (NAME, '    name: ClassVar = "mine"\n', {"name"}),
    "name that counts": (NAME, '    name: str = "mine"\n', {"name"}),
    "capital in the name": (NAME, NAME.replace("mine", "Mine"), {"name"}),
    "blank in the name": (NAME, NAME.replace("mine", "my method"), {"name"}),
    "name all": (NAME, NAME.replace("mine", "all"), {"name"}),
    "name cond": (NAME, NAME.replace("mine", "cond"), {"name"}),
    "name of a built-in": (NAME, NAME.replace("mine", "pix2pix"), {"accepted"}),
    "missing title": ('    title: str = field(default="Mine", compare=False)\n', "", {"title"}),
    "title of two lines": ('default="Mine"', 'default="Mine\\nYours"', {"title"}),
    "unknown group": ('group: ClassVar = "gan"', 'group: ClassVar = "transformer"', {"group"}),
    "no group": ('    group: ClassVar = "gan"\n', "", {"group"}),
    "version 0": (
        '    group: ClassVar = "gan"\n',
        '    group: ClassVar = "gan"\n    version: ClassVar = 0\n',
        {"version"},
    ),
    "unknown preset": (
        '    group: ClassVar = "gan"\n',
        '    group: ClassVar = "gan"\n    presets: ClassVar = {"quik": {"strength": 1.0}}\n',
        {"presets"},
    ),
    "preset of no field": (
        '    group: ClassVar = "gan"\n',
        '    group: ClassVar = "gan"\n    presets: ClassVar = {"quick": {"strenght": 1.0}}\n',
        {"accepted"},
    ),
    "state in the instance": (
        RETURN,
        '        object.__setattr__(self, "count", getattr(self, "count", 0) + 1)\n        return out\n',
        {"stateless"},
    ),
    "state in the class": (
        RETURN,
        '        type(self).count = getattr(type(self), "count", 0) + 1\n        return out\n',
        {"stateless"},
    ),
    "state in the module": (RETURN, "        COUNT.append(1)\n        return out\n\n\nCOUNT = []\n", {"stateless"}),
    "weights changed": (
        RETURN,
        '        networks["network"].weight.data.mul_(0.999)\n        return out\n',
        {"leaves-networks"},
    ),
    "CPU constant": (
        RETURN,
        "        return out * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)\n",
        {"device"},
    ),
    "CPU index": (RETURN, "        return out[:, torch.tensor([0, 1, 2])]\n", {"device"}),
    "returned on the CPU": (RETURN, "        return torch.zeros(vis.shape)\n", {"device"}),
    "recipe that changes": (
        '        return {"network": self.network}\n',
        '        import time\n\n        return {"network": Recipe(1 + time.monotonic_ns())}\n',
        {"networks"},
    ),
}


def test_the_plugin_that_is_spoilt_is_right(tmp_path: Path) -> None:
    found = verdicts(written(tmp_path, GOOD))
    assert {name: verdict for name, verdict in found.items() if verdict.state != "ok"} == {}
    assert {"loads", "name", "device", "network: resumes"} <= found.keys()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_the_check_that_is_meant(tmp_path: Path, fault: str) -> None:
    before, after, rules = FAULTS[fault]
    assert broken(written(tmp_path, spoilt(GOOD, before, after))).keys() == rules
