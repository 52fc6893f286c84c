"""What stage 2 is taught by."""

import pytest
import torch
from helpers import picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import degradation, kernels
from mzsr_lib.methods import registry
from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.runtime import Group
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
