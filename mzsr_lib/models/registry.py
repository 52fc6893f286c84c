"""Networks by name: the one place that makes a network from the settings that a weights file keeps."""

from collections.abc import Mapping

import torch

from mzsr_lib.carn import CARN
from mzsr_lib.files import InputError
from mzsr_lib.networks import SRNetwork
from mzsr_lib.rcan import RCAN

Network = SRNetwork | CARN | RCAN

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
    return CLASSES[kind_of(settings)](**{k: v for k, v in settings.items() if k != "architecture"}, generator=generator)
