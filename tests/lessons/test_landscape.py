"""The explorer of starting points: its steps are gradient steps, and its sentence says what is true."""

import re

import pytest
import torch

from mzsr_lib.files import InputError
from mzsr_lib.lessons import landscape
from mzsr_lib.lessons.landscape import LandscapeExplorer

HESSIANS = torch.tensor([[[1.8, 0.2], [0.2, 0.3]], [[0.4, 0.0], [0.0, 1.5]], [[1.0, -0.3], [-0.3, 0.9]]])
OPTIMA = torch.tensor([[-2.0, 2.6], [2.0, 3.2], [0.3, -2.0]])


def test_a_step_is_a_gradient_step():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(5, 2, generator=generator)
    expected = start.expand(3, 5, 2)
    found = landscape.walk(start, HESSIANS, OPTIMA, 0.4, 3)
    for points in found:
        assert torch.allclose(points, expected, atol=1e-5)
        moved = expected.clone().requires_grad_()
        (slope,) = torch.autograd.grad(landscape.losses(moved, HESSIANS, OPTIMA).sum(), moved)
        expected = expected - 0.4 * slope


def test_the_sentence_and_the_picture_follow_the_start():
    explorer = LandscapeExplorer(HESSIANS, OPTIMA, -0.5, 1.0)
    first = explorer._repr_mimebundle_()["image/png"]
    start = torch.tensor([-0.5, 1.0]).expand(3, 2)
    assert explorer.before == pytest.approx(float(landscape.losses(start, HESSIANS, OPTIMA).mean()), rel=1e-5)
    lowest = float(re.search(r"is ([\d.]+), from", explorer.message)[1])
    explorer.controls["theta1"].value, explorer.controls["theta2"].value = explorer.best
    assert explorer.after == pytest.approx(lowest, abs=0.006)
    assert explorer._repr_mimebundle_()["image/png"] != first
    explorer.controls["steps"].value = 0
    assert explorer.before == explorer.after
    assert repr(explorer).startswith("LandscapeExplorer(theta1=") and "steps=0)" in repr(explorer)


def test_no_start_near_the_best_is_better():
    explorer = LandscapeExplorer(HESSIANS, OPTIMA, steps=2)
    around = torch.tensor(explorer.best) + torch.tensor([[0.0, 0.0], [0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]])
    ends = landscape.walk(around, HESSIANS, OPTIMA, 0.5, 2)[-1]
    assert landscape.losses(ends, HESSIANS, OPTIMA).mean(0).argmin() == 0


def test_other_shapes_are_refused():
    for hessians, optima in ((HESSIANS, OPTIMA[:2]), (HESSIANS[0], OPTIMA), (HESSIANS[:0], OPTIMA[:0])):
        with pytest.raises(InputError, match="are needed"):
            LandscapeExplorer(hessians, optima)
