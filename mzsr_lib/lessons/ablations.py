"""What one changed choice does on one budget: means over the seeds of ``results/ablations.csv``, with intervals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from matplotlib.axes import Axes
from scipy.stats import t as student
from tabulate import tabulate

from mzsr_lib.drawing.style import COLOURS, FONT_SIZE, INK, Drawing, legend, sheet, tidy
from mzsr_lib.files import InputError

BASE = "base"
UPDATES = (0, 1, 10)  # at test time
CONFIDENCE = 0.95
LEAST = 3  # runs, from which on an interval says something: of two it is 13 times as wide as they are apart

# The question a variant answers, and its answer; in the order of the table.
VARIANTS = {
    "base": ("base", "from the blind network, learned step, 4 steps, second order, uniform, image, bicubic input"),
    "blind": ("meta-training", "none"),
    "plain": ("inner step", "plain"),
    "rates": ("inner step", "learned rates"),
    "first-order": ("order", "first"),
    "bicubic-start": ("start", "bicubic pairs"),
    "random-start": ("start", "random"),
    "last": ("query weights", "last"),
    "two-sets": ("episode", "two sets"),
    "restored": ("input", "restored"),
}
UNTRAINED = ("blind",)  # a start without meta-training: for the table alone
FAR = 0.6  # dB; a larger difference to the base is written at the edge of the figure


@dataclass(frozen=True)
class Estimate:
    """The mean of a few runs, with an interval.

    Attributes
    ----------
    mean
        In dB.
    half
        Half the width of the 95 % interval of Student's t, dB; infinite for fewer than `LEAST` runs.
    runs
        How many there are.
    """

    mean: float
    half: float
    runs: int

    @property
    def clear(self) -> bool:
        """Whether zero lies outside the interval."""
        return abs(self.mean) > self.half


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of n independent runs and half its 95 % interval, t(0.975, n - 1) * s / sqrt(n).

    Raises
    ------
    InputError
        If there are no values.
    """
    if not values:
        raise InputError("There are no runs to take the mean of: give at least one value.")
    count = len(values)
    if count < LEAST:
        return Estimate(fmean(values), math.inf, count)
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, count - 1))
    return Estimate(fmean(values), quantile * stdev(values) / math.sqrt(count), count)


def psnr(rows: Iterable[Mapping], variant: str, updates: int, pictures: str = "held-out") -> dict[int, float]:
    """Return the PSNR (dB) of a variant after so many updates at test time, by seed.

    Parameters
    ----------
    rows
        Of ``results/ablations.csv``.
    variant
        A name of `VARIANTS`.
    updates
        0, 1 or 10.
    pictures
        The photographs that were scored: ``"held-out"`` or ``"set14-g2.0d"``.

    Raises
    ------
    InputError
        If there are none, or a seed is there twice.
    """
    if updates not in UPDATES:
        raise InputError(f"{updates} updates were not scored: choose 0, 1 or 10.")
    chosen = [row for row in rows if (row["variant"], row["set"]) == (variant, pictures)]
    found = {int(row["seed"]): float(row[f"psnr_{updates}"]) for row in chosen}
    if not found:
        raise InputError(f"There is no result of '{variant}' on '{pictures}' among these rows: run it first.")
    if len(found) < len(chosen):
        raise InputError(f"There are {len(chosen)} results of '{variant}' for {len(found)} seeds: keep one a seed.")
    return found


def against(
    rows: Sequence[Mapping], variant: str, updates: int = 10, pictures: str = "held-out", other: str = BASE
) -> Estimate:
    """Return a variant's PSNR minus that of another, dB: the mean of the differences of runs with the same seed."""
    mine, base = psnr(rows, variant, updates, pictures), psnr(rows, other, updates, pictures)
    shared = sorted(mine.keys() & base.keys())
    if not shared:
        raise InputError(f"'{variant}' and '{other}' have no seed in common: run both with the same seeds.")
    return estimate([mine[seed] - base[seed] for seed in shared])


def variants(rows: Sequence[Mapping], questions: Sequence[str] = ()) -> list[str]:
    """Return the variants among the rows in the order of `VARIANTS`; with questions, the base and theirs alone."""
    unknown = set(questions) - {question for question, _ in VARIANTS.values()}
    if unknown:
        known = ", ".join(dict.fromkeys(question for question, _ in VARIANTS.values()))
        raise InputError(f"There is no question '{min(unknown)}': choose among {known}.")
    wanted = [name for name, (question, _) in VARIANTS.items() if not questions or question in ("base", *questions)]
    found = {row["variant"] for row in rows}
    return [name for name in wanted if name in found]


