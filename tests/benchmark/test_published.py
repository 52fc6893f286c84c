"""The paper's numbers: a few typed in again by hand, and what all of them must obey."""

import pytest

from mzsr_lib.benchmark import published


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (("Set5", "g2.0d", 2, "Bicubic", 0), (28.73, 0.8449)),
        (("set5", "g2.0d", 2, "mzsr", 10), (36.05, 0.9439)),
        (("set-5", "gani-d", 2, "bicubic", 0), (28.15, 0.8265)),
        (("BSD100", "gani_d", 2, "bicubic", 0), (26.00, 0.6891)),
        (("urban100", "bicubic", 2, "rcan", 0), (33.30, 0.9376)),
        (("set5", "g2.0d", 4, "mzsr", 1), (30.20, 0.8655)),
        (("set5", "g0.2d", 2, "zssr", None), (34.29, 0.9373)),
    ],
)
def test_values_of_tables_1_to_3(setting, expected):
    assert published.lookup(*setting) == expected


@pytest.mark.parametrize(
    "setting",
    [
        ("set5", "g2.0d", 2, "mzsr", 2),
        ("set5", "g2.0d", 3, "bicubic", 0),
        ("set5", "g0.2d", 2, "zssr", 0),
        ("set14", "g2.0d", 2, "bicubic", 0),
        ("set5", "4.0,1.0,-0.5", 2, "bicubic", 0),
    ],
)
def test_what_the_paper_does_not_print(setting):
    assert published.lookup(*setting) is None


def test_every_cell_is_plausible():
    cells = published.tables()
    assert len({key[:3] for key in cells}) == 3 * (5 + 1)
    for value in cells.values():
        assert 15 < value.psnr < 45
        assert 0.5 < value.ssim < 1


def test_bicubic_is_printed_for_every_setting():
    cells = published.tables()
    assert all((*key[:3], "bicubic", 0) in cells for key in cells)


def test_updates_of_figure_3():
    curves = published.updates()
    assert curves["g2.0d", "MZSR"] == {0: 15.7, 1: 35.2, 10: 36.0}
    assert {kernel for kernel, _ in curves} == {"g0.2d", "g2.0d", "gani_d"}
