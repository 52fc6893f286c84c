"""The charts of the results: each function reads one file of rows and returns the finished figure.

What a file does not hold is left out, so that a figure can be drawn while measurements are still missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes

from mzsr_lib.benchmark import measuring, published, tables
from mzsr_lib.benchmark.measuring import Rows
from mzsr_lib.benchmark.tables import DATASETS
from mzsr_lib.drawing import labels, plotting
from mzsr_lib.drawing.style import FONT_SIZE, INK, LINE, Drawing, chart, colour, legend, marker
from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue
from mzsr_lib.methods.catalogue import ENTRIES

Points = list[tuple[float, float]]

SCALE = 2  # of every figure here


class Start(NamedTuple):
    """How a starting point of `updates` is drawn: in the colour of a method, with a marker and a line."""

    method: str
    marker: str
    line: str = "-"


STARTS = {
    "MZSR-plus": Start("mzsr-plus", "P"),
    "MZSR": Start("mzsr", "o"),
    "pre-trained on all kernels": Start("blind", "s", "--"),
    "pre-trained on bicubic": Start("pretrained", "D"),
    "meta-learning without pre-training": Start("", "^"),
    "ZSSR": Start("zssr", "v"),
}
UNKNOWN = Start("", ".", ":")
# By sweep of `kernel_error`: what stands above its panel and on its axis.
SWEEPS = {
    "width": ("true kernel g2.0d, told narrower or wider", "error of the standard deviation (per cent)"),
    "angle": ("true kernel gani_d, told turned", "error of the angle (degrees)"),
}


# What makes a line or a point: its updates, agreement and weights too.
METHOD = ["method", "steps", "agree", "weights"]


def _rows(path: str | Path, columns: Iterable[str]) -> Rows:
    """Read rows that must have some columns."""
    rows = measuring.read(path, ())
    if rows.empty:
        raise InputError(f"{path} holds no rows: measure first, see results/README.md.")
    if missing := set(columns) - set(rows):
        raise InputError(f"{path} has no column {', '.join(sorted(missing))}: it is not the file of this figure.")
    return rows


def method_title(method: str, steps: int, weights: str, agree: str = "no") -> str:
    """Return what a figure calls a method: its title, its updates, and weights that are not its own (scale 2).

    The 0 of a start is named where updates are the rule.

    Examples
    --------
    >>> method_title("mzsr", 0, "mzsr-x2")
    'MZSR 0'
    """
    column = tables.column_of({"method": method, "steps": steps, "agree": agree, "weights": weights, "scale": SCALE})
    adapts = method in ENTRIES and ENTRIES[method].updates
    return column.title + (" 0" if adapts and column.steps == 0 else "")


def updates(path: str | Path) -> Drawing:
    """Draw PSNR against updates from several starting points, a panel a kernel, beside the paper's Figure 3.

    Parameters
    ----------
    path
        Rows of ``benchmarks/updates_curve.py``: kernel, start, steps, psnr (dB).

    Raises
    ------
    InputError
        If there are no such rows.
    """
    rows = _rows(path, ("dataset", "kernel", "start", "steps", "psnr"))
    means = rows.groupby(["kernel", "start", "steps"], as_index=False)["psnr"].mean()
    kernels = [kernel for kernel in ("g0.2d", "g2.0d", "gani_d") if kernel in set(means["kernel"])]
    kernels += sorted(set(means["kernel"]) - set(kernels))
    starts = sorted(set(means["start"]), key=lambda start: ([*STARTS, start].index(start), start))
    name = DATASETS.get(rows["dataset"][0], rows["dataset"][0])
    title = f"What updates at test time bring from each starting point: {name}, scale 2"
    note = "filled marks and lines: measured; open marks: the paper's Figure 3, read off the graph (\u00b10.2 dB)"
    width = max(270 * len(kernels) + 300, 800)
    figure, panels = labels.side_by_side(len(kernels), title, note, width, 430, right=235)
    bottom = means["psnr"].min() - 1
    for kernel, axes in zip(kernels, panels, strict=True):
        shades, ends = {start: _colour(start) for start in starts}, {}
        for start in starts:
            members = means[(means["kernel"] == kernel) & (means["start"] == start)]
            points: Points = list(zip(members["steps"], members["psnr"], strict=True))
            if points:
                _start(axes, start, points, published.updates().get((kernel, start), {}), bottom)
                ends[start] = points[-1]
        axes.set(xlabel="updates at test time", xticks=[0, 1, 2, 5, 10])
        axes.set_title(f"kernel {kernel}", fontsize=FONT_SIZE, loc="left")
    labels.share_heights(panels, bottom)
    labels.beside(panels[-1], ends, shades)
    return figure


def _colour(start: str) -> str:
    return colour(STARTS.get(start, UNKNOWN).method)


def _start(axes: Axes, start: str, points: Points, printed: Mapping[int, float], bottom: float) -> None:
    """Draw one starting point: the measured line, and the paper's values as open marks."""
    _, mark, line = STARTS.get(start, UNKNOWN)
    look = {"color": _colour(start), "marker": mark, "markersize": 5}
    axes.plot(*zip(*points, strict=True), linestyle=line, label=start, **look)
    inside = [(steps, psnr) for steps, psnr in printed.items() if psnr >= bottom]
    if inside:
        axes.plot(*zip(*inside, strict=True), linestyle="", markerfacecolor="none", label=f"paper: {start}", **look)
    for steps, psnr in printed.items():
        if psnr < bottom:  # too low for the axis: said in words at its lower edge
            words = f"paper's {start} at {steps}: {psnr:g} dB \u2193"
            style = {"textcoords": "offset points", "color": INK, "fontsize": FONT_SIZE}
            axes.annotate(words, (steps, bottom), xytext=(6, 4 + LINE * len(axes.texts)), **style)


