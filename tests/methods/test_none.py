"""The row without translation."""

from __future__ import annotations

import subprocess
import sys

import torch

from nferbench.contract.noise import ImageNoise
from nferbench_methods.none import WithoutTranslation, nferbench_translators


def test_the_visible_face_comes_back_bit_for_bit_and_in_colour():
    vis = torch.rand(2, 3, 8, 8) * 2 - 1
    before = vis.clone()
    out = WithoutTranslation().translate(vis, {}, ImageNoise([1, 2]))
    assert torch.equal(out, before)
    assert not WithoutTranslation.grey


def test_it_registers_one_method_that_needs_no_network_and_belongs_to_no_group():
    (method,) = nferbench_translators()
    assert (method.name, method.title, method.group) == ("none", "Without translation", "none")
    assert method.networks() == {}


def test_its_labels_are_not_part_of_its_value():
    assert WithoutTranslation(name="raw", title="VIS") == WithoutTranslation()


def test_declaring_none_and_pix2pix_does_not_import_torch():
    probe = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import nferbench_methods.none, nferbench_methods.pix2pix\n"
        "nferbench_methods.pix2pix.Pix2Pix().networks()\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout.strip() == "False"
