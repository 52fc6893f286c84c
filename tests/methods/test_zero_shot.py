"""ZSSR: its crops, its rule, its end, and that it learns."""

from dataclasses import replace

import pytest
import torch
from helpers import close, picture

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, metrics, resize, restoration
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.methods import zero_shot
from mzsr_lib.methods.self_ensemble import VIEWS
from mzsr_lib.methods.zero_shot import ZeroShotConfig
from mzsr_lib.mzsr.adaptation import starting_point
from mzsr_lib.runtime import generator_for


def test_zssr_learns_a_picture_from_itself():
    hr = datasets.example("chelsea")[..., 90:170, 120:200]
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


def fathers(lr, camera, config, count=40, views=VIEWS[:1]):
    return [zero_shot.draw_father(lr, camera, config, views, generator_for(i, "father")) for i in range(count)]


def test_fathers_are_crops_of_the_picture_and_of_smaller_ones():
    camera = Degradation(kernels.gaussian_kernel(torch.eye(2), 5), 2)
    # Two ramps tell where a pixel was, and how far apart neighbours were.
    rows, columns = torch.meshgrid(torch.arange(41) / 50, torch.arange(33) / 50, indexing="ij")
    lr = torch.stack([rows, columns, 0 * rows])[None]
    steps = set()
    for father in fathers(lr, camera, ZeroShotConfig(crop=20, smallest=0.5, resized=0.6)):
        side = father.shape[-1]
        assert father.shape[-2] == side and side % 2 == 0 and 6 <= side <= 20
        inner = father[0, 0, 3:-3, 5] * 50
        step = float((inner[-1] - inner[0]) / (len(inner) - 1))
        assert 1 - 1e-4 <= step <= 2.2
        steps.add(round(step, 3))
    assert 1.0 in steps and len(steps) > 10
    whole = fathers(lr, camera, ZeroShotConfig(crop=20, resized=0.0))
    assert all(father.shape[-1] == 20 and float(father[0, 0, 1, 0] - father[0, 0, 0, 0]) > 0.019 for father in whole)
    assert len({float(father[0, 0, 0, 0]) for father in whole}) > 10


def test_a_father_is_never_smaller_than_the_kernel():
    camera = Degradation(kernels.gaussian_kernel(torch.eye(2), 15), 4)
    found = fathers(picture(21, 17), camera, ZeroShotConfig(crop=8, smallest=0.1, resized=1.0))
    assert {father.shape[-1] for father in found} == {16}
    assert all(camera(father).shape == (1, 3, 4, 4) for father in found)


@pytest.mark.parametrize(("name", "count"), [("g2.0d", 8), ("gani_d", 2)])
def test_fathers_are_turned_as_far_as_the_kernel_allows(name, count):
    camera, lr = from_setting(kernels.named()[name]), picture(24, 24)
    pair = zero_shot.father_and_son(lr, camera, ZeroShotConfig(crop=24, resized=0.0))
    seen = {tuple(pair(step)[1].flatten().tolist()) for step in range(60)}
    assert seen <= {tuple(view.look(lr).flatten().tolist()) for view in VIEWS}
    assert len(seen) == count


def test_a_son_is_its_father_degraded_with_noise_if_there_is_some():
    camera, lr = from_setting(kernels.named()["g1.3b"]), picture(40, 44)
    inputs, father = zero_shot.father_and_son(lr, camera, ZeroShotConfig())(3)
    close(inputs, resize.upscale(camera(father), 2), 0)
    noisy, same = zero_shot.father_and_son(lr, replace(camera, noise=0.1), ZeroShotConfig())(3)
    close(same, father, 0)
    assert 0.02 < float((noisy - inputs).std()) < 0.1


