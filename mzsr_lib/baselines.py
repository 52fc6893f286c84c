"""Every method behind one signature: ``method(lr, degradation) -> sr``."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mzsr_lib.files import InputError
from mzsr_lib.methods import Entry, Method, Options, classical_method, trained_method, zssr_method
from mzsr_lib.zero_shot import ZeroShotConfig

# Tables and figures have this order.
REGISTRY = {
    entry.name: entry
    for entry in (
        Entry("nearest", "Nearest", classical_method, needs_kernel=False),
        Entry("bilinear", "Bilinear", classical_method, needs_kernel=False),
        Entry("bicubic", "Bicubic", classical_method, needs_kernel=False),
        Entry("aligned", "Aligned bicubic", classical_method, needs_kernel=False),
        Entry("landweber", "Landweber", classical_method),
        Entry("tikhonov", "Tikhonov", classical_method),
        Entry("pretrained", "Pre-trained", trained_method, needs_kernel=False, takes="bicubic"),
        Entry("mzsr", "MZSR", trained_method, 10, takes="bicubic"),
        Entry("mzsr-plus", "MZSR-plus", trained_method, 0, takes="restored"),
        Entry("zssr", "ZSSR", zssr_method, ZeroShotConfig.steps),
        Entry("carn", "CARN", trained_method, needs_kernel=False, takes="carn"),
        Entry("rcan", "RCAN", trained_method, needs_kernel=False, takes="rcan"),
    )
}
METHODS = tuple(REGISTRY)


def build(
    name: str,
    steps: int = 0,
    weights_name: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    scale: int = 2,
    progress: bool = False,
    ensemble: bool = False,
) -> Method:
    """Return a method by name.

    Parameters
    ----------
    name
        ``nearest``, ``bilinear``, ``bicubic``, ``aligned`` (bicubic in register with direct sampling),
        ``landweber`` and ``tikhonov``: see `classical`. ``pretrained``, the network of stage 1 as it is;
        ``mzsr``, adapted to the picture by `steps` updates; ``mzsr-plus``, the same with a kernel-aware
        input; ``zssr``, from random weights by at most `steps` updates; ``carn`` and ``rcan``, blind networks.
    steps
        Updates at test time.
    weights_name
        A shipped name or a file, by default the shipped weights of the method for the scale.
    seed
        For the random start and crops of zssr.
    device
        Where the network is put.
    scale
        2, 3 or 4; must be one the weights were trained for.
    progress
        Show a bar for the updates on one picture.
    ensemble
        For ``mzsr-plus``: average over turned pictures, 2 for direct sampling and 8 for bicubic, which
        takes so many times longer; zssr does so always.

    Raises
    ------
    InputError
        If the method is unknown, the steps are negative, missing or given to a method that makes none, the
        weights have another scale or input, or an ensemble is asked of another method.
    """
    if ensemble and name != "mzsr-plus":
        raise InputError(f"An ensemble is an option of mzsr-plus, not of {name}: leave it out.")
    entry = entry_of(name)
    if steps < 0:
        raise InputError(f"The number of steps is {steps}: it cannot be negative.")
    if steps and entry.updates is None:
        raise InputError(f"{name} makes no updates, and here are {steps}: leave the steps out, or give 0.")
    return entry.make(entry, Options(steps, weights_name, seed, device, scale, progress, ensemble))


def entry_of(name: str) -> Entry:
    """Return what is known of a method, or raise `InputError` when there is none of that name."""
    if name not in REGISTRY:
        raise InputError(f"There is no method '{name}': choose one of {', '.join(METHODS)}.")
    return REGISTRY[name]


def sweep(
    names: Sequence[str],
    steps: Sequence[int] | None = None,
    weights_name: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    scale: int = 2,
    progress: bool = False,
    ensemble: bool = False,
) -> list[Method]:
    """Build every method with every number of steps; those that make no updates come once.

    Parameters
    ----------
    names
        Of `METHODS`.
    steps
        Updates at test time; by default each method's own (`Entry.updates`).
    weights_name
        A shipped name or a file, for the one method among `names` that has weights.
    seed, device, scale, progress, ensemble
        See `build`.

    Raises
    ------
    InputError
        If a method cannot be built, weights are given for two methods, or nothing but positive steps to the
        only method, which makes no updates.
    """
    if not names:
        raise InputError(f"No method is named: choose from {', '.join(METHODS)}.")
    entries = [entry_of(name) for name in dict.fromkeys(names)]
    weighted = [entry.name for entry in entries if entry.has_weights]
    if weights_name is not None and len(weighted) != 1:
        found, able = " and ".join(weighted) or "none", [e.name for e in REGISTRY.values() if e.has_weights]
        raise InputError(f"Weights are for one method ({', '.join(able)}), and here is {found}: take them one by one.")
    methods = []
    for entry in entries:
        counts = list(dict.fromkeys(steps or [entry.updates or 0]))
        if entry.updates is None:
            counts = [0] if 0 in counts or len(entries) > 1 else counts[:1]
        chosen = weights_name if entry.has_weights else None
        methods += [build(entry.name, count, chosen, seed, device, scale, progress, ensemble) for count in counts]
    return methods
