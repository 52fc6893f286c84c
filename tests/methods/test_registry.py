"""Every method behind one signature, with its weights, options and agreement."""

import functools

import pytest
import torch
from helpers import close, picture

from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels, metrics, resize, restoration
from mzsr_lib.imaging.degradation import MODES, Degradation
from mzsr_lib.imaging.images import luma
from mzsr_lib.methods import catalogue, classical, registry, zero_shot
from mzsr_lib.methods.catalogue import ENTRIES, METHODS, Choice
from mzsr_lib.methods.registry import Options, build, build_all
from mzsr_lib.models import weights
from mzsr_lib.models.registry import build as build_network
from mzsr_lib.mzsr import adaptation
from mzsr_lib.runtime import generator_for

BLUR = kernels.gaussian_kernel(torch.eye(2), 5)
NETWORKS = {
    "bicubic": {"channels": 4, "layers": 3},
    "restored": {"channels": 4, "layers": 3},
    "carn": {"architecture": "carn", "channels": 4, "blocks": 1, "scales": [2, 3, 4]},
    "rcan": {"architecture": "rcan", "channels": 4, "groups": 1, "blocks": 1, "reduction": 2, "scale": 2},
    "unfolded": {"architecture": "unfolded", "channels": 4, "stages": 2, "blocks": 1},
}


@pytest.fixture
def save(tmp_path):
    """Call with a kind of weights to have a tiny network of it in a file."""

    def saved(kind, scales=(2,)):
        settings = NETWORKS[kind] | ({"scale": scales[0]} if kind == "rcan" else {})
        network, path = build_network(settings, generator_for("stored")), tmp_path / f"{kind}.safetensors"
        takes = kind if kind in ("bicubic", "restored") else "none"
        facts = {"scales": list(scales), "input": {"kind": takes}}
        weights.save(path, network, dict(network.named_parameters()), facts)
        return path

    return saved


@pytest.fixture
def stored(save):
    """A tiny network for the bicubic input."""
    return save("bicubic")


def some(name, agree=False):
    """A method with two updates, if it makes any."""
    return Choice(name, 0 if ENTRIES[name].updates is None else 2, agree)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_the_same_signature(name, scale, mode, save, device):
    entry, degradation = ENTRIES[name], Degradation(BLUR, scale, mode)
    lr, chosen = picture(21, 17, device=device), save(entry.takes, (scale,)) if entry.takes else None
    method = build(some(name), Options(chosen, device, scale))
    sr = method(lr, degradation)
    assert sr.shape == (1, 3, 21 * scale, 17 * scale) and sr.device == lr.device
    assert sr.min() >= 0 and sr.max() <= 1
    again, taken = method.run(lr, degradation.to(device))
    assert taken == method.steps == some(name).steps
    close(again, sr, 1e-6 if device.type == "cuda" else 0)


@pytest.mark.parametrize("name", METHODS)
def test_the_kernel_matters_where_the_catalogue_says_so(name, save):
    entry, lr = ENTRIES[name], picture(21, 17)
    options = Options(save(entry.takes) if entry.takes else None)
    for agree in (False, True) if entry.agrees else (False,):
        method = build(some(name, agree), options)
        same = torch.equal(method(lr, Degradation(BLUR)), method(lr, Degradation(torch.ones(1, 1))))
        assert same != (entry.needs_kernel or agree)


def test_what_makes_no_updates(stored):
    degradation, lr, given = Degradation(torch.ones(1, 1)), picture(9, 11), Options(stored)
    close(build("bicubic")(lr, degradation), resize.upscale(lr, 2).clamp(0, 1), 0)
    close(build("tikhonov")(lr, degradation), classical.tikhonov(lr, degradation), 0)
    zero = build("mzsr:0", given)(lr, degradation)
    for name in ("pretrained", "blind", "mzsr-plain:0"):
        close(build(name, given)(lr, degradation), zero, 0)
    assert not torch.equal(build("mzsr:1", given)(lr, degradation), zero)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("token", ["blind", "mzsr:2"])
def test_agreement_brings_the_picture_nearer_to_the_low_resolution_one(token, mode, stored):
    camera, given = Degradation(BLUR, 2, mode), Options(stored)
    lr = camera(picture(48, 40))
    without, agreed = build(token, given)(lr, camera), build(f"{token}+agree", given)(lr, camera)
    close(agreed, restoration.restore(lr, camera, registry.AGREEMENT_MU, without).clamp(0, 1), 0)
    left = [float((camera.linear(sr) - lr).square().mean()) for sr in (without, agreed)]
    assert left[1] < 0.2 * left[0]


def test_a_network_is_told_a_centred_kernel_and_its_picture_is_moved_back(stored):
    lr, centred = picture(24, 20), Degradation(BLUR, 3)
    off = Degradation(torch.nn.functional.pad(BLUR, (2, 0, 2, 0)), 3)  # the mass lies a pixel right and below
    for token in ("mzsr:2", "mzsr-plain:1", "blind"):
        method = build(token, Options(stored))
        moved, plain = method(lr, off), method(lr, centred)
        close(moved[..., 4:-4, 4:-4], plain[..., 3:-5, 3:-5], 1e-5)
    for token in ("pretrained", "bicubic"):
        method = build(token, Options(stored) if token == "pretrained" else None)
        assert torch.equal(method(lr, off), method(lr, centred))


