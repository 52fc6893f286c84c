"""Figures: the pixels drawn are the values given, the bytes stay the same, and nothing is left behind."""

import io
import json
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import picture
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from PIL import Image

from mzsr_lib.drawing import panels, plotting, style
from mzsr_lib.files import InputError
from mzsr_lib.imaging import kernels
from mzsr_lib.methods.catalogue import ENTRIES

CROP = (4, 6, 15)


def pixels(figure) -> np.ndarray:
    """What a figure looks like: (H, W, 3), 8 bits."""
    return np.asarray(Image.open(io.BytesIO(style.png(figure))).convert("RGB"))


def compared(count: int = 3, **arguments):
    shown = {f"method {i}": picture(seed=i) for i in range(count)}
    return shown, plotting.comparison(shown, {"method 1": "20.0 dB"}, CROP, **arguments)


@pytest.fixture
def write_log(tmp_path):
    def write(lines):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def meta_lines(count: int = 6):
    for i in range(1, count + 1):
        line = {"step": 10 * i, "seconds": 3.0 * i, "rate": 1e-4, "loss": 0.1, "steps_per_second": 3.3}
        line |= {"support_loss": 0.03 / i, "query_loss": 0.02 / i, "skipped": 0}
        yield line | ({"psnr_0": 30 + i, "psnr_1": 31 + i, "psnr_10": 32 + i, "score": 31.5} if i % 2 == 0 else {})


@pytest.mark.parametrize("value", [0.0, 0.25, 0.4, 1.0])
def test_the_pixel_drawn_is_the_value_given(value):
    flat = torch.full((1, 3, 20, 24), value)
    figure = plotting.comparison({"flat": flat}, {}, (2, 3, 10))
    drawn = pixels(figure)
    axes = figure.axes[1].get_position()
    height, width = drawn.shape[:2]
    middle = drawn[round(height * (1 - (axes.y0 + axes.y1) / 2)), round(width * (axes.x0 + axes.x1) / 2)]
    assert abs(middle.astype(int) - round(255 * value)).max() <= 1


def test_each_pixel_of_a_crop_is_a_square_of_its_own_colour():
    shown, figure = compared(2)
    top, left, size = CROP
    factor, drawn = plotting.ZOOM // size, pixels(figure)
    for axes, image in zip(figure.axes[1:], shown.values(), strict=True):
        box = axes.get_position()
        y, x = round(drawn.shape[0] * (1 - box.y1)), round(drawn.shape[1] * box.x0)
        tile = drawn[y : y + size * factor, x : x + size * factor]
        expected = image[0, :, top : top + size, left : left + size].permute(1, 2, 0).numpy() * 255
        for offset in (1, factor // 2, factor - 2):
            assert np.abs(tile[offset::factor, offset::factor] - expected).max() <= 1


def test_a_low_resolution_picture_shows_the_same_part():
    hr = picture(24, 32)
    lr = hr[..., ::2, ::2]
    figure = plotting.comparison({"hr": hr, "lr": lr}, {}, (4, 6, 12))
    assert figure.axes[2].get_xlim() == figure.axes[1].get_xlim() == (6, 18)
    assert figure.axes[2].images[0].get_extent() == [0, 32, 24, 0]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
def test_everything_lies_inside_the_figure(count):
    _, figure = compared(count, kernel=kernels.named()["g2.0d"].kernel)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == count + 2
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= 1 and b.y1 <= 1 for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert figure.get_size_inches()[0] * style.DPI <= 1150


def test_the_crop_is_marked_at_its_place():
    _, figure = compared()
    marks = figure.axes[0].patches
    assert {(m.get_x(), m.get_y(), m.get_width(), m.get_height()) for m in marks} == {(6, 4, 15, 15)}


@pytest.mark.parametrize("crop", [(-1, 0, 5), (0, 0, 0), (30, 0, 15), (0, 30, 15)])
def test_a_crop_outside_the_picture_is_refused(crop):
    with pytest.raises(InputError, match="does not lie inside the picture of 31 x 37 px"):
        plotting.comparison({"a": picture()}, {}, crop)


def test_a_method_has_one_colour_under_its_name_and_its_title():
    for name, entry in ENTRIES.items():
        assert style.colour(name) == style.colour(entry.title) == style.colour(entry.title.lower()) == entry.colour
    assert style.colour("original") == style.colour("MZSR, 10 updates") == style.INK
    chosen = [colour for colour in style.COLOURS.values() if colour != style.INK]
    assert len(set(chosen)) == len(chosen)


def test_a_title_has_a_line_of_the_colour_that_is_chosen_for_it():
    colours = {"MZSR, 10 updates": style.COLOURS["mzsr"]}
    rows = {"MZSR, 10 updates": [{"steps": 0, "psnr": 30}], "bicubic": [{"steps": 0, "psnr": 29}]}
    drawn = [line.get_color() for line in plotting.updates(rows, colours=colours).axes[0].lines]
    assert drawn == [style.COLOURS["mzsr"], style.COLOURS["bicubic"]]
    for figure in (
        plotting.comparison(
            {"original": picture(), **dict.fromkeys(colours, picture())}, {}, (0, 0, 9), colours=colours
        ),
        panels.gallery(dict.fromkeys(colours, picture()), colours=colours),
    ):
        found = {text.get_text(): text.get_color() for text in figure.texts}
        assert found["MZSR, 10 updates"] == style.INK
        assert [line.get_color() for line in figure.artists] == [style.COLOURS["mzsr"]]


def test_kernels_share_one_grid_and_begin_at_zero():
    settings = kernels.named()
    figure = plotting.kernel({name: setting.kernel for name, setting in settings.items()})
    drawn = [axes.images[0] for axes in figure.axes]
    assert {image.get_array().shape for image in drawn} == {(21, 21)}
    assert all(image.get_clim()[0] == 0 for image in drawn)
    assert drawn[-1].get_array()[10, 10] == 1  # the kernel of plain bicubic, a single pixel, in the middle


def test_psnr_against_updates_is_drawn_as_it_is():
    rows = [{"steps": "10", "psnr": "35.2"}, {"steps": 0, "psnr": 34.9}]
    axes = plotting.updates({"MZSR": rows, "bicubic": [{"steps": 0, "psnr": 29}, {"steps": 10, "psnr": 29}]}).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0, 34.9], [10, 35.2]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["MZSR", "bicubic"]


