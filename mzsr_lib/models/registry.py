"""Networks by name: the one place that makes a network from the settings that a weights file keeps."""

from collections.abc import Mapping, Sequence

import torch

from mzsr_lib.files import InputError
from mzsr_lib.models.carn import CARN
from mzsr_lib.models.rcan import RCAN
from mzsr_lib.mzsr.networks import Network, SRNetwork

# The paper's network goes without the setting "architecture", as in the files of earlier versions.
PAPER = "mzsr"
CLASSES: dict[str, type[Network]] = {PAPER: SRNetwork, "carn": CARN, "rcan": RCAN}
SETTINGS = {
    PAPER: {"channels", "layers"},
    "carn": {"architecture", "channels", "blocks", "scales"},
    "rcan": {"architecture", "channels", "groups", "blocks", "reduction", "scale"},
}


def kind_of(settings: Mapping) -> str:
    """Return which of `CLASSES` the settings of a network belong to."""
    return settings.get("architecture", PAPER)


def known(settings: Mapping) -> bool:
    """Say whether these are the names of the settings of a network."""
    return settings.keys() == SETTINGS.get(kind_of(settings))


def settings_for(network: Mapping, scales: Sequence[int]) -> Mapping:
    """Return the whole settings of a network that is to be trained for some scales.

    Parameters
    ----------
    network
        All settings but the scales.
    scales
        One or more of 2, 3 and 4.

    Raises
    ------
    InputError
        If there is no such architecture, it has other settings, or it takes one scale and several are given.
    """
    kind = kind_of(network)
    if "scale" in SETTINGS.get(kind, ()) and len(scales) > 1:
        raise InputError(f"{kind} takes one scale, and here are {len(scales)}: train one network for each.")
    settings = dict(network)
    if "scale" in SETTINGS.get(kind, ()):
        settings["scale"] = scales[0]
    if "scales" in SETTINGS.get(kind, ()):
        settings["scales"] = list(scales)
    return _checked(settings)


def build(settings: Mapping, generator: torch.Generator | None = None) -> Network:
    """Return a network with these settings; see the classes for what they mean.

    Parameters
    ----------
    settings
        As a network's ``settings`` has them.
    generator
        Draws the initial weights; without one they are zero, to be loaded.

    Raises
    ------
    InputError
        If there is no such architecture, or it has other settings.
    """
    _checked(settings)
    return CLASSES[kind_of(settings)](**{k: v for k, v in settings.items() if k != "architecture"}, generator=generator)


def _checked(settings: Mapping) -> Mapping:
    """Return settings of a network, or raise `InputError` when no network has these."""
    if not known(settings):
        names = ", ".join(CLASSES)
        raise InputError(f"There is no network with the settings {dict(settings)}: the architectures are {names}.")
    sizes = {name: value for name, value in settings.items() if isinstance(value, int)}
    if min(sizes.values()) < 1:
        name = min(sizes, key=sizes.get)
        raise InputError(f"{name} of the network is {sizes[name]}: it must be at least 1.")
    if settings.get("layers", 2) < 2 or settings.get("reduction", 1) > settings["channels"]:
        raise InputError("A network needs at least 2 layers, and a reduction between 1 and its channels.")
    return settings
