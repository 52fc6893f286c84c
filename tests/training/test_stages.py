"""What stage 2 is taught by, and stage 1 of the networks for photographs."""

import math
from dataclasses import replace

import pytest
import torch
from helpers import close, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import degradation, kernels
from mzsr_lib.imaging.picture_sets import Pictures
from mzsr_lib.methods import registry
from mzsr_lib.models import weights
from mzsr_lib.models.unfolded import Unfolded
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.mzsr.tasks import PatchSource
from mzsr_lib.runtime import Group, generator_for
from mzsr_lib.training import stages


def test_by_default_nobody_teaches():
    assert stages.teacher(MetaTrainConfig(), Group()) is None


def test_the_teacher_is_the_kernel_aware_method():
    taught = stages.teacher(MetaTrainConfig(teacher="mzsr-plus-x2", episode="image"), Group())
    camera = degradation.from_setting(kernels.named()["gani_d"])
    lr = picture(41, 36)
    assert torch.equal(taught(lr, camera), registry.build("mzsr-plus")(lr, camera))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": "pretrained-x2"}, "pretrained-x2 cannot teach at scale 2: give kernel-aware weights"),
        ({"teacher": "mzsr-plus-x2", "scales": (4,)}, "mzsr-plus-x2 cannot teach at scale 4"),
        ({"teacher": "nobody"}, "There are no weights 'nobody'"),
    ],
)
def test_who_is_told_no_kernel_cannot_teach(changes, message):
    with pytest.raises(InputError, match=message):
        stages.teacher(MetaTrainConfig(**{"episode": "image"} | changes), Group())


def test_a_teacher_makes_targets_for_image_episodes_only():
    with pytest.raises(InputError, match="not for two-sets"):
        MetaTrainConfig(teacher="mzsr-plus-x2", episode="two-sets")


PHOTOGRAPHS = {
    "photographs": True,
    "shapes_share": 0.4,
    "noise": 9.0,
    "steps": 3,
    "patch": 48,
    "batch": 4,
    "validate_every": 1,
}


@pytest.mark.parametrize(
    "network",
    [
        {"architecture": "unfolded", "channels": 4, "stages": 2, "blocks": 1},
        {"architecture": "estimator", "channels": 4, "side": 15, "width": 16},
    ],
    ids=lambda network: network["architecture"],
)
def test_networks_for_photographs_learn_the_same_in_parts_and_together(tmp_path, network):
    config = PretrainConfig(learning_rate=1e-3, network=network, **PHOTOGRAPHS)
    grown = [torch.nn.functional.interpolate(picture(12, 11, seed=s), scale_factor=5) for s in range(4)]
    pictures = Pictures(grown[:3], grown[3:])
    stages.pretrain(replace(config, steps=2), [], tmp_path / "two", pictures=pictures)
    one, two = (
        weights.load(stages.pretrain(config, [], tmp_path / name, pictures=pictures)) for name in ("one", "two")
    )
    assert all(map(torch.equal, one.network.parameters(), two.network.parameters()))
    assert math.isfinite(one.provenance["held_out"]["score"])
    # Each of two processes works on its half: the two gradients add up to that of one.
    source, found = PatchSource(grown), []
    for group in (Group(), _Half(0), _Half(1)):
        gradient, _ = stages.supervised(one.network.train(), source, config, pictures, group)
        gradient(0)
        found.append([p.grad.clone() for p in one.network.parameters() if p.grad is not None])
    for whole, first, second in zip(*found, strict=True):
        close(first + second, whole, 1e-3 * max(float(whole.abs().max()), 1e-3))


class _Half(Group):
    """One of two processes whose messages are not sent."""

    def __init__(self, rank: int):
        super().__init__(rank, 2)

    def sum_(self, tensors: list) -> None:
        pass


def test_a_network_begins_with_weights_that_have_all_of_its_tensors_and_with_no_others():
    whole, part = (unfolded(packed) for packed in (None, 3))
    begun = stages.as_set(whole, part, "weights")
    assert begun.settings == part.settings
    values = dict(whole.named_parameters())
    assert all(torch.equal(value, values[name]) for name, value in begun.named_parameters())
    assert stages.as_set(whole, unfolded(None), "weights") is whole
    with pytest.raises(InputError, match=r"weights is a network with .* give these settings, not"):
        stages.as_set(part, whole, "weights")


def unfolded(packed: int | None) -> Unfolded:
    return Unfolded(4, 2, 1, packed, generator_for(packed or 0))
