"""What is told of a photograph is what was found and how sure that is, and no blur when it is not sure."""

import re

import pytest
import torch
from helpers import close, picture

import mzsr_lib
from mzsr_lib.benchmark import datasets
from mzsr_lib.files import InputError
from mzsr_lib.imaging import cameras, images, kernel_files
from mzsr_lib.imaging.compression import compression
from mzsr_lib.imaging.degradation import Degradation, from_setting
from mzsr_lib.imaging.kernels import covariance, gaussian_kernel, moments
from mzsr_lib.methods import guesses
from mzsr_lib.methods.guesses import Guess
from mzsr_lib.models import weights
from mzsr_lib.models.estimator import FINE, Estimator, Finding
from mzsr_lib.models.unfolded import Unfolded
from mzsr_lib.runtime import generator_for

COV = covariance(0.5, 0.3, 0.4)
LR = picture(44, 40)


def found(spread: float, scale: int = 2, noise: float = 0.01) -> Guess:
    return Guess(Finding(COV, gaussian_kernel(FINE**2 * COV, 15), noise, spread, 0.2), scale)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Tiny weights of an estimator and of the method photo, as if they were shipped."""
    for name, network, method in (
        ("e", Estimator(4, generator=generator_for(0)), guesses.METHOD),
        ("p", Unfolded(4, 2, 1, generator=generator_for(0)), "photo"),
        ("u", Unfolded(4, 2, 1, generator=generator_for(1)), "unfolded"),
    ):
        facts = {"scales": [2], "method": method, "input": {"kind": "none"}}
        weights.save(tmp_path / f"{name}.safetensors", network, dict(network.named_parameters()), facts)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    guesses._estimator.cache_clear()
    yield
    guesses._estimator.cache_clear()


def test_a_sure_guess_is_told_in_px_of_the_result():
    told = found(0.0, scale=3).degradation
    assert (told.scale, told.mode, told.noise) == (3, "bicubic", 0.01)
    close(moments(told.kernel)[1], 9 * COV, 0.05)


def test_the_doubt_is_told_too():
    assert [found(spread).degradation.doubt for spread in (0.1, 0.3)] == pytest.approx([0.02**0.5, 0.35])


def test_a_guess_that_is_not_trusted_is_none():
    told = found(2 * guesses.DOUBTFUL)
    close(moments(told.degradation.kernel)[1], torch.zeros(2, 2), 0.01)
    assert "cannot be told" in told.sentence
    assert "1.4 x 1.1 px" in found(0.0).sentence and "2.6 grey levels" in found(0.0).sentence


def test_the_kernel_to_write_for_a_guess_is_the_one_that_is_told():
    guessed = found(0.0)
    text, mode = re.search(r"--method photo --kernel (\S+) --mode (\w+)", guessed.sentence).groups()
    told = from_setting(kernel_files.parse(text), guessed.scale, mode)
    close(moments(told.kernel)[1], moments(guessed.degradation.kernel)[1], 0.02)


def test_of_a_picture_without_texture_no_blur_is_told():
    ramp = torch.linspace(0.4, 0.5, 60).expand(1, 3, 60, 60)
    for flat in (torch.full((1, 3, 60, 60), 0.5), images.round_to_8_bits(ramp)):
        told = guesses.guess(flat, 2)
        assert not told.trusted and "cannot be told" in told.sentence
        assert "picture does not tell: 1.41 px are taken" in guesses.reconciled(round_blur(2.0), told)[1]


def test_without_a_kernel_a_photograph_is_guessed_and_said(shipped):
    said = []
    sr = mzsr_lib.upscale(LR, say=said.append, device="cpu")
    assert sr.shape == (1, 3, 88, 80)
    assert len(said) == 1 and "grey levels" in said[0]
    close(mzsr_lib.upscale(LR, "estimate", device="cpu", say=said.append), sr, 0)


def test_a_picture_that_was_a_jpeg_has_at_least_the_disturbance_of_its_compression(shipped):
    clean = Degradation(torch.ones(1, 1), 2, "bicubic")(datasets.example("chelsea")[..., :256, :256])
    for quality in (60, 90):
        compressed = cameras.jpeg(clean, quality)
        told = guesses.guess(compressed, 2)
        assert told.quality == quality and f"a JPEG of quality {quality}" in told.sentence
        assert told.finding.noise >= compression(compressed).disturbance
    assert guesses.guess(clean, 2).quality is None and "JPEG" not in guesses.guess(clean, 2).sentence


def round_blur(variance: float, mode="direct") -> Degradation:
    return Degradation(gaussian_kernel(covariance(variance, variance, 0.0), guesses.told_size(2)), 2, mode)


def seen(variance: float, spread: float, noise: float = 0.01) -> Guess:
    """Return a guess whose blur has a variance in px^2 of the result, and an error that is expected of its width."""
    cov = torch.eye(2) * variance / 4
    return Guess(Finding(cov, gaussian_kernel(FINE**2 * cov, 15), noise, spread / 2**0.5, 0.1), 2)


@pytest.mark.parametrize("mode", ["direct", "bicubic"])
def test_a_width_that_is_told_moves_to_the_one_that_is_found_by_how_sure_each_is(mode):
    told = round_blur(2.0, mode)
    between, sentence = guesses.reconciled(told, seen(3.0, guesses.TOLD_SPREAD))
    assert moments(between.kernel)[1].diagonal() == pytest.approx([6**0.5] * 2, rel=0.02)  # half-way, in its log
    assert between.doubt == pytest.approx(guesses.TOLD_SPREAD / 2**0.5)
    assert between.mode == mode and "1.41 px wide as you say" in sentence and "2.6 grey levels" in sentence
    close(guesses.reconciled(told, seen(3.0, 1e-4))[0].kernel, round_blur(3.0).kernel, 1e-3)
    close(guesses.reconciled(told, seen(3.0, 1e4))[0].kernel, told.kernel, 1e-3)


def test_what_is_no_gaussian_and_what_is_hardly_a_blur_is_told_as_it_is():
    box, sharp = torch.ones(5, 5) / 25, torch.zeros(3, 3)
    sharp[1, 1] = 1
    moved = torch.roll(round_blur(2.0).kernel, 1, 0)
    for kernel in (box, sharp, moved):
        given = Degradation(kernel, 2)
        kept, sentence = guesses.reconciled(given, seen(3.0, 0.1))
        assert kept is given and sentence.startswith("The picture has")


def test_noise_that_is_told_is_not_said_to_be_found(shipped):
    said = []
    mzsr_lib.upscale(LR, noise=7.0, device="cpu", say=said.append)
    mzsr_lib.upscale(LR, "g2.0d", method="photo", noise=7.0, device="cpu", say=said.append)
    assert all("noise of 7.0 grey levels, as you say" in sentence for sentence in said) and len(said) == 2


def test_a_kernel_and_a_noise_that_are_told_serve_pictures_in_which_nothing_can_be_found(shipped):
    small, said = picture(20, 40), []
    quiet, loud = (
        mzsr_lib.upscale(small, "g2.0d", method="photo", noise=n, device="cpu", say=said.append) for n in (0, 9)
    )
    assert not said
    assert (quiet - loud).abs().max() > 1e-3
    close(mzsr_lib.upscale(small, "g2.0d", method="photo", device="cpu"), quiet, 0)
    mzsr_lib.upscale(LR, "g2.0d", method="photo", device="cpu", say=said.append)
    assert len(said) == 1


def test_beside_a_known_kernel_noise_is_told_when_there_is_some(shipped, monkeypatch):
    def run(**words) -> tuple[torch.Tensor, list[str]]:
        said = []
        return mzsr_lib.upscale(LR, "g2.0d", method="unfolded", device="cpu", say=said.append, **words), said

    for grey, sentences in ((guesses.CLEAN - 0.1, 0), (7.0, 1)):
        monkeypatch.setattr(guesses, "guess", lambda lr, scale, grey=grey: seen(2.0, 0.1, grey / 255))
        found, said = run()
        assert len(said) == sentences
        close(found, run(noise=grey * bool(sentences))[0], 0)
    assert "7.0 grey levels" in said[0] and (found - run(noise=0.0)[0]).abs().max() > 1e-3
    small = picture(20, 40)  # nothing can be found in it, and nothing needs to be
    assert mzsr_lib.upscale(small, "g2.0d", method="unfolded", device="cpu").shape == (1, 3, 40, 80)


@pytest.mark.parametrize(
    ("given", "words", "sentence"),
    [
        (picture(20, 40), {}, "40 x 20 px, and how it is blurred can be found only from 24"),
        (LR, {"scale": 3}, "No weights for photo at scale 3"),
        (LR, {"noise": -1.0}, "a number from 0 to 255"),
        (LR, {"noise": 300.0}, "a number from 0 to 255"),
        (LR, {"noise": 3.0, "kernel": "g2.0d", "method": "bicubic"}, "take --method unfolded or photo"),
    ],
)
def test_what_cannot_be_guessed_is_refused(shipped, given, words, sentence):
    with pytest.raises(InputError, match=sentence):
        mzsr_lib.upscale(given, device="cpu", **words)
