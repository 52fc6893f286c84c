"""The charts of the results: what is drawn is what the rows say, and the words can be read."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from helpers import benchmark, close, picture

from mzsr_lib import files
from mzsr_lib.benchmark import datasets, published
from mzsr_lib.drawing import charts, labels, showcase, style
from mzsr_lib.files import InputError
from mzsr_lib.imaging import picture_files
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.methods import registry
from mzsr_lib.models import weights

ROOT = Path(__file__).resolve().parents[2]


def line(axes, label: str):
    """The one line with a label."""
    (found,) = [one for one in axes.lines if one.get_label() == label]
    return found.get_xydata().tolist()


def words(axes) -> set[str]:
    """What is written beside lines and points."""
    return {text.get_text() for text in axes.texts}


def crossings(axes) -> list[tuple[str, str]]:
    """Pairs of words that cover each other."""
    boxes = [(text.get_text(), labels.extent(text)) for text in axes.texts]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def curve_rows(starts=("MZSR", "ZSSR"), kernels=("g2.0d",)):
    """Two pictures, after 0, 1 and 10 updates; their mean is 30 + updates / 10 + number of the start."""
    return [
        {"dataset": "set5", "kernel": kernel, "image": image, "start": start, "steps": steps, "psnr": psnr}
        for kernel in kernels
        for number, start in enumerate(starts)
        for steps in (10, 0, 1)
        for image, psnr in (("a", 29 + steps / 10 + number), ("b", 31 + steps / 10 + number))
    ]


def test_updates_draws_the_means_and_the_papers_points(tmp_path):
    files.write_rows(tmp_path / "rows.csv", curve_rows())
    axes = charts.updates(tmp_path / "rows.csv").axes[0]
    close(line(axes, "MZSR"), [[0, 30], [1, 30.1], [10, 31]], 1e-9)
    close(line(axes, "ZSSR"), [[0, 31], [1, 31.1], [10, 32]], 1e-9)
    printed = published.updates()["g2.0d", "MZSR"]
    assert line(axes, "paper: MZSR") == [[1, printed[1]], [10, printed[10]]]
    assert printed[0] < axes.get_ylim()[0]  # below the chart, and therefore said in words
    assert f"paper's MZSR at 0: {printed[0]:g} dB \u2193" in words(axes)


def test_updates_has_a_panel_for_each_kernel_there_is(tmp_path):
    files.write_rows(tmp_path / "rows.csv", curve_rows(kernels=("gani_d", "g0.2d")))
    figure = charts.updates(tmp_path / "rows.csv")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["kernel g0.2d", "kernel gani_d"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "MZSR-plus" not in words(figure.axes[-1])


def test_a_start_that_the_paper_has_not_is_drawn_too(tmp_path):
    files.write_rows(tmp_path / "rows.csv", curve_rows(starts=("something new",)))
    axes = charts.updates(tmp_path / "rows.csv").axes[0]
    assert [one.get_label() for one in axes.lines] == ["something new"]
    assert words(axes) == {"something new"}


def test_titles_beside_the_charts_end_inside_the_figure(tmp_path):
    files.write_rows(tmp_path / "rows.csv", curve_rows(starts=list(charts.STARTS)))
    figure = charts.updates(tmp_path / "rows.csv")
    titles = [one for axes in figure.axes for one in axes.texts if one.xyann == (20, 0)]
    assert {" ".join(one.get_text().split()) for one in titles} == set(charts.STARTS)
    assert all(labels.extent(one).x1 <= figure.bbox.x1 for one in titles)


def error_rows():
    """A flat method, and one whose PSNR falls by 1 dB for 10 per cent."""
    base = {"dataset": "set14", "size": "192", "image": "a", "sweep": "width", "steps": "0", "weights": ""}
    told = [{**base, "error": e, "method": "mzsr-plus", "psnr": 32 - abs(e) / 10} for e in (10, -10, 0)]
    return [{**base, "error": "", "method": "bicubic", "psnr": 28.5}, *told]


def test_kernel_error_draws_lines_by_the_error_and_flat_ones_without(tmp_path):
    files.write_rows(tmp_path / "rows.csv", error_rows())
    (axes,) = charts.kernel_error(tmp_path / "rows.csv").axes
    assert line(axes, "MZSR-plus") == [[-10, 31], [0, 32], [10, 31]]
    assert line(axes, "Bicubic") == [[-10, 28.5], [10, 28.5]]
    assert words(axes) == {"MZSR-plus", "Bicubic"}


def test_kernel_error_of_nothing_but_flat_lines_is_refused(tmp_path):
    files.write_rows(tmp_path / "rows.csv", error_rows()[:1])
    with pytest.raises(InputError, match="no row of a method that is told a kernel"):
        charts.kernel_error(tmp_path / "rows.csv")


def timed_rows(**points):
    """Rows of two pictures with the means given: method and updates, such as mzsr_10, by (seconds, psnr)."""
    shared = {"dataset": "set5", "kernel": "g2.0d", "scale": 2, "device": "cpu", "weights": ""}
    return [
        {**shared, "image": image, "method": name, "steps": steps, "psnr": psnr + more, "seconds": seconds + more / 100}
        for key, (seconds, psnr) in points.items()
        for name, _, steps in [key.rpartition("_")]
        for image, more in (("a", 0.5), ("b", -0.5))
    ]


def test_time_quality_draws_means_and_joins_the_updates_of_a_method(tmp_path):
    files.write_rows(tmp_path / "rows.csv", timed_rows(mzsr_10=(4, 35), bicubic_0=(0.1, 28), mzsr_0=(1, 30)))
    (axes,) = charts.time_quality(tmp_path / "rows.csv").axes
    close(line(axes, "mzsr"), [[1, 30], [4, 35]], 1e-9)
    close(line(axes, "bicubic"), [[0.1, 28]], 1e-9)
    assert axes.get_xscale() == "log"
    assert words(axes) == {"MZSR 0, 10", "Bicubic"}


def test_time_quality_says_in_words_how_low_a_start_is_that_would_press_the_rest_together(tmp_path):
    files.write_rows(tmp_path / "rows.csv", timed_rows(mzsr_0=(1, 20), mzsr_10=(4, 35), bicubic_0=(0.1, 28)))
    (axes,) = charts.time_quality(tmp_path / "rows.csv").axes
    assert 26 < axes.get_ylim()[0] < 28
    assert words(axes) == {"MZSR 0, 10", "MZSR 0: 20.0 dB \u2193", "Bicubic"}
    assert not crossings(axes)


def test_time_quality_draws_a_methods_own_weights_and_others_only_where_there_are_none(tmp_path):
    own = [{**row, "weights": "mzsr-x2"} for row in timed_rows(mzsr_10=(4, 35))]
    others = [{**row, "weights": "mzsr-plus-multi"} for row in timed_rows(mzsr_10=(5, 34), blind_0=(1, 33))]
    files.write_rows(tmp_path / "rows.csv", own + others)
    (axes,) = charts.time_quality(tmp_path / "rows.csv").axes
    assert words(axes) == {"MZSR 10", "Blind (multi)"}
    close(line(axes, "mzsr"), [[4, 35]], 1e-9)


def test_the_stored_time_quality_can_be_read():
    for axes in charts.time_quality(ROOT / "results" / "rows.csv").axes:
        assert not crossings(axes)
        dots = [axes.transData.transform(point) for one in axes.lines for point in one.get_xydata()]
        assert not [text.get_text() for text in axes.texts for dot in dots if labels.extent(text).contains(*dot)]


def test_time_quality_leaves_out_what_is_unfinished_or_of_another_device(tmp_path):
    rows = timed_rows(mzsr_0=(1, 30), zssr_3000=(90, 33), bicubic_0=(0.1, 28))
    rows = [row for row in rows if (row["method"], row["image"]) != ("zssr", "b")]
    rows += [{**rows[0], "device": "cuda", "psnr": 99}]
    files.write_rows(tmp_path / "rows.csv", rows)
    (axes,) = charts.time_quality(tmp_path / "rows.csv").axes
    assert words(axes) == {"MZSR 0", "Bicubic"}
    close(line(axes, "mzsr"), [[1, 30]], 1e-9)


def test_titles_of_many_points_cover_neither_each_other_nor_a_point(tmp_path):
    points = {f"method{n}_0": (0.2 * 1.4**n, 30 + (n % 3) * 0.3) for n in range(12)}
    files.write_rows(tmp_path / "rows.csv", timed_rows(**points, mzsr_0=(40, 36)))
    (axes,) = charts.time_quality(tmp_path / "rows.csv").axes
    assert len(words(axes)) == 13
    assert not crossings(axes)
    dots = [axes.transData.transform(point) for one in axes.lines for point in one.get_xydata()]
    assert not [text.get_text() for text in axes.texts for dot in dots if labels.extent(text).contains(*dot)]


def test_titles_beside_lines_are_moved_apart(tmp_path):
    starts = ("MZSR", "MZSR-plus", "ZSSR", "pre-trained on bicubic")
    rows = [{**row, "psnr": 30 + int(row["steps"]) / 2} for row in curve_rows(starts)]  # all lines the same
    files.write_rows(tmp_path / "rows.csv", rows)
    axes = charts.updates(tmp_path / "rows.csv").axes[0]
    assert set(starts) <= words(axes)
    assert not crossings(axes)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([0, 5], [0, 5]),
        ([0, 0, 9], [-1, 1, 9]),
        ([0, 1.5, 3], [-0.5, 1.5, 3.5]),
        ([4, 4, 4, 4], [1, 3, 5, 7]),
    ],
)
def test_spread_moves_as_little_as_it_can(places, expected):
    close(labels.spread(places, [2.0] * len(places)), expected, 1e-9)


def test_spread_keeps_order_distance_and_what_is_free():
    generator = np.random.default_rng(0)
    for _ in range(50):
        places, sizes = np.sort(generator.uniform(0, 20, 9)), generator.uniform(0.5, 3, 9)
        moved = np.array(labels.spread(places.tolist(), sizes.tolist()))
        assert (np.diff(moved) >= (sizes[1:] + sizes[:-1]) / 2 - 1e-9).all()
        close(moved.mean(), places.mean(), 3)


@pytest.mark.parametrize("draw", [charts.updates, charts.kernel_error, charts.time_quality])
def test_a_file_that_cannot_be_drawn_is_refused(draw, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        draw(tmp_path / "missing.csv")
    (tmp_path / "rows.csv").write_text("dataset,kernel\n")
    with pytest.raises(InputError, match="holds no rows"):
        draw(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("dataset,kernel\nset5,g2.0d\n")
    with pytest.raises(InputError, match="has no column"):
        draw(tmp_path / "rows.csv")


def test_other_kernels_than_those_of_the_panels_are_refused(tmp_path):
    files.write_rows(tmp_path / "rows.csv", timed_rows(mzsr_0=(1, 30)))
    with pytest.raises(InputError, match=r"no rows of set5 g0\.2d on the cpu"):
        charts.time_quality(tmp_path / "rows.csv", panels=[("set5", "g0.2d")])


def test_both_files_of_a_figure_are_the_same_every_time(tmp_path):
    files.write_rows(tmp_path / "rows.csv", curve_rows())
    for name in ("a", "b"):
        style.save_both(charts.updates(tmp_path / "rows.csv"), tmp_path / name)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()
    assert (tmp_path / "a.svg").stat().st_size < 400_000


# The comparison of crops.

SCENE = showcase.Scene("chelsea", "g2.0d", (11, 7, 21))


@pytest.fixture
def small_example(monkeypatch):
    """A small picture instead of the embedded ones."""
    monkeypatch.setattr(datasets, "example", lambda name: picture(64, 50))


def measured(folder, *names) -> list[int]:
    """Measure methods that return the bicubic picture a little darker; tell how often each was called."""
    calls = []

    def method(number, name):
        def run(lr, camera):
            calls.append(number)
            return registry.build("bicubic")(lr, camera) * (1 - 0.1 * number)

        return registry.Method(name, registry.at_once(run))

    benchmark("comparison").measure(folder, [method(number, name) for number, name in enumerate(names)], [SCENE])
    return calls


def test_a_comparison_is_measured_once_and_holds_the_crop(tmp_path, small_example):
    assert measured(tmp_path, "bicubic", "other") == [0, 1]
    assert measured(tmp_path, "bicubic", "other", "third") == [2]
    rows = files.read_rows(tmp_path / "scores.csv")
    assert [row["method"] for row in rows] == ["bicubic", "other", "third"]
    assert float(rows[0]["psnr"]) > float(rows[1]["psnr"]) > float(rows[2]["psnr"])
    assert all({"weights", "device", "commit", "seed", "date"} <= row.keys() for row in rows)
    assert picture_files.load(tmp_path / rows[0]["file"]).shape == (1, 3, 21, 21)


def test_a_comparison_shows_the_crops_as_they_are(tmp_path, small_example):
    measured(tmp_path, "bicubic", "other")
    figure = showcase.comparison(tmp_path)
    whole, inset, original, *crops = [axes.images[0].get_array() for axes in figure.axes]
    assert whole.shape[:2] == (64, 50)
    assert inset.shape == (21, 21)
    close(original, picture(64, 50)[0, :, 11:32, 7:28].permute(1, 2, 0), 1e-6)
    assert len(crops) == 2
    close(crops[1], picture_files.load(tmp_path / "chelsea-g2.0d-other-0.png")[0].permute(1, 2, 0), 1e-6)
    best, other = [text for text in figure.texts if text.get_text().endswith("dB")]
    assert (best.get_weight(), other.get_weight()) == ("bold", "normal")


def test_a_comparison_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no scores\.csv"):
        showcase.comparison(tmp_path)


@pytest.mark.parametrize("crop", [(-1, 0, 5), (0, 0, 0), (60, 0, 5), (0, 46, 5)])
def test_a_crop_outside_the_picture_is_refused(crop):
    with pytest.raises(InputError, match="does not lie inside the picture of 50 x 64 px"):
        showcase.cut(picture(64, 50), crop)


def told_rows(cameras, gains):
    """Rows of two pictures: ten updates told each camera, above a blind network of 30 dB by `gains`."""
    return [
        {"kernel": true, "told": told, "image": image, "method": method, "steps": steps, "psnr": psnr + more}
        for true, line in zip(cameras, gains, strict=True)
        for told, gain in zip(cameras, line, strict=True)
        for image, psnr in (("a", 29.0), ("b", 31.0))
        for method, steps, more in (("blind", 0, 0.0), ("mzsr", 10, gain))
    ]


def test_a_wrong_kernel_is_drawn_as_what_it_brings_beside_a_network_that_is_told_nothing(tmp_path):
    gains = [[2.0, -1.0], [-0.5, 1.25]]
    files.write_rows(tmp_path / "rows.csv", told_rows(["g0.2d", "4.0,1.0,-0.5"], gains))
    figure = charts.wrong_kernel(tmp_path / "rows.csv")
    (axes,) = figure.axes
    close(axes.images[0].get_array(), gains, 1e-9)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["g0.2d", "4, 1\n-0.5 rad"]


@pytest.mark.parametrize("missing", [{"method": "blind"}, {"told": "bicubic", "kernel": "bicubic"}])
def test_a_wrong_kernel_needs_every_pair_and_the_rival(tmp_path, missing):
    rows = told_rows(["g0.2d", "bicubic"], [[1.0, 0.0], [0.0, 1.0]])
    files.write_rows(tmp_path / "rows.csv", [each for each in rows if not missing.items() <= each.items()])
    with pytest.raises(InputError, match="lacks blind, a pair of kernels"):
        charts.wrong_kernel(tmp_path / "rows.csv")


# What the benchmarks measure.


def test_an_adaptation_is_scored_before_and_after_each_update():
    program, camera = benchmark("updates_curve"), from_setting(benchmark("kernel_error").told("width", 0))
    lr = picture(44, 46)
    found = dict(program.adapted(weights.load("mzsr-x2"), 2)(lr, camera))
    assert list(found) == [0, 1, 2]
    for steps in (0, 2):
        close(found[steps], registry.build(f"mzsr:{steps}")(lr, camera), 1e-5)


def test_a_wrong_kernel_is_wider_or_turned_and_right_without_error():
    program = benchmark("kernel_error")
    from mzsr_lib.imaging import kernels

    close(program.told("width", 0).kernel, kernels.named()["g2.0d"].kernel, 1e-6)
    close(program.told("angle", 0).kernel, kernels.named()["gani_d"].kernel, 1e-6)
    deviation = kernels.moments(program.told("width", -20).kernel)[1].diagonal().sqrt()
    close(deviation, [0.8 * 2**0.5] * 2, 1e-3)
    values = [np.linalg.eigh(kernels.moments(program.told("angle", e).kernel)[1])[1][:, 1] for e in (0, 60)]
    close(abs(values[0] @ values[1]), np.cos(np.pi / 3), 0.02)


def test_the_curves_are_those_of_the_shipped_weights():
    rows = files.read_rows(ROOT / "results" / "curves" / "updates_set5.csv")
    found = {(row["weights"], row["weights_hash"]) for row in rows if row["weights"] in weights.shipped()}
    assert found == {(name, weights.fingerprint(name)) for name, _ in found}, "run benchmarks/updates_curve.py again"


def test_photographs_are_drawn_as_what_methods_bring_beside_bicubic(tmp_path):
    rows = [
        {"treatment": treatment, "image": image, "method": method, "psnr": psnr}
        for treatment, more in (("area", 1.5), ("motion 7", -0.5))
        for image, ground in (("a", 28.0), ("b", 30.0))
        for method, psnr in (("bicubic", ground), ("photo", ground + more))
    ]
    files.write_rows(tmp_path / "rows.csv", rows)
    (axes,) = charts.photographs(tmp_path / "rows.csv").axes
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_label() == "photo"]
    close(line.get_xdata(), [1.5, -0.5], 1e-9)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["area", "motion 7"]
    files.write_rows(tmp_path / "rows.csv", [row for row in rows if row["method"] == "photo"])
    with pytest.raises(InputError, match="no rows of bicubic"):
        charts.photographs(tmp_path / "rows.csv")
