"""One card for the recipe of stage 2: what the paper, its authors' released program and the weights shipped here do."""

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from mzsr_lib.models import weights

UNKNOWN = "not stated"
COLUMNS = ("", "the paper", "the authors' program", "ours")
# What the first two do, by question. A program that was only run shows a part of what it does.
KNOWN: Mapping[str, tuple[str, str]] = {
    "alpha, the inner step": (
        "0.01, plain gradient steps",
        "not stated for training; in the test a list that falls: 0.02 to 0.005 for direct x2",
    ),
    "beta, the outer step": ("1e-4, Adam", UNKNOWN),
    "kernels drawn": ("variances from 1 to 2.5 · s (px²), uniform", UNKNOWN),
    "sampling": (UNKNOWN, "weights for direct and for bicubic sampling, one each"),
    "tasks in an outer step": ("5", UNKNOWN),
    "inner steps": ("5", UNKNOWN),
    "episode": (UNKNOWN, "two sets: support and query are cut from different HR pictures"),
    "patches": ("64 px; 8 for the support, 8 for the query", UNKNOWN),
    "order": ("second", UNKNOWN),
    "query weights": (
        "the algorithm as printed: the last step alone; the text: annealed from uniform to the last step",
        "uniform: it means to anneal, but its counter never advances",
    ),
    "outer steps": ("100,000", UNKNOWN),
    "starts from": ("the network of stage 1, trained on bicubic pairs", UNKNOWN),
    "padding of the convolutions": (UNKNOWN, "zeros"),
    "border of the blur": ("not stated; mirrored, the edge repeated, reproduces its bicubic column", UNKNOWN),
    "kernel size": ("15 px; 21 px in the tests", UNKNOWN),
    "rounding of the LR-son": (UNKNOWN, UNKNOWN),
    "clipping of the gradient": (UNKNOWN, UNKNOWN),
    "average of the weights": (UNKNOWN, UNKNOWN),
}


def card(name: str = "mzsr-x2") -> str:
    """Return the recipe as a Markdown table in three columns; ours is read from a weights file of stage 2.

    Parameters
    ----------
    name
        Weights, see `weights.locate`.

    Raises
    ------
    InputError
        If there are no such weights.
    """
    ours = _ours(weights.read_provenance(weights.locate(name)))
    rows = [(f"**{question}**", *others, ours[question]) for question, others in KNOWN.items()]
    return tabulate(rows, COLUMNS, "pipe", disable_numparse=True)


def _ours(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what weights of stage 2 say of themselves, by question; padding, border and rounding are the library's."""
    is_ = facts["settings"]
    first, *later = facts.get("phases", []) or [{"updates": facts["step"]}]
    phases = [phase["updates"] for phase in (first, *later)]
    plain = is_.get("curvature", "none") == "none"
    learned = "" if plain else "learned, a rate for each step and tensor and matrices, beginning at "
    spacing = {"linear": "uniform", "log": "uniform in the logarithm"}[is_["prior_spacing"]]
    high = f"{is_['prior_high']:g}" if is_["prior_high"] else "2.5 · s"
    middle = "; support: its LR and LR-son; query: its middle" if is_.get("query_patch") else ""
    averaged = f"exponential, {is_['ema']:g}" if is_["ema"] else "none"
    return {
        "alpha, the inner step": f"{learned}{is_['task_lr']:g}",
        "beta, the outer step": f"{is_['learning_rate']:g}, Adam, {is_['decay']} decay (last phase)",
        "kernels drawn": f"variances from {is_['prior_low']:g} to {high} (px²), {spacing}",
        "sampling": f"one network for both: {is_['bicubic_share']:.0%} of the tasks bicubic, the others direct",
        "tasks in an outer step": str(is_["tasks"]),
        "inner steps": str(is_["inner_steps"]),
        "episode": {"image": "image: support and query from one patch", "two-sets": "two sets"}[is_["episode"]],
        "patches": f"{is_['patches']} of {is_['patch']} px{middle}",
        "order": "first" if is_["first_order"] else "second",
        "query weights": is_["query_weights"],
        "outer steps": f"{sum(phases):,} in {len(phases)} phases",
        "starts from": first.get("from", facts["init"].partition(",")[0]),
        "padding of the convolutions": "zeros",
        "border of the blur": "mirrored, the edge repeated",
        "kernel size": f"{is_['kernel_size']} px",
        "rounding of the LR-son": "8 bits, as LR",
        "clipping of the gradient": f"norm {is_['clip']:g}" if is_["clip"] else "none",
        "average of the weights": averaged,
    }