def table(rows: Sequence[Mapping], questions: Sequence[str] = (), pictures: str = "held-out") -> str:
    """Return a Markdown table: PSNR after 0, 1 and 10 updates, and what is gained over the base.

    Where the interval of a difference holds 0, these runs show no difference; that does not prove that there is none.

    Parameters
    ----------
    rows
        Of ``results/ablations.csv``.
    questions
        Those in the first column: only these, and the base; by default all.
    pictures
        See `psnr`.
    """
    lines = [_line(rows, name, pictures) for name in variants(rows, questions)]
    headers = ["question: choice", "training updates"]
    headers += [f"after {count} update{'s' * (count != 1)} (dB)" for count in UPDATES]
    headers.append("against the base, after 10 (dB)")
    right = ["right"] * (len(headers) - 1)
    return tabulate(lines, headers, tablefmt="pipe", disable_numparse=True, colalign=("left", *right))


def _line(rows: Sequence[Mapping], name: str, pictures: str) -> list[str]:
    trained = {row["updates"] for row in rows if row["variant"] == name}
    found = [estimate(list(psnr(rows, name, count, pictures).values())) for count in UPDATES]
    gained = "" if name == BASE else words(against(rows, name, 10, pictures))
    return [": ".join(VARIANTS[name]), "/".join(map(str, sorted(trained))), *map(_written, found), gained]


def _written(found: Estimate) -> str:
    return f"{found.mean:.2f}" + (f" ± {found.half:.2f}" if math.isfinite(found.half) else "")


def words(difference: Estimate) -> str:
    """Return a difference as a table writes it: with its sign, its interval, and whether these runs show one."""
    if not math.isfinite(difference.half):
        return f"{difference.mean:+.2f}, {'one seed' if difference.runs == 1 else f'{difference.runs} seeds'}"
    shown = f"{difference.mean:+.2f} ± {difference.half:.2f}"
    return shown if difference.clear else f"{shown} (interval holds 0)"


def figure(rows: Sequence[Mapping], questions: Sequence[str] = (), pictures: str = "held-out") -> Drawing:
    """Draw, for each choice, PSNR after 0, 1 and 10 updates, and beside it what is gained over the base after 10.

    Bars are 95 % intervals over the seeds; an open dot is a difference whose interval holds zero, or of too few
    runs to have one, and one beyond 0.6 dB is written at the edge. Starts without meta-training are left out. The
    parameters are those of `table`.
    """
    names = [name for name in variants(rows, questions) if name not in UNTRAINED]
    height = 92 + 30 * len(names)
    drawing = sheet(920, height)
    bottom, top = 52 / height, 1 - 32 / height
    left = drawing.add_axes((0.255, bottom, 0.365, top - bottom))
    right = drawing.add_axes((0.65, bottom, 0.33, top - bottom), sharey=left)
    _levels(left, rows, names, pictures)
    _gains(right, rows, names, pictures)
    titles = ["the base" if name == BASE else ": ".join(VARIANTS[name]) for name in names]
    left.set_yticks(range(len(names)), titles, color=INK, fontsize=FONT_SIZE)
    left.set_ylim(len(names) - 0.5, -0.5)
    return drawing


def _levels(axes: Axes, rows: Sequence[Mapping], names: Sequence[str], pictures: str) -> None:
    """Draw the PSNR of each variant, with a colour for each number of updates."""
    shades = zip(UPDATES, (COLOURS["bicubic"], COLOURS["pretrained"], COLOURS["mzsr"]), strict=True)
    for place, (count, shade) in enumerate(shades):
        found = [estimate(list(psnr(rows, name, count, pictures).values())) for name in names]
        heights = [number + 0.22 * (place - 1) for number in range(len(names))]
        label = f"{count} update{'' if count == 1 else 's'}"
        bars = [0 if math.isinf(one.half) else one.half for one in found]
        axes.errorbar([one.mean for one in found], heights, xerr=bars, fmt="o", ms=4, color=shade, label=label)
    tidy(axes)
    axes.set_xlabel("PSNR (dB)")
    legend(axes, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0, columnspacing=1)


def _gains(axes: Axes, rows: Sequence[Mapping], names: Sequence[str], pictures: str) -> None:
    """Draw the paired differences to the base."""
    tidy(axes)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlim(-FAR, FAR)
    for number, name in enumerate(names):
        if name == BASE:
            continue
        gain, shade = against(rows, name, 10, pictures), COLOURS["mzsr"]
        if abs(gain.mean) > FAR:
            edge, side = math.copysign(0.97 * FAR, gain.mean), "right" if gain.mean > 0 else "left"
            told = f"{words(gain)} \u2192" if gain.mean > 0 else f"\u2190 {words(gain)}"  # beyond the axis
            axes.text(edge, number, told, color=shade, ha=side, va="center", weight="bold")
            continue
        bar = 0 if math.isinf(gain.half) else gain.half
        axes.errorbar(gain.mean, number, xerr=bar, fmt="o", ms=6, color=shade, mfc=shade if gain.clear else "white")
    axes.tick_params(axis="y", labelleft=False, length=0)
    axes.set_xlabel("against the base after 10 updates (dB)")
