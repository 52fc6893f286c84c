"""The estimator's numbers describe a blur and back, its loss punishes certainty, and it looks at pictures in pieces."""

import math

import pytest
import torch
from helpers import close, picture

from mzsr_lib.imaging import blurs, cameras
from mzsr_lib.imaging.cameras import Taken, covariances
from mzsr_lib.imaging.kernels import covariance, gaussian_kernel
from mzsr_lib.models import estimator
from mzsr_lib.models.estimator import Estimator, estimation_loss, look
from mzsr_lib.runtime import generator_for


@pytest.mark.parametrize("theta", [0.0, 0.4, -1.2])
def test_four_numbers_say_what_a_blur_is_and_back(theta):
    cov = covariance(1.5, 0.3, theta)
    values = estimator.described(cov[None], torch.tensor([0.02]))
    close(estimator.covariance_of(values[0]), cov, 1e-5)
    close(values[0, 3], math.log(0.02), 1e-6)


def test_a_turned_picture_has_other_slants_and_no_other_width():
    a, b = (estimator.described(covariance(1.5, 0.3, t)[None], torch.ones(1))[0] for t in (0.3, 0.3 + math.pi / 2))
    close(a[0], b[0], 1e-5)
    close(a[1:3], -b[1:3], 1e-5)


def test_to_be_sure_and_wrong_costs_more_than_to_be_unsure():
    cov = covariance(1.0, 1.0, 0.0)[None]
    truth = Taken(picture(24, 24), cov, torch.tensor([0.01]), gaussian_kernel(cov, 7), torch.tensor([True]))
    right = estimator.described(truth.covariances / 4, truth.noise)

    def says(error: float, spread: float) -> torch.Tensor:
        return torch.cat([right + error, torch.full((1, 4), math.log(spread)), torch.zeros(1, 49)], dim=1)

    losses = [float(estimation_loss(says(*said), truth, 2)) for said in ((0.0, 0.1), (0.5, 0.5), (0.5, 0.1))]
    assert losses == sorted(losses)
    # The best spread is the error itself.
    around = [float(estimation_loss(says(0.5, s), truth, 2)) for s in (0.4, 0.5, 0.6)]
    assert min(around) == around[1]


def test_the_true_shape_costs_least_and_an_even_one_its_divergence():
    blur = blurs.motion(torch.tensor([7.0]), torch.tensor([0.6]), 15)
    truth = Taken(picture(24, 24), covariances(blur), torch.tensor([0.01]), blur, torch.tensor([True]))
    numbers = torch.cat([estimator.described(truth.covariances / 4, truth.noise), torch.zeros(1, 4)], dim=1)
    log = cameras.stretched(blur, covariances(blur), 15).clamp(min=1e-20).log().flatten(1)
    even, right = (float(estimation_loss(torch.cat([numbers, shape], dim=1), truth, 2)) for shape in (0 * log, log))
    assert right == pytest.approx(0, abs=1e-5)
    assert even == pytest.approx(float((log.exp() * (log + math.log(225))).sum()), abs=1e-4)


@pytest.mark.parametrize("lag", [(0, 3), (5, 0)])
def test_slopes_that_come_again_are_heard(lag):
    plane = torch.randn(1, 1, 61, 67, generator=generator_for(0))
    plane = plane + plane.roll(lag, dims=(-2, -1))
    found = estimator._echoes(plane).view(2, estimator.LAGS + 1, 2 * estimator.LAGS + 1)
    for heard in found:
        close(heard[0, estimator.LAGS], 1.0, 1e-3)
        close(heard[lag[0], estimator.LAGS + lag[1]], 0.5, 0.1)
        assert heard[2, estimator.LAGS + 6].abs() < 0.1


def test_brightness_alone_changes_nothing():
    network = Estimator(4, generator=generator_for(0)).eval()
    lr = picture(32, 40) / 2
    with torch.no_grad():
        close(network(lr), network(lr + 0.25), 1e-4)


def test_the_calmest_parts_tell_the_noise():
    flat = torch.full((1, 1, 64, 64), 100.0)
    quiet, loud = (
        estimator._calm(estimator.UNIT * (flat + s * torch.randn(flat.shape, generator=generator_for(0))))
        for s in (1.0, 4.0)
    )
    close((loud - quiet)[0], torch.full((3,), math.log(4)), 0.1)


def test_blocks_of_eight_stand_out():
    steps = torch.randn(1, 1, 8, 8, generator=generator_for(0)).repeat_interleave(8, -1).repeat_interleave(8, -2)
    plain = torch.randn(1, 1, 64, 64, generator=generator_for(1))
    assert estimator._blocks(steps).min() > 2
    assert estimator._blocks(plain).abs().max() < 0.3


def test_a_picture_is_looked_at_in_pieces_weighed_by_certainty():
    network = Estimator(4, generator=generator_for(0)).eval()
    small = look(network, picture(40, 50))
    assert small.noise > 0
    assert small.covariance.shape == (2, 2)
    assert small.kernel.shape == (15, 15)
    close(small.kernel.sum(), 1.0, 1e-5)
    whole = look(network, picture(260, 300))
    assert math.isfinite(whole.width_spread)
    # Two copies of a piece say no more than one.
    piece = picture(128, 128)
    close(look(network, torch.cat([piece, piece], dim=-1)).covariance, look(network, piece).covariance, 1e-4)


@pytest.mark.parametrize("length", [24, 127, 128, 129, 137, 255, 256, 1000])
def test_the_parts_of_a_side_are_of_one_length_and_leave_out_less_than_a_block(length):
    parts = estimator._parts(length)
    assert {part.stop - part.start for part in parts} == {min(length, estimator.PIECE)}
    assert all(part.start % 8 == 0 for part in parts)
    covered = set().union(*(range(part.start, part.stop) for part in parts))
    assert covered >= set(range(length - 7)) and max(covered) < length


def test_a_strip_beside_whole_pieces_is_not_believed():
    """Slivers at the end of a picture were looked at alone: too small for the network, or outvoting the rest."""
    network = Estimator(4, generator=generator_for(0)).eval()
    piece = picture(100, 128)
    close(look(network, torch.cat([piece, piece[..., :5]], dim=-1)).covariance, look(network, piece).covariance, 0.05)
