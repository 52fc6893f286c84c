"""Words are in ink that can be read; lines differ for colour-blind readers too, and by their markers without colour."""

import numpy as np
import pytest
from helpers import picture
from matplotlib.text import Text
from skimage.color import deltaE_ciede2000, rgb2lab

from mzsr_lib.drawing import panels, plotting, style
from mzsr_lib.lessons import explorers
from mzsr_lib.methods.catalogue import ENTRIES

READABLE = 4.5  # contrast of text and its ground, WCAG 2.1, 1.4.3
VISIBLE = 3.0  # of a line and its ground, 1.4.11
DISTINCT = 12.0  # CIEDE2000: about 1 is the least that is seen
# What is left of linear RGB without the long or the medium cones: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, severity 1.0.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def as_seen(colours: list[str], matrix: np.ndarray) -> np.ndarray:
    """Return colours (n, 3), sRGB in [0, 1], as a reader sees them."""
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ matrix.T, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("reader", SEEN)
def test_no_two_methods_have_one_colour(reader):
    names = {colour: name for name, colour in style.COLOURS.items()}
    lab = rgb2lab(as_seen(list(names), SEEN[reader])[None])[0]
    apart = deltaE_ciede2000(lab[:, None], lab[None]) + 1000 * np.eye(len(lab))
    one, other = np.unravel_index(apart.argmin(), apart.shape)
    closest = [list(names.values())[i] for i in (one, other)]
    assert apart.min() >= DISTINCT, f"{closest} differ by {apart.min():.1f} only"


def test_the_simulation_finds_colours_that_are_one():
    def difference(reader: str) -> float:
        one, other = rgb2lab(as_seen(["#0072b2", "#8e44ad"], SEEN[reader])[None])[0]
        return float(deltaE_ciede2000(one, other))

    assert difference("all cones") > 20 > 2 > difference("deuteranopia")


def test_lines_are_seen_on_white_and_have_markers_of_their_own():
    assert [name for name, colour in style.COLOURS.items() if style.contrast(colour, "white") < VISIBLE] == []
    coloured = [entry for entry in ENTRIES.values() if entry.colour != style.INK]
    markers = [style.marker(entry.colour) for entry in coloured] + [style.marker(style.COLOURS["wrong"])]
    assert len(set(markers)) == len(markers)


def test_lines_of_no_method_are_seen_and_differ_in_brightness_or_colour_for_every_reader():
    assert all(style.contrast(colour, "white") >= VISIBLE for colour in (*style.SERIES, style.QUIET))
    for matrix in SEEN.values():
        lab = rgb2lab(as_seen(list(style.SERIES[:4]), matrix)[None])[0]
        apart = deltaE_ciede2000(lab[:, None], lab[None]) + 1000 * np.eye(len(lab))
        assert apart.min() >= DISTINCT


def test_tints_end_with_the_colour_itself_and_grow_darker():
    shades = style.tints("mzsr", 4)
    assert shades[-1] == style.COLOURS["mzsr"]
    contrasts = [style.contrast(shade, "white") for shade in shades]
    assert contrasts == sorted(contrasts)


@pytest.mark.parametrize(
    ("one", "other", "expected"), [("black", "white", 21), ("white", "white", 1), ("#767676", "white", 4.54)]
)
def test_contrast_is_that_of_the_standard(one, other, expected):
    assert style.contrast(one, other) == style.contrast(other, one) == pytest.approx(expected, abs=0.005)


def figures():
    """One figure of each kind that writes titles, with every method in it."""
    titles = [entry.title for entry in ENTRIES.values()] + ["original"]
    shown = {title: picture() for title in titles}
    rows = {title: [{"steps": n, "psnr": 30 + n} for n in (0, 1)] for title in titles}
    yield panels.gallery(shown, dict.fromkeys(shown, "30.0 dB"))
    yield plotting.comparison(shown, dict.fromkeys(shown, "30.0 dB"), (0, 0, 9))
    yield plotting.updates(rows)
    face = picture(48, 48)
    yield from (explorers.KernelExplorer(face).figure, explorers.DegradationExplorer(face).figure)


def test_every_word_can_be_read():
    for figure in figures():
        words = [text for text in figure.findobj(Text) if text.get_text()]
        assert words
        pale = [text.get_text() for text in words if style.contrast(text.get_color(), "white") < READABLE]
        assert pale == []


def test_words_can_be_read_on_any_ground():
    grounds = [f"#{v:02x}{v:02x}{v:02x}" for v in range(256)]
    assert all(style.contrast(style.ink_on(ground), ground) >= READABLE for ground in grounds)
