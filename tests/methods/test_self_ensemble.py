"""The eight ways to look at a picture, and averages over them."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.methods import registry, self_ensemble
from mzsr_lib.methods.self_ensemble import VIEWS
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for


def test_views_are_eight_and_can_be_undone():
    image = picture(5, 7)
    seen = [view.look(image) for view in VIEWS]
    assert len({tuple(s.flatten().tolist()) for s in seen}) == 8
    for view, look in zip(VIEWS, seen, strict=True):
        close(view.undo(look), image, 0)


@pytest.mark.parametrize(
    ("name", "mode", "count"),
    [("g2.0d", "direct", 2), ("g2.0d", "bicubic", 8), ("gani_d", "direct", 1), ("gani_d", "bicubic", 2)],
)
def test_the_ensemble_keeps_to_views_that_commute_with_the_degradation(name, mode, count):
    degradation = Degradation(kernels.named()[name].kernel, 2, mode)
    views = self_ensemble.symmetries(degradation)
    assert len(views) == count
    hr = picture(32, 32)
    for view in VIEWS:
        same = torch.allclose(degradation.linear(view.look(hr)), view.look(degradation.linear(hr)), atol=1e-5)
        assert same == (view in views)


def test_an_ensemble_turns_the_kernel_with_the_picture(tmp_path):
    network, path = SRNetwork(4, 3, generator_for("e")), tmp_path / "plus.safetensors"
    weights.save(path, network, dict(network.named_parameters()), {"input": {"kind": "restored"}})
    lr = picture(21, 21)
    kernel = kernels.gaussian_kernel(kernels.covariance(2.0, 0.5, 0.4), 7)
    for mode, views in (("direct", 2), ("bicubic", 8)):
        degradation = Degradation(kernel, 2, mode)
        assert len(self_ensemble.samplings(degradation)) == views
        method = registry.build("mzsr-plus", registry.Options(path, ensemble=True))
        sr = method(lr, degradation)
        # Seen transposed, everything is the same: the ensemble has the symmetry that the network lacks.
        turned = method(lr.mT.contiguous(), Degradation(kernel.mT.contiguous(), 2, mode))
        close(turned.mT, sr, 1e-5)
        single = registry.build("mzsr-plus", registry.Options(path))
        assert not torch.allclose(single(lr, degradation), sr, atol=1e-4)
    with pytest.raises(InputError, match="option of mzsr-plus, unfolded, photo, not of mzsr"):
        registry.build("mzsr", registry.Options(path, ensemble=True))


@pytest.mark.parametrize("name", ["unfolded", "photo"])
def test_networks_that_are_told_the_kernel_have_an_ensemble_too(name):
    lr = picture(21, 24)
    kernel = kernels.gaussian_kernel(kernels.covariance(2.0, 0.5, 0.4), 7)
    method = registry.build(name, registry.Options(ensemble=True))
    for mode in ("direct", "bicubic"):
        sr = method(lr, Degradation(kernel, 2, mode, noise=0.01))
        turned = method(lr.mT.contiguous(), Degradation(kernel.mT.contiguous(), 2, mode, noise=0.01))
        close(turned.mT, sr, 1e-4)
