"""Networks by name: the one place that makes a network from the settings that a weights file keeps."""

from collections.abc import Mapping

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
OPTIONAL = {"carn": {"groups"}}  # those of CARN-M


def kind_of(settings: Mapping) -> str:
    """Return which of `CLASSES` the settings of a network belong to."""
    return settings.get("architecture", PAPER)


def known(settings: Mapping) -> bool:
    """Say whether these are the names of the settings of a network."""
    kind = kind_of(settings)
    return settings.keys() - OPTIONAL.get(kind, set()) == SETTINGS.get(kind)


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
    if not known(settings):
        names = ", ".join(CLASSES)
        raise InputError(f"There is no network with the settings {dict(settings)}: the architectures are {names}.")
    sizes = {name: value for name, value in settings.items() if isinstance(value, int)}
    if min(sizes.values()) < 1:
        name = min(sizes, key=lambda name: sizes[name])
        raise InputError(f"{name} of the network is {sizes[name]}: it must be at least 1.")
    if settings.get("layers", 2) < 2 or settings.get("reduction", 1) > settings["channels"]:
        raise InputError("A network needs at least 2 layers, and a reduction between 1 and its channels.")
    return CLASSES[kind_of(settings)](**{k: v for k, v in settings.items() if k != "architecture"}, generator=generator)