def kernelgan(scale: int) -> torch.Tensor:
    """A kernel as KernelGAN writes it: the mass lies (scale - 1) / 2 px beyond the centre; x4 is x2 twice."""
    axis = torch.arange(17) - 8.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    two = torch.exp(-(x * x - 1.6 * x * y + 2 * y * y) / 2.72)
    if scale == 4:
        spread = torch.zeros(33, 33)
        spread[::2, ::2] = two
        two = torch.nn.functional.conv2d(spread[None, None], two.flip(0, 1)[None, None], padding=16)[0, 0, 8:-8, 8:-8]
    return two / two.sum()


def register(sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
    """By how many px (x, y) one picture lies right of and below another: least squares on the slopes."""
    a, b = (luma(image)[0, 0] for image in (sr, hr))
    slopes = torch.stack([(b[1:-1, :-2] - b[1:-1, 2:]) / 2, (b[:-2, 1:-1] - b[2:, 1:-1]) / 2])[:, 12:-12, 12:-12]
    return torch.linalg.lstsq(slopes.flatten(1).mT, (a - b)[1:-1, 1:-1][12:-12, 12:-12].reshape(-1, 1)).solution[:, 0]


@pytest.mark.parametrize(("scale", "token", "size"), [(2, "blind", 96), (4, "mzsr:1", 160)])
def test_files_of_kernelgan_give_pictures_in_register_and_as_good_as_with_a_centred_kernel(scale, token, size):
    hr = datasets.example("astronaut")[..., 20 : 20 + size, 150 : 150 + size]
    camera = Degradation(kernelgan(scale), scale)
    close(torch.tensor(camera.offset), [(scale - 1) / 2] * 2, 0.01)
    method = build(token, Options(scale=scale))
    off, centred = method(camera(hr), camera), method(camera.centred()(hr), camera.centred())
    assert metrics.protocol_psnr(off, hr, scale) > metrics.protocol_psnr(centred, hr, scale) - 0.3
    close(register(off, hr), register(centred, hr), 0.08)
    untold = method.course(camera(hr), camera.centred(), (method.steps,))
    *_, stop = untold  # what the network makes of it, where it makes it: off by what is moved back
    assert metrics.protocol_psnr(stop.picture(), hr, scale) < metrics.protocol_psnr(off, hr, scale) - 0.5


@pytest.mark.parametrize("scale", [2, 4])
def test_an_enlargement_is_in_register_with_a_kernel_off_its_centre(scale):
    hr = datasets.example("astronaut")[..., 20:148, 150:278]
    camera = Degradation(kernelgan(scale), scale)
    for name in ("aligned", "tikhonov"):
        close(register(build(name)(camera(hr), camera), hr), [0.0, 0.0], 0.05)
    assert max(map(abs, restoration.offset(camera))) < 0.01  # the ordinary enlargement, too
    assert restoration.offset(camera.centred()) == ((scale - 1) / 2,) * 2
    left = register(restoration.upscale_aligned(camera(hr), scale), hr)
    assert (left < -0.1).all()  # without a word about the kernel: left of and above the scene


def test_agreement_with_little_trust_in_the_low_resolution_picture_changes_little(stored):
    camera, plain = Degradation(BLUR), build("blind", Options(stored))
    lr = camera(picture(48, 40))
    sr = plain(lr, camera)
    close(registry.agreed(sr, lr, camera, mu=1e6), sr, 1e-5)


def test_the_updates_that_zssr_takes_can_be_seen(monkeypatch):
    hasty = functools.partial(zero_shot.ZeroShotConfig, check_every=2, window=4, learning_rate=1e-5)
    monkeypatch.setattr(registry, "ZeroShotConfig", hasty)
    method = build("zssr:3000")
    sr, taken = method.run(torch.full((1, 3, 12, 12), 0.5), Degradation(torch.ones(1, 1)))
    assert sr.shape == (1, 3, 24, 24) and 0 < taken < 3000 == method.steps


@pytest.mark.parametrize(
    ("token", "options", "sentence"),
    [
        ("best", {}, "no method 'best'"),
        ("mzsr", {"weights": "no-such"}, "no weights 'no-such'"),
        ("mzsr", {"scale": 5}, "scale is 5"),
        ("bicubic", {"weights": "mzsr-x2"}, "Weights are for pretrained, .*, and bicubic has none"),
        ("mzsr", {"ensemble": True}, "An ensemble is an option of mzsr-plus, unfolded, photo, not of mzsr"),
    ],
)
def test_what_cannot_be_built_is_refused_in_a_sentence(token, options, sentence):
    with pytest.raises(InputError, match=sentence):
        build(token, Options(**options))


@pytest.mark.parametrize("name", [name for name in METHODS if ENTRIES[name].takes])
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("bicubic", "trained for a bicubic input, not for {}: take the method pretrained or blind or mzsr-plain or"),
        ("restored", "trained for a restored input, not for {}: take the method mzsr-plus"),
        ("carn", "those of carn, not for {}: take the method carn"),
        ("rcan", "those of rcan, not for {}: take the method rcan"),
    ],
)
def test_weights_of_another_kind_are_refused(name, kind, sentence, save):
    choice, options = Choice(name), Options(save(kind))
    if kind == ENTRIES[name].takes:
        assert build(choice, options).weights
        return
    with pytest.raises(InputError, match=sentence.format(name)):
        build(choice, options)


