"""The network's input is an argument: bicubic or restored, one pass or several, the same inner loop."""

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, resize, restoration
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.models import weights
from mzsr_lib.mzsr import adaptation, inputs
from mzsr_lib.mzsr.adaptation import starting_point
from mzsr_lib.mzsr.inputs import Restored
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for

CAMERA = from_setting(kernels.named()["gani_d"])


def small() -> SRNetwork:
    return SRNetwork(6, 3, generator_for(0, "weights"))


def test_the_bicubic_input_does_not_see_the_kernel():
    lr = picture(9, 7)
    close(inputs.bicubic_input(lr, CAMERA), resize.upscale(lr, 2), 0)


def test_the_restored_input_is_the_closed_form_and_goes_on_from_the_last_output():
    lr, sr = picture(21, 23), picture(42, 46, seed=1)
    upscaler = Restored(mu=0.01, next_mu=0.1)
    close(upscaler(lr, CAMERA), restoration.restore(lr, CAMERA, 0.01), 0)
    close(upscaler(lr, CAMERA, sr), restoration.restore(lr, CAMERA, 0.1, sr), 0)


def test_super_resolution_runs_every_pass():
    network, lr, upscaler = small(), picture(21, 23), Restored(passes=2)
    with torch.no_grad():
        first = network(upscaler(lr, CAMERA))
        second = network(upscaler(lr, CAMERA, first)).clamp(0, 1)
    found = adaptation.super_resolve(network, starting_point(network), lr, CAMERA, upscaler)
    close(found, second, 1e-5)


def test_the_result_may_be_brought_into_agreement_with_the_low_resolution_picture():
    network, lr, upscaler = small(), picture(21, 23), Restored(final_mu=0.01)
    with torch.no_grad():
        output = network(upscaler(lr, CAMERA))
    found = adaptation.super_resolve(network, starting_point(network), lr, CAMERA, upscaler)
    close(found, restoration.restore(lr, CAMERA, 0.01, output).clamp(0, 1), 1e-5)


def test_an_update_learns_from_the_inputs_of_all_passes():
    network, lr, upscaler, rate = small(), picture(42, 46), Restored(passes=2), 0.01
    [(found, loss)] = adaptation.adapt(
        network, starting_point(network), lr, CAMERA, 1, adaptation.SGD([rate]), upscaler
    )
    son = CAMERA(lr)
    with torch.no_grad():
        first = upscaler(son, CAMERA)
        second = upscaler(son, CAMERA, network(first))
    by_hand = ((network(first) - lr).abs().mean() + (network(second) - lr).abs().mean()) / 2
    grads = torch.autograd.grad(by_hand, list(network.parameters()))
    close(loss, by_hand, 1e-6)
    for p, g, new in zip(network.parameters(), grads, found.values(), strict=True):
        close(new, p - rate * g, 1e-6)


@pytest.mark.parametrize("upscaler", [inputs.bicubic_input, Restored(0.02, 0.03, 3, 0.1)])
def test_weights_say_what_input_they_were_trained_for(tmp_path, upscaler):
    network, path = small(), tmp_path / "own.safetensors"
    weights.save(path, network, dict(network.named_parameters()), {"input": inputs.described(upscaler)})
    assert weights.load(path).upscaler == upscaler


def test_weights_without_a_word_about_the_input_take_the_papers(tmp_path):
    network, path = small(), tmp_path / "own.safetensors"
    weights.save(path, network, dict(network.named_parameters()), {})
    assert weights.load(path).upscaler is inputs.bicubic_input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cubic",), "no network input 'cubic': choose bicubic or restored"),
        (("bicubic", 1e-3, 1e-3, 2), "one pass, not 2"),
        (("restored", 0.0), "mu is 0.0: it must be a number above 0"),
        (("restored", 1e-3, 1e-3, 0), "passes is 0: it must be a whole number from 1 to 100"),
    ],
)
def test_an_impossible_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        inputs.named(*arguments)