def kernel_error(path: str | Path) -> Drawing:
    """Draw PSNR against the error of the kernel that a method is told, a panel a kind of error.

    Parameters
    ----------
    path
        Rows of ``benchmarks/kernel_error.py``: sweep, error (per cent or degrees; empty for a method that
        is told no kernel, drawn as a dashed line), method, steps, psnr (dB).

    Raises
    ------
    InputError
        If there are no such rows.
    """
    rows = _rows(path, ("dataset", "size", "image", "sweep", "error", "method", "steps", "weights", "psnr"))
    means = rows.groupby(["sweep", *METHOD, "error"], as_index=False, sort=False)["psnr"].mean()
    sweeps = [sweep for sweep in SWEEPS if ((means["sweep"] == sweep) & (means["error"] != "")).any()]
    if not sweeps:
        raise InputError(f"{path} holds no row of a method that is told a kernel: measure the missing cells.")
    (name, size), count = rows.loc[0, ["dataset", "size"]], rows["image"].nunique()
    note = f"means of {count} pictures of {DATASETS.get(name, name)}, the middle {size} x {size} px of each"
    title = "What it costs to be told a wrong blur kernel: direct sampling, scale 2"
    figure, panels = labels.side_by_side(len(sweeps), title, note, max(340 * len(sweeps) + 270, 680), 400, right=210)
    for sweep, axes in zip(sweeps, panels, strict=True):
        ends, shades = _told(axes, means[means["sweep"] == sweep])
        heading, xlabel = SWEEPS[sweep]
        axes.set_title(heading, fontsize=FONT_SIZE, loc="left")
        axes.set_xlabel(xlabel)
    labels.share_heights(panels)
    labels.beside(panels[-1], ends, shades)
    return figure


def wrong_kernel(path: str | Path, rival: str = "blind") -> Drawing:
    """Draw how far updates end above or below a network that is told no kernel, for every true and every told one.

    Parameters
    ----------
    path
        Rows of benchmarks/wrong_kernel.py with one method that makes updates, and the rival.
    rival
        The method that is told nothing.

    Raises
    ------
    InputError
        If a method or a pair of kernels is missing.
    """
    rows = _rows(path, ("kernel", "told", "method", "steps", "psnr"))
    updated = rows[(rows["steps"] > 0) & (rows["agree"] == "no")]
    names = list(dict.fromkeys(rows["kernel"]))
    blind = rows[rows["method"] == rival].groupby("kernel")["psnr"].mean()
    table = updated.pivot_table(values="psnr", index="kernel", columns="told").reindex(index=names, columns=names)
    gain = table.sub(blind, axis=0).reindex(index=names, columns=names)
    titles = {(row["method"], row["steps"]) for row in updated.to_dict("records")}
    if len(titles) != 1 or gain.isna().to_numpy().any():
        raise InputError(f"{path} lacks {rival}, a pair of kernels, or a single method with updates: measure them.")
    ((name, steps),) = titles
    title = f"{catalogue.title(name, steps, False)}: dB above the {rival} network, which is told nothing"
    shown = [_short(name) for name in names]
    words = ("true kernel", "kernel that is told", title)
    return plotting.heat_map(torch.tensor(gain.to_numpy()), shown, shown, *words)


