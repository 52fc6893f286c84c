"""What JPEG has done: the steps of libjpeg, its quality from the pixels alone, and how much it disturbs."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mzsr_lib.benchmark import datasets
from mzsr_lib.imaging import cameras, compression, degradation, kernels

BICUBIC = degradation.from_setting(kernels.named()["bicubic"])


def small(name: str = "chelsea", side: int = 256):
    """A picture that was never compressed as it is: made smaller first."""
    return BICUBIC(datasets.example(name)[..., :side, :side])


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 99, 100])
def test_the_steps_are_those_that_libjpeg_writes(quality):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, "JPEG", quality=quality)
    written = Image.open(buffer).quantization[0]
    assert compression.steps(quality).flatten().tolist() == list(written)


@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee"])
@pytest.mark.parametrize("quality", [25, 40, 62, 75, 90, 95])
def test_the_quality_is_told_by_the_pixels_with_halved_chroma_or_without(name, quality):
    for subsampled in (True, False):
        found = compression.compression(cameras.jpeg(small(name), quality, subsampled))
        assert found is not None and found.quality == quality


@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee", "rocket"])
def test_a_picture_that_was_none_is_told_so(name):
    clean = small(name)
    noisy = clean + 4 / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    for picture in (clean, noisy.clamp(0, 1), torch.rand(1, 3, 64, 64), torch.full((1, 3, 64, 64), 0.5)):
        assert compression.compression(picture) is None


@pytest.mark.parametrize("quality", [40, 75, 90])
def test_the_disturbance_is_that_of_the_compression_within_a_quarter(quality):
    clean = small("astronaut")
    compressed = cameras.jpeg(clean, quality)
    found = compression.compression(compressed)
    true = float(cameras.disturbance(compressed, clean))
    assert found is not None and found.disturbance == pytest.approx(true, rel=0.25)


@pytest.mark.parametrize("corner", [(3, 5), (0, 7), (6, 0)])
@pytest.mark.parametrize("quality", [40, 75, 95])
def test_blocks_may_begin_anywhere(corner, quality):
    compressed = cameras.jpeg(small(), quality)[..., corner[0] :, corner[1] :]
    for turned in (compressed, compressed.flip(-1)):
        found = compression.compression(turned)
        assert found is not None and found.quality == quality
    found = compression.compression(compressed.transpose(-1, -2))  # so is the table, which then is none of libjpeg's
    assert found is not None and abs(found.quality - quality) <= 2


@pytest.mark.parametrize("side", [1, 7, 24])
def test_pictures_of_few_blocks_show_nothing(side):
    assert compression.compression(cameras.jpeg(small(), 60)[..., :side, :side]) is None


# A table that does not change with the frequency, one that grows with it, and one that is no power of a common ratio.
OWN = {
    "flat": [6] * 64,
    "ramp": [int(3 + 1.5 * (i // 8 + i % 8)) for i in range(64)],
    "uneven": [5 + (7 * i) % 9 for i in range(64)],
}


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee"])
def test_tables_that_are_not_those_of_libjpeg_are_found_too(name, own):
    clean, buffer = small(name), io.BytesIO()
    values = (255 * clean[0].permute(1, 2, 0)).round().to(torch.uint8).numpy()
    Image.fromarray(values).save(buffer, "JPEG", qtables=[OWN[own], OWN[own]])
    compressed = torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1)[None].float() / 255
    found = compression.compression(compressed)
    assert found is not None
    assert found.disturbance == pytest.approx(float(cameras.disturbance(compressed, clean)), rel=0.3)


def test_a_large_picture_is_looked_at_in_part():
    compressed = cameras.jpeg(small("coffee"), 70)
    wide = compressed.repeat(1, 1, 12, 12)
    assert len(compression._coefficients(wide, compression.MOST)) <= compression.MOST
    assert compression.compression(wide).quality == 70


@pytest.mark.parametrize("shade", ["stripes", "dots", "steps"])
def test_pictures_with_few_frequencies_are_answered_too(shade):
    plane = torch.full((96, 96), 0.4)
    if shade == "stripes":
        plane[:, ::2] = 0.6
    elif shade == "dots":
        plane[4::8, 4::8] = 0.7
    else:
        plane[:, 48:] = 0.6
    compressed = cameras.jpeg(plane.expand(1, 3, -1, -1), 30)
    found = compression.compression(compressed)
    assert found is None or 0 < found.disturbance < 0.2
