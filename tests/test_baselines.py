"""Every method behind one signature, and ZSSR."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib import baselines, images, kernels, metrics, resize, weights, zero_shot
from mzsr_lib.data import generator_for
from mzsr_lib.degradation import Degradation, from_setting
from mzsr_lib.files import InputError
from mzsr_lib.networks import SRNetwork
from mzsr_lib.zero_shot import VIEWS, ZeroShotConfig


@pytest.fixture
def stored(tmp_path):
    """A tiny network in a file."""
    network = SRNetwork(4, 3, generator_for("stored"))
    weights.save(tmp_path / "tiny.safetensors", network, dict(network.named_parameters()), {"scale": 2})
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def aware(tmp_path):
    """The same with a restored input."""
    network, path = SRNetwork(4, 3, generator_for("stored")), tmp_path / "aware.safetensors"
    weights.save(path, network, dict(network.named_parameters()), {"scale": 2, "input": {"kind": "restored"}})
    return path


@pytest.mark.parametrize("name", baselines.METHODS)
def test_every_method_has_the_same_signature(name, stored, aware, device):
    degradation = Degradation(kernels.gaussian_kernel(torch.eye(2), 5))
    lr = picture(21, 17, device=device)
    chosen = {"pretrained": stored, "mzsr": stored, "mzsr-plus": aware}.get(name)
    method = baselines.build(name, 2, chosen, device=device)
    sr = method(lr, degradation)
    assert sr.shape == (1, 3, 42, 34) and sr.device == lr.device
    assert torch.isfinite(sr).all()
    close(method(lr, degradation), sr, 1e-6 if device.type == "cuda" else 0)


def test_bicubic_and_pretrained_take_no_updates(stored):
    assert baselines.build("bicubic", 7).steps == 0
    assert baselines.build("pretrained", 7, stored).steps == 0
    degradation, lr = Degradation(torch.ones(1, 1)), picture(9, 11)
    close(baselines.build("bicubic")(lr, degradation), resize.upscale(lr, 2), 0)
    zero = baselines.build("mzsr", 0, stored)(lr, degradation)
    close(baselines.build("pretrained", 7, stored)(lr, degradation), zero, 0)
    assert not torch.equal(baselines.build("mzsr", 1, stored)(lr, degradation), zero)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "best"}, "no method 'best': choose one of bicubic, pretrained, mzsr, mzsr-plus, zssr"),
        ({"name": "mzsr", "steps": -1}, "steps is -1"),
        ({"name": "zssr"}, "give it steps"),
        ({"name": "mzsr", "weights_name": "no-such"}, "no weights 'no-such'"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        baselines.build(**arguments)


def test_weights_for_another_input_are_refused(stored, aware):
    with pytest.raises(InputError, match="trained for a bicubic input: take the method mzsr"):
        baselines.build("mzsr-plus", 0, stored)
    with pytest.raises(InputError, match="trained for a restored input: take the method mzsr-plus"):
        baselines.build("mzsr", 1, aware)


def test_weights_of_another_scale_are_refused(stored):
    with pytest.raises(InputError, match="for scale 2, not 3"):
        baselines.build("mzsr", 1, stored, scale=3)


def test_zssr_learns_a_picture_from_itself():
    hr = images.example("chelsea")[..., 90:170, 120:200]
    degradation = from_setting(kernels.named()["g2.0d"])
    lr = degradation(hr)
    result = zero_shot.zero_shot(lr, degradation, ZeroShotConfig(steps=60, crop=32, check_every=20))
    bicubic = metrics.protocol_psnr(resize.upscale(lr, 2), hr, 2)
    assert metrics.protocol_psnr(result.sr, hr, 2) > bicubic + 0.3
    assert [step for step, _ in result.errors] == [20, 40, 60]
    assert result.errors[-1][1] < result.errors[0][1]


def test_zssr_lowers_its_rate_and_ends_when_nothing_is_gained():
    flat = torch.full((1, 3, 24, 24), 0.5)
    config = ZeroShotConfig(steps=2_000, crop=16, check_every=2, window=4, learning_rate=1e-5)
    result = zero_shot.zero_shot(flat, Degradation(torch.ones(1, 1)), config)
    assert result.steps < 2_000


def test_the_slope_of_the_error_decides():
    falling = [(50 * i, 1.0 - 0.1 * i) for i in range(6)]
    noisy = [(50 * i, 1.0 + 0.1 * (-1) ** i) for i in range(6)]
    assert not zero_shot.stopped_falling([(s, e + 1e-4 * (-1) ** s) for s, e in falling])
    assert zero_shot.stopped_falling(noisy)


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
    views = zero_shot.symmetries(degradation)
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
        assert len(zero_shot.samplings(degradation)) == views
        method = baselines.build("mzsr-plus", 0, path, ensemble=True)
        sr = method(lr, degradation)
        # Seen transposed, everything is the same: the ensemble has the symmetry that the network lacks.
        turned = method(lr.mT.contiguous(), Degradation(kernel.mT.contiguous(), 2, mode))
        close(turned.mT, sr, 1e-5)
        single = baselines.build("mzsr-plus", 0, path)
        assert not torch.allclose(single(lr, degradation), sr, atol=1e-4)
    with pytest.raises(InputError, match="option of mzsr-plus, not of mzsr"):
        baselines.build("mzsr", 0, path, ensemble=True)
