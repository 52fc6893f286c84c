"""Networks by name: the one place that makes a network from the settings that a weights file keeps."""

from collections.abc import Mapping

import torch

from mzsr_lib import fields
from mzsr_lib.files import InputError
from mzsr_lib.models.carn import CARN
from mzsr_lib.models.estimator import Estimator
from mzsr_lib.models.rcan import RCAN
from mzsr_lib.models.unfolded import Unfolded
from mzsr_lib.mzsr.networks import Network, SRNetwork

# The paper's network goes without the setting "architecture", as in the files of earlier versions.
PAPER = "mzsr"
CLASSES: dict[str, type[Network]] = {
    PAPER: SRNetwork,
    "carn": CARN,
    "rcan": RCAN,
    "unfolded": Unfolded,
    "estimator": Estimator,
}


def kind_of(settings: Mapping) -> str:
    """Return which of `CLASSES` the settings of a network belong to."""
    return settings.get("architecture", PAPER)


def check(settings: Mapping) -> None:
    """Raise `InputError` when there is no network with these settings: an unknown name, a wrong type, out of range."""
    kind = settings.get("architecture", PAPER)
    if not isinstance(kind, str) or kind not in CLASSES:
        raise InputError(f"There is no architecture {kind!r}: choose one of {', '.join(CLASSES)}.")
    fields.check_call(CLASSES[kind], _arguments(settings), "network", whole=True)
    if settings.get("reduction", 1) > settings["channels"]:
        raise InputError("The reduction of a network must be between 1 and its channels.")
    if kind == "carn" and settings["channels"] % (settings.get("groups") or 1):
        raise InputError("The channels of CARN-M must be a multiple of its groups.")


def _arguments(settings: Mapping) -> dict:
    return {name: value for name, value in settings.items() if name != "architecture"}


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
    check(settings)
    return CLASSES[kind_of(settings)](**_arguments(settings), generator=generator)
