"""The charts of the results: each function reads one file of rows and returns the finished figure.

What a file does not hold is left out, so that a figure can be drawn while measurements are still missing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes

from mzsr_lib.benchmark import published, tables
from mzsr_lib.benchmark.tables import DATASETS
from mzsr_lib.drawing import labels
from mzsr_lib.drawing.style import FONT_SIZE, LINE, Drawing, colour
from mzsr_lib.files import InputError, read_rows
from mzsr_lib.methods import registry

Row = Mapping[str, str]
Points = list[tuple[float, float]]

SCALE = "2"  # of every figure here

# How the starting points of `updates` are told apart, beside their colours: marker and line.
STARTS = {
    "MZSR-plus": ("P", "-"),
    "MZSR": ("o", "-"),
    "pre-trained on all kernels": ("s", "--"),
    "pre-trained on bicubic": ("D", "-"),
    "meta-learning without pre-training": ("^", "-"),
    "ZSSR": ("v", "-"),
}
# By sweep of `kernel_error`: what stands above its panel and on its axis.
SWEEPS = {
    "width": ("true kernel g2.0d, told narrower or wider", "error of the standard deviation (per cent)"),
    "angle": ("true kernel gani_d, told turned", "error of the angle (degrees)"),
}


def _rows(path: str | Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Read rows that must have some columns."""
    try:
        rows = read_rows(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The rows {path} cannot be read ({error}).") from None
    if not rows:
        raise InputError(f"{path} holds no rows: measure first, see results/README.md.")
    if missing := set(columns) - rows[0].keys():
        raise InputError(f"{path} has no column {', '.join(sorted(missing))}: it is not the file of this figure.")
    return rows


def method_title(method: str, steps: str, weights: str) -> str:
    """Return what a figure calls a method: its title, its updates, and weights that are not its own (scale 2).

    Examples
    --------
    >>> method_title("mzsr", "0", "mzsr-x2")
    'MZSR 0'
    """
    column = tables.column_of({"method": method, "steps": steps, "weights": weights, "scale": SCALE})
    adapts = method in registry.REGISTRY and registry.REGISTRY[method].updates is not None
    return tables.title(column) + (" 0" if adapts and column.steps == 0 else "")


def _means(rows: Iterable[Row], keys: Sequence[str], column: str = "psnr") -> dict[tuple[str, ...], float]:
    """Return the mean of a column over the rows that agree in some columns."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(float(row[column]))
    return {key: fmean(values) for key, values in groups.items()}


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
    means = _means(rows, ("kernel", "start", "steps"))
    kernels = [kernel for kernel in ("g0.2d", "g2.0d", "gani_d") if any(key[0] == kernel for key in means)]
    kernels += sorted({key[0] for key in means} - set(kernels))
    starts = sorted({key[1] for key in means}, key=lambda start: ([*STARTS, start].index(start), start))
    name = DATASETS.get(rows[0]["dataset"], rows[0]["dataset"])
    title = f"What updates at test time bring from each starting point: {name}, scale 2"
    note = "filled marks and lines: measured; open marks: the paper's Figure 3, read off the graph (\u00b10.2 dB)"
    width = max(270 * len(kernels) + 300, 800)
    figure, panels = labels.side_by_side(len(kernels), title, note, width, 430, right=235)
    bottom = min(means.values()) - 1
    for kernel, axes in zip(kernels, panels, strict=True):
        shades, ends = {start: colour(start) for start in starts}, {}
        for start in starts:
            found = ((int(n), psnr) for (k, s, n), psnr in means.items() if (k, s) == (kernel, start))
            points: Points = sorted(found)
            if points:
                _start(axes, start, points, published.updates().get((kernel, start), {}), bottom)
                ends[start] = points[-1]
        axes.set(xlabel="updates at test time", xticks=[0, 1, 2, 5, 10])
        axes.set_title(f"kernel {kernel}", fontsize=FONT_SIZE, loc="left")
    labels.share_heights(panels, bottom)
    labels.beside(panels[-1], ends, shades)
    return figure


def _start(axes: Axes, start: str, points: Points, printed: Mapping[int, float], bottom: float) -> None:
    """Draw one starting point: the measured line, and the paper's values as open marks."""
    marker, line = STARTS.get(start, (".", ":"))
    look = {"color": colour(start), "marker": marker, "markersize": 5}
    axes.plot(*zip(*points, strict=True), linestyle=line, label=start, **look)
    inside = [(steps, psnr) for steps, psnr in printed.items() if psnr >= bottom]
    if inside:
        axes.plot(*zip(*inside, strict=True), linestyle="", markerfacecolor="none", label=f"paper: {start}", **look)
    for steps, psnr in printed.items():
        if psnr < bottom:  # too low for the axis: said in words at its lower edge
            words = f"paper's {start} at {steps}: {psnr:g} dB \u2193"
            style = {"textcoords": "offset points", "color": colour(start), "fontsize": FONT_SIZE}
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
    means = _means(rows, ("sweep", "method", "steps", "weights", "error"))
    sweeps = [sweep for sweep in SWEEPS if any(key[0] == sweep and key[-1] for key in means)]
    if not sweeps:
        raise InputError(f"{path} holds no row of a method that is told a kernel: measure the missing cells.")
    name, size, count = rows[0]["dataset"], rows[0]["size"], len({row["image"] for row in rows})
    note = f"means of {count} pictures of {DATASETS.get(name, name)}, the middle {size} x {size} px of each"
    title = "What it costs to be told a wrong blur kernel: direct sampling, scale 2"
    figure, panels = labels.side_by_side(len(sweeps), title, note, max(340 * len(sweeps) + 190, 640), 400, right=130)
    for sweep, axes in zip(sweeps, panels, strict=True):
        lines: dict[tuple[str, ...], dict[str, float]] = {}
        for (name, *method, error), psnr in means.items():
            if name == sweep:
                lines.setdefault(tuple(method), {})[error] = psnr
        ends, shades = _told(axes, lines)
        heading, xlabel = SWEEPS[sweep]
        axes.set_title(heading, fontsize=FONT_SIZE, loc="left")
        axes.set_xlabel(xlabel)
    labels.share_heights(panels)
    labels.beside(panels[-1], ends, shades)
    return figure


def _told(axes: Axes, lines: Mapping[tuple[str, ...], Mapping[str, float]]) -> tuple[dict, dict]:
    """Draw each method's PSNR by the error of the kernel, dashed if it is told none; return ends and colours."""
    ends, shades = {}, {}
    errors = [float(error) for told in lines.values() for error in told if error]
    for method, told in lines.items():
        title, shade = method_title(*method), colour(method[0])
        if "" in told:
            points = [(edge, told[""]) for edge in (min(errors), max(errors))]
            axes.plot(*zip(*points, strict=True), color=shade, linestyle="--", label=title)
        else:
            points: Points = sorted((float(error), psnr) for error, psnr in told.items())
            axes.plot(*zip(*points, strict=True), color=shade, marker="o", markersize=4, label=title)
        ends[title], shades[title] = points[-1], shade
    return ends, shades


def time_quality(
    path: str | Path, panels: Sequence[tuple[str, str]] = (("set5", "g2.0d"), ("bsd100", "g2.0d")), device: str = "cpu"
) -> Drawing:
    """Draw PSNR against the seconds a picture takes, on a logarithmic axis: a point a method.

    Points of a method with several numbers of updates are joined. A method that has not been scored on
    every picture of its panel yet is left out, and so is a panel without rows.

    Parameters
    ----------
    path
        Rows of `evaluation.evaluate`, such as ``results/rows.csv``.
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
    rows = [row for row in _rows(path, columns) if row["device"] == device and row["scale"] == SCALE]
    found = {pair: [row for row in rows if (row["dataset"], row["kernel"]) == pair] for pair in panels}
    found = {pair: members for pair, members in found.items() if members}
    if not found:
        names = " and ".join(" ".join(pair) for pair in panels)
        raise InputError(f"{path} holds no rows of {names} on the {device}: measure them first.")
    title = "Time against quality: to the upper left is better"
    note = (
        f"means over the pictures, scale 2, on a {device.upper()}; joined points: the same weights after more updates"
    )
    figure, drawn = labels.side_by_side(len(found), title, note, 460 * len(found) + 60, 420)
    for ((dataset, kernel), members), axes in zip(found.items(), drawn, strict=True):
        pictures = {row["image"] for row in members}
        _times(axes, members, len(pictures))
        name = DATASETS.get(dataset, dataset)
        axes.set_title(f"{name}, kernel {kernel}, {len(pictures)} pictures", fontsize=FONT_SIZE, loc="left")
        axes.set_xlabel("seconds a picture")
    drawn[0].set_ylabel("PSNR (dB)")
    return figure


def _times(axes: Axes, rows: Sequence[Row], pictures: int) -> None:
    """Draw the points of one panel, join those of a method, and write a title at each."""
    who = ("method", "steps", "weights")
    count = Counter(tuple(row[column] for column in who) for row in rows)
    whole = [row for row in rows if count[tuple(row[column] for column in who)] == pictures]
    psnr, seconds = (_means(whole, who, column) for column in ("psnr", "seconds"))
    points = {key: (seconds[key], psnr[key]) for key in sorted(psnr, key=lambda key: (key[0], key[2], int(key[1])))}
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    for method, weights in dict.fromkeys((method, weights) for method, _, weights in points):
        line = [point for key, point in points.items() if (key[0], key[2]) == (method, weights)]
        axes.plot(*zip(*line, strict=True), color=colour(method), marker="o", markersize=6, label=method)
    axes.margins(0.16, 0.12)
    labels.at_points(axes, {method_title(*key): (point, colour(key[0])) for key, point in points.items()})
