"""Sizes that a model's code puts through ``int`` and ``len`` stay free in an export; elsewhere both words are Python's own."""

from __future__ import annotations

import subprocess
import sys

TRIED = '''
import sys, types, torch
from gpux.export.symbolic import sizes_kept

code = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        rows, half = len(x), int(x.shape[1] // 2)
        return x[:, :half].reshape(rows, half, 1) * int("2") + len([1, 2])
"""
module = types.ModuleType("transformers.models.tried.modeling_tried")
sys.modules[module.__name__] = module
exec(code.replace("__name__", repr(module.__name__)), vars(module))
module.Model.__module__ = module.__name__
model, x = module.Model(), torch.rand(3, 8)
dims = {"x": {0: torch.export.Dim("rows", min=1, max=99), 1: 2 * torch.export.Dim("half", min=1, max=99)}}

def export():
    return torch.export.export(model, (x,), dynamic_shapes=dims, strict=False).module()

with sizes_kept(model):
    program = export()
other = torch.rand(5, 14)
assert torch.equal(program(other), model(other)), "the sizes were fixed"
assert "len" not in vars(module) and "int" not in vars(module), "the words stay shadowed"
try:
    export()
except Exception as error:
    print("without it:", type(error).__name__)
'''


def test_sizes_stay_free():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRIED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "without it:" in done.stdout  # the day torch needs no help, the help can go