def test_differences_stand_on_the_line_of_their_cell():
    cell = {"dataset": "Set5", "kernel": "g2.0d", "method": "mzsr", "steps": 1, "difference": -0.5}
    cells = [cell, {**cell, "steps": 10, "difference": 0.25}, {**cell, "kernel": "gani_d", "steps": 10}]
    axes = plotting.differences(pd.DataFrame(cells)).axes[0]
    assert [line.get_xydata().tolist() for line in axes.lines[1:]] == [[[-0.5, 0]], [[0.25, 0], [-0.5, 1]]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Set5  g2.0d", "Set5  gani_d"]


def test_the_curve_of_a_meta_training(write_log):
    loss, score, rate = plotting.training_curve(write_log(meta_lines())).axes[:3]
    assert [line.get_xydata()[-1].tolist() for line in loss.lines] == [[60, 0.005], [60, 0.02 / 6]]
    assert [line.get_xydata().tolist()[0] for line in score.lines] == [[20, 32], [20, 33], [20, 34]]
    assert rate.get_xlim() == (0, 60)


def test_the_curve_of_a_pre_training(write_log):
    line = {"step": 50, "seconds": 7.0, "rate": 1e-3, "loss": 0.02, "score": 32.5}
    loss, score, _ = plotting.training_curve(write_log([line])).axes[:3]
    assert loss.lines[0].get_xydata().tolist() == [[50, 0.02]]
    assert score.lines[0].get_xydata().tolist() == [[50, 32.5]]


def test_a_run_without_a_validation_yet_has_a_curve(write_log):
    figure = plotting.training_curve(write_log(list(meta_lines(1))))
    assert not figure.axes[1].lines
    assert len(style.png(figure)) > 1000


@pytest.mark.parametrize(("factor", "unit", "end"), [(1, "seconds", 18), (20, "minutes", 6)])
def test_the_time_stands_above_the_steps_in_its_unit(factor, unit, end, write_log):
    lines = [line | {"seconds": factor * line["seconds"]} for line in meta_lines()]
    figure = plotting.training_curve(write_log(lines))
    top = figure.axes[0].child_axes[0]
    assert top.get_xlabel() == unit
    style.png(figure)
    assert top.get_xlim() == pytest.approx((0, end))


@pytest.mark.parametrize("content", ["", "no JSON\n"])
def test_a_log_that_says_nothing_is_refused(tmp_path, content):
    (tmp_path / "log.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"log\.jsonl"):
        plotting.training_curve(tmp_path / "log.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        plotting.training_curve(tmp_path / "missing.jsonl")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        plotting.save(compared()[1], tmp_path / (name + suffix))
    first, second = ((tmp_path / (name + suffix)).read_bytes() for name in ("a", "b"))
    assert first == second
    assert b"Software" not in first
    assert b"<dc:date>" not in first
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_a_picture_file_has_two_pixels_a_side_for_each_that_is_shown(tmp_path):
    figure = compared()[1]
    plotting.save(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.size == tuple(np.round(figure.get_size_inches() * style.DPI * style.SHARP).astype(int))


def test_another_ending_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match=r"'\.gif'.*\.png or \.svg"):
        plotting.save(compared()[1], tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_a_notebook_gets_a_picture_and_a_text_that_stay_the_same():
    bundles = [compared()[1]._repr_mimebundle_() for _ in range(2)]
    assert bundles[0] == bundles[1]
    assert bundles[0]["image/png"].startswith(b"\x89PNG")
    assert bundles[0]["text/plain"].startswith("<")


def test_nothing_is_left_behind(tmp_path, write_log):
    before = dict(matplotlib.rcParams)
    plotting.save(compared()[1], tmp_path / "a.svg")
    style.png(plotting.training_curve(write_log(meta_lines())))
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_the_values_given_are_not_changed():
    image = picture() * 1.5 - 0.2
    copy = image.clone()
    style.png(plotting.comparison({"a": image}, {}, CROP))
    assert torch.equal(image, copy)


def test_titles_are_no_wider_than_their_pictures_and_do_not_touch_the_line_between():
    long = "wrong: told too wide"
    figure = panels.gallery({long: picture(20, 20), "MZSR": picture(20, 20)}, side=140)
    renderer = FigureCanvasAgg(figure).get_renderer()
    written = {text.get_text(): text.get_window_extent(renderer) for text in figure.texts}
    assert written[long].width <= 141
    (line,) = (artist for artist in figure.get_children() if isinstance(artist, Line2D))
    lowest = figure.get_window_extent().height * line.get_ydata()[0] - line.get_linewidth() / 72 * style.DPI / 2
    assert written["MZSR"].y1 < lowest