def test_noise_of_the_settings_goes_before_that_of_the_degradation():
    camera, lr = Degradation(torch.ones(1, 1), noise=0.05), picture(20, 20)
    config = ZeroShotConfig(steps=2, crop=16)
    from_camera, as_told, without = (
        zero_shot.zero_shot(lr, camera, replace(config, noise=noise, back_projections=0)).sr
        for noise in (None, 0.05, 0.0)
    )
    close(from_camera, as_told, 0)
    assert not torch.equal(from_camera, without)


def test_the_authors_number_of_back_projections():
    plain, blurred = (from_setting(kernels.named()[name]) for name in ("bicubic", "g1.3b"))
    noisy = replace(blurred, noise=0.01)
    assert [ZeroShotConfig().back_projections_for(camera) for camera in (plain, blurred, noisy)] == [10, 2, 0]
    assert ZeroShotConfig(back_projections=5).back_projections_for(noisy) == 5


@pytest.mark.parametrize("name", ["g2.0d", "g1.3b"])
def test_back_projection_brings_the_result_closer_to_the_low_resolution_picture(name):
    camera = from_setting(kernels.named()[name])
    lr = camera(datasets.example("chelsea")[..., 90:170, 120:200])
    config = ZeroShotConfig()
    network = zero_shot.start(config)
    params = starting_point(network)
    misfits = []
    for count in (0, 1, 4):
        sr = zero_shot.finish(network, params, lr, camera, replace(config, back_projections=count))
        assert sr.shape == (1, 3, 80, 80) and sr.min() >= 0 and sr.max() <= 1
        misfits.append(float((camera.linear(sr) - lr).abs().mean()))
    assert misfits[0] > misfits[1] > misfits[2]


def test_the_views_are_fused_by_their_median():
    camera, lr = Degradation(torch.ones(1, 1), 2, "bicubic"), picture(9, 7)
    network = zero_shot.start(ZeroShotConfig())
    params = starting_point(network)
    outputs = [view.undo(network(resize.upscale(view.look(lr), 2)).detach().clamp(0, 1)) for view in VIEWS]
    ordered = torch.stack(outputs).sort(dim=0).values
    sr = zero_shot.finish(network, params, lr, camera, ZeroShotConfig(back_projections=0))
    close(sr, (ordered[3] + ordered[4]) / 2, 1e-5)
    one = zero_shot.finish(network, params, lr, camera, ZeroShotConfig(back_projections=1, ensemble=False))
    again = restoration.back_project(outputs[0], lr, camera).clamp(0, 1)
    close(one, restoration.back_project(again, lr, camera).clamp(0, 1), 1e-5)


def test_bfloat16_learns_the_same_from_the_same_pairs(monkeypatch):
    camera = from_setting(kernels.named()["g1.3b"])
    lr = camera(datasets.example("chelsea")[..., 90:154, 120:184])
    drawn, draw = {}, zero_shot.father_and_son

    def watched(*arguments):
        pair = draw(*arguments)
        return lambda step: drawn.setdefault((precision, step), pair(step))

    monkeypatch.setattr(zero_shot, "father_and_son", watched)
    result = {}
    for precision in ("float32", "bfloat16"):
        config = ZeroShotConfig(steps=5, crop=24, precision=precision)
        result[precision] = zero_shot.zero_shot(lr, camera, config).sr
    for step in range(5):
        for full, half in zip(drawn["float32", step], drawn["bfloat16", step], strict=True):
            close(full, half, 0)
    assert result["bfloat16"].dtype == torch.float32
    assert 0 < float((result["bfloat16"] - result["float32"]).abs().max()) < 0.03


@pytest.mark.parametrize("change", [{"resized": 1.5}, {"resized": -0.1}, {"smallest": 0.0}, {"smallest": 1.1}])
def test_settings_that_cannot_be(change):
    with pytest.raises(InputError, match="cannot be: the one must be in"):
        ZeroShotConfig(**change)


def test_an_unknown_precision_is_refused():
    with pytest.raises(InputError, match="no precision 'half': choose float32 or bfloat16"):
        ZeroShotConfig(precision="half")