def test_a_method_whose_weights_are_not_shipped_says_so_or_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    chosen, said = catalogue.choices(["bicubic", "mzsr:1", "mzsr:10"]), []
    sentence = r"No weights for mzsr at scale 4 are shipped .* give a file as weights"
    with pytest.raises(InputError, match=sentence):
        build_all(chosen, Options(scale=4))
    assert [method.name for method in build_all(chosen, Options(scale=4), said.append)] == ["bicubic"]
    assert len(said) == 1 and said[0].startswith("mzsr is left out: No weights")
    with pytest.raises(InputError, match=sentence):
        build_all(chosen[1:], Options(scale=4), said.append)
    with pytest.raises(InputError, match="No method is left for scale 3"):
        build_all(catalogue.choices(["mzsr", "blind"]), Options(scale=3), said.append)


def test_shipped_weights_are_found_by_what_they_say_of_themselves(monkeypatch, save, tmp_path):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    for name, scales, method in (("any", (2, 3, 4), "mzsr"), ("name", (3,), "mzsr"), ("mzsr-x2", (2,), "blind")):
        path = save("bicubic", scales).rename(tmp_path / f"{name}.safetensors")
        weights.annotate(path, {"method": method})
    found = {scale: build("mzsr", Options(scale=scale)).weights for scale in (2, 3, 4)}
    assert found == {2: "any", 3: "name", 4: "any"}
    assert build("blind").weights == "mzsr-x2"
    with pytest.raises(InputError, match="No weights for mzsr-plain at scale 2 are shipped"):
        build("mzsr-plain")


def test_weights_of_another_scale_are_refused(stored):
    with pytest.raises(InputError, match="for scale 2, not 3"):
        build("mzsr:1", Options(stored, scale=3))


def test_weights_go_to_the_one_method_that_takes_any(stored):
    built = build_all(catalogue.choices(["bicubic", "mzsr:1", "mzsr:10+agree", "zssr:1"]), Options(stored))
    assert [(m.name, m.steps, m.agree) for m in built] == [
        ("bicubic", 0, False),
        ("mzsr", 1, False),
        ("mzsr", 10, True),
        ("zssr", 1, False),
    ]
    assert [bool(m.weights) for m in built] == [False, True, True, False]
    for names, found in ((["mzsr", "pretrained"], "mzsr and pretrained"), (["bicubic"], "none")):
        with pytest.raises(InputError, match=f"here is {found}"):
            build_all(catalogue.choices(names), Options(stored))


def test_the_precision_is_the_one_asked_for_and_float32_where_there_is_no_network(stored):
    assert build("blind", Options(stored, precision="bfloat16")).precision == "bfloat16"
    assert (
        build("blind", Options(stored)).precision == build("bicubic", Options(precision="auto")).precision == "float32"
    )
    assert build("blind", Options(stored, precision="auto")).precision in ("float32", "bfloat16")
    wrong = object.__new__(Options)  # the types that the tests check would refuse it before the library does
    object.__setattr__(wrong, "scale", 2)
    object.__setattr__(wrong, "precision", "half")
    with pytest.raises(InputError, match="no precision 'half'"):
        wrong.__post_init__()


def test_plain_steps_are_plain_whatever_the_weights_learned():
    lr, camera = datasets.example("chelsea")[..., 60:106, 180:222], Degradation(BLUR)
    plain, learned = (build(f"{name}:1", Options("mzsr-x2"))(lr, camera) for name in ("mzsr-plain", "mzsr"))
    loaded = weights.load("mzsr-x2")
    *_, (params, _) = adaptation.adapt(loaded.network, adaptation.starting_point(loaded.network), lr, camera, 1)
    close(plain, adaptation.super_resolve(loaded.network, params, lr, camera), 0)
    assert float((plain - learned).abs().max()) > 0.01


def test_noise_that_is_known_does_not_stop_the_updates(stored):
    lr = picture(21, 17)
    noisy, clean = (build("mzsr:1", Options(stored))(lr, Degradation(BLUR, noise=noise)) for noise in (0.01, 0.0))
    close(noisy, clean, 0)


@pytest.mark.parametrize("name", ["bicubic", "nearest", "blind"])
def test_at_scale_1_there_is_a_blur_alone_to_undo(name):
    with pytest.raises(registry.NoWeights, match=f"{name} enlarges, and at scale 1 there is a blur alone"):
        build(name, Options(scale=1))
