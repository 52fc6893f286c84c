import pytest
import torch
from helpers import close
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mzsr_lib.drawing import diagrams, style
from mzsr_lib.imaging import degradation, kernels


def drawn(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def words(figure):
    return [text.get_text() for text in figure.texts]


def test_a_row_for_each_stage_and_the_unknown_picture_is_not_drawn():
    hr = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    figure = diagrams.data_flow(hr, "gani_d")
    assert [picture.shape[:2] for picture in drawn(figure)] == [
        *[(48, 64), (24, 32)] * 2,
        *[(48, 64), (24, 32), (12, 16)],
        *[(24, 32), (12, 16)],  # at test time the sharp picture is what nobody has
    ]
    assert [words(figure).count(stage.name) for stage in diagrams.STAGES] == [1, 1, 1, 1]


def test_the_pictures_are_those_of_the_cameras():
    hr = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    bicubic, own = (degradation.from_setting(kernels.named()[name]) for name in ("bicubic", "g2.0d"))
    shown = drawn(diagrams.data_flow(hr, "g2.0d"))
    for place, picture in {1: bicubic(hr), 3: own(hr), 6: own(own(hr))}.items():
        close(torch.tensor(shown[place]), picture[0].permute(1, 2, 0), 1e-6)


def test_a_long_run_shares_each_step_and_takes_the_one_that_was_killed_again():
    figure = diagrams.long_run()
    (axes,) = figure.axes
    tasks = [text.get_text() for text in axes.texts]
    assert [tasks.count(f"task {number}") for number in range(3)] == [5, 5, 5]
    said = words(figure)
    assert [said.count(f"outer step {number}") for number in (1, 2, 3, 4)] == [1, 1, 2, 1]
    assert (said.count("checkpoint"), said.count("killed"), said.count("sum")) == (2, 1, 4)


@pytest.mark.parametrize("draw", [lambda: diagrams.data_flow(torch.rand(1, 3, 48, 48)), diagrams.long_run])
def test_nothing_lies_outside_the_sheet(draw):
    figure = draw()
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.get_size_inches() * style.DPI
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text.get_text()