def photographs(path: str | Path, base: str = "bicubic") -> Drawing:
    """Draw what methods bring on photographs of which nothing is told, beside bicubic: a line a treatment.

    Parameters
    ----------
    path
        Rows of benchmarks/photos.py.
    base
        The method that the others are compared with.

    Raises
    ------
    InputError
        If that method is missing.
    """
    gains = brought(path, base)
    figure, axes = chart(520, 18 * len(gains) + 120, left=150, top=60)
    places = range(len(gains), 0, -1)
    axes.axvline(0, color=INK, linewidth=1)
    for name in gains:
        shade, title = colour(name), catalogue.title(name)
        axes.plot(gains[name], places, color=shade, marker=marker(shade), linestyle="", label=title)
    axes.set_yticks(list(places), list(gains.index))
    axes.set_xlabel(f"dB above {base}")
    legend(axes, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
    return figure


def brought(path: str | Path, base: str = "bicubic") -> Rows:
    """Return the numbers of `photographs`: by treatment, a line each, and method what it is above another one, dB."""
    rows = _rows(path, ("treatment", "method", "psnr"))
    means = rows.assign(psnr=rows["psnr"].astype(float)).pivot_table(
        values="psnr", index="treatment", columns="method", sort=False
    )
    if base not in means:
        raise InputError(f"{path} has no rows of {base}, which the others are compared with: measure it.")
    return means.drop(columns=base).sub(means[base], axis=0)


def _short(kernel: str) -> str:
    """Return what is written for a kernel: its name, or the two variances (px^2) and the angle of three numbers."""
    parts = kernel.split(",")
    if len(parts) != 3:
        return kernel
    low, high, angle = (f"{float(part):g}" for part in parts)
    return f"{low}, {high}\n{angle} rad"


def _told(axes: Axes, means: Rows) -> tuple[dict, dict]:
    """Draw each method's PSNR by the error of the kernel, dashed if it is told none; return ends and colours."""
    ends, shades = {}, {}
    errors = means["error"].where(means["error"] != "").dropna().astype(float)
    for (method, steps, agree, weights), told in means.groupby(METHOD, sort=False):
        title, shade = method_title(method, steps, weights, agree), colour(method)
        if "" in set(told["error"]):
            points = [(edge, told["psnr"].iloc[0]) for edge in (errors.min(), errors.max())]
            axes.plot(*zip(*points, strict=True), color=shade, linestyle="--", label=title)
        else:
            points: Points = sorted(zip(told["error"].astype(float), told["psnr"], strict=True))
            line = ":" if agree == "yes" else "-"
            axes.plot(
                *zip(*points, strict=True), color=shade, linestyle=line, marker=marker(shade), markersize=4, label=title
            )
        ends[title], shades[title] = points[-1], shade
    return ends, shades


def time_quality(
    path: str | Path, panels: Sequence[tuple[str, str]] = (("set5", "g2.0d"), ("bsd100", "g2.0d")), device: str = "cpu"
) -> Drawing:
    """Draw PSNR against the seconds a picture takes, on a logarithmic axis: a point a method.

    Points of a method with several numbers of updates are joined, dotted if it ends with agreement. A method that has
    not been scored on every picture of its panel yet is left out, and so are other weights of a method whose own are
    there, and a panel without rows. A starting point, 0 updates, that is worse than everything
    else is named at the lower edge.

    Parameters
    ----------
    path
        Measured rows, such as ``results/rows.csv``.
    panels
        Pairs (data set, kernel).
    device
        Only rows of this device: seconds of two devices are not comparable.

    Raises
    ------
    InputError
        If there are no rows for any panel.
    """
    columns = ("dataset", "image", "kernel", "scale", "method", "steps", "weights", "psnr", "seconds", "device")
    rows = _rows(path, columns)
    rows = rows[(rows["device"] == device) & (rows["scale"] == SCALE)]
    found = {pair: rows[(rows["dataset"] == pair[0]) & (rows["kernel"] == pair[1])] for pair in panels}
    found = {pair: members for pair, members in found.items() if len(members)}
    if not found:
        names = " and ".join(" ".join(pair) for pair in panels)
        raise InputError(f"{path} holds no rows of {names} on the {device}: measure them first.")
    title = "Time against quality: to the upper left is better"
    note = (
        f"means over the pictures, scale 2, on a {device.upper()}; joined points: after so many updates, left to right"
    )
    figure, drawn = labels.side_by_side(len(found), title, note, 450 * len(found) + 80, 560)
    for ((dataset, kernel), members), axes in zip(found.items(), drawn, strict=True):
        pictures = members["image"].nunique()
        _times(axes, members, pictures)
        name = DATASETS.get(dataset, dataset)
        axes.set_title(f"{name}, kernel {kernel}, {pictures} pictures", fontsize=FONT_SIZE, loc="left")
        axes.set_xlabel("seconds a picture")
    drawn[0].set_ylabel("PSNR (dB)")
    return figure


def _times(axes: Axes, rows: Rows, pictures: int) -> None:
    """Draw the points of one panel, join those of a method, and write a title at each line."""
    means = (
        _own_weights(rows)
        .groupby(METHOD, as_index=False)
        .agg(psnr=("psnr", "mean"), seconds=("seconds", "mean"), pictures=("image", "size"))
    )
    means = means[means["pictures"] == pictures].sort_values(["method", "agree", "weights", "steps"])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    named = {}
    for (method, agree, weights), line in means.groupby(["method", "agree", "weights"]):
        shade, dots = colour(method), ":" if agree == "yes" else "-"
        points: Points = list(zip(line["seconds"], line["psnr"], strict=True))
        look = {"color": shade, "marker": marker(shade), "markersize": 6, "label": method, "linestyle": dots}
        axes.plot(*zip(*points, strict=True), **look)
        named[_line_title(method, list(line["steps"]), weights, agree)] = (points, shade)
    axes.margins(0.12, 0.08)
    _begin(axes, means)
    labels.at_points(axes, named)


def _own_weights(rows: Rows) -> Rows:
    """Return rows without those of other weights of a method whose own are there."""
    other = tables.with_columns(rows)["column"].map(lambda column: column.weights != "")
    return rows[~(other & rows["method"].isin(rows["method"][~other]))]


def _line_title(method: str, steps: Sequence[int], weights: str, agree: str) -> str:
    """Return what a line is called: its method, and the numbers of updates of all its points.

    Examples
    --------
    >>> _line_title("mzsr", [1, 10], "mzsr-x2", "yes")
    'MZSR 1, 10 + agreement'
    """
    first, name = method_title(method, steps[0], weights, agree), catalogue.title(method)
    if len(steps) == 1:
        return first
    return f"{name} {', '.join(map(str, steps))}{first.removeprefix(name).removeprefix(f' {steps[0]}')}"


def _begin(axes: Axes, means: Rows) -> None:
    """Let the axis end below whatever is finished; a starting point that lies lower is said in words at its edge."""
    adapting = [name for name, entry in ENTRIES.items() if entry.updates is not None]
    starts = means[means["steps"].eq(0) & means["method"].isin(adapting)]
    finished, (low, high) = means["psnr"].drop(starts.index), axes.get_ylim()
    bottom = max(low, finished.min() - 0.06 * (high - finished.min())) if len(finished) else low
    axes.set_ylim(bottom, high)
    for row in starts[starts["psnr"] < bottom].itertuples():
        words = f"{method_title(row.method, row.steps, row.weights, row.agree)}: {row.psnr:.1f} dB \u2193"
        look = {"textcoords": "offset points", "color": INK, "fontsize": FONT_SIZE}
        axes.annotate(words, (row.seconds, bottom), xytext=(10, 6), **look)
