"""Settings with a name, for both stages: what each is for, and what it takes."""

from collections.abc import Callable
from dataclasses import replace

from mzsr_lib.mzsr.meta_training import MetaTrainConfig
from mzsr_lib.mzsr.pretraining import PretrainConfig


def pretrain_cpu() -> PretrainConfig:
    """Return settings for about an hour on one or two CPU cores: smaller batches, a higher rate, a cosine decay.

    They count on a processor that multiplies bfloat16; on others ``precision="float32"`` is faster.
    """
    return PretrainConfig(
        steps=18_000,
        learning_rate=1e-3,
        decay="cosine",
        floor=1e-6,
        warm_up=100,
        clip=1.0,
        ema=0.999,
        validate_every=500,
        batch=8,
        patch=64,
        precision="bfloat16",
    )


def pretrain_quick() -> PretrainConfig:
    """Return settings for seconds: enough to see the loss fall, in a lesson or a test."""
    return PretrainConfig(
        steps=60,
        learning_rate=1e-3,
        decay="cosine",
        ema=0.9,
        log_every=5,
        validate_every=30,
        batch=4,
        patch=32,
        network={"channels": 16, "layers": 4},
    )


def pretrain_blind() -> PretrainConfig:
    """Return settings for the blind network: every kernel, both ways of sampling, and none of them told.

    It is where stage 2 starts, and its fair rival. About twelve minutes on two CPU cores.
    """
    return replace(
        pretrain_cpu(),
        steps=9_000,
        learning_rate=5e-4,
        validate_every=1_000,
        prior_low=0.2,
        prior_high=5.0,
        prior_spacing="log",
        bicubic_share=0.4,
        plain_share=0.4,
        batch=6,
        patch=96,
    )


def pretrain_specialist() -> PretrainConfig:
    """Return settings for a network of one kernel, to be named: the ceiling of what adapting to it can reach.

    Six minutes on one CPU core, from the blind network.
    """
    return replace(pretrain_blind(), kernel="g2.0d", steps=2_800, learning_rate=4e-4, validate_every=400)


def pretrain_plus() -> PretrainConfig:
    """Return settings for the kernel-aware network: a wide prior, both ways of sampling, two passes.

    About an hour and a half on one CPU core that multiplies bfloat16.
    """
    return replace(
        pretrain_cpu(),
        learning_rate=8e-4,
        prior_low=0.2,
        prior_spacing="log",
        bicubic_share=0.4,
        plain_share=0.4,
        network_input="restored",
        passes=2,
        batch=4,
        patch=96,
    )


def pretrain_plus_multi() -> PretrainConfig:
    """Return the settings of the last stage of the kernel-aware network for scales 2 to 4 on a CPU."""
    return replace(pretrain_plus(), scales=(2, 3, 4), kernel_size=21, steps=8000, learning_rate=4e-4)


def pretrain_photo() -> PretrainConfig:
    """Return settings for the network of photographs as they come: told roughly what was done to them, never truly.

    About an hour and a half on one CPU core that multiplies bfloat16.
    """
    return replace(
        pretrain_cpu(),
        steps=20_000,
        network={"architecture": "unfolded", "channels": 64, "stages": 3, "blocks": 2},
        prior_low=0.2,
        prior_high=6.0,
        prior_spacing="log",
        shapes_share=0.4,
        largest=5.0,
        noise=15.0,
        photographs=True,
        batch=8,
        patch=96,
        clip=0.15,  # three times the usual norm: a few hundred bad updates undo a quarter of an hour else
    )


def pretrain_photo_several() -> PretrainConfig:
    """Return settings for photographs as they come at scales 3 and 4, from the weights for scale 2."""
    photo = pretrain_photo()
    return replace(
        photo,
        scales=(3, 4),
        network={**photo.network, "packed": 3},
        kernel_size=23,
        prior_low=0.3,
        prior_high=14.0,
        largest=3.6,
        patch=144,
        batch=6,
        steps=4_500,
        learning_rate=7e-4,
        validate_every=250,
    )


def pretrain_estimator() -> PretrainConfig:
    """Return settings for the network that says what a photograph went through, and how sure it is."""
    return replace(
        pretrain_photo(),
        steps=18_000,
        network={"architecture": "estimator", "channels": 32, "side": 15, "width": 384},
        ema=0.998,
        shapes_share=0.5,
        patch=192,
    )


def pretrain_known() -> PretrainConfig:
    """Return settings for the unfolded network with a kernel of any shape that is known, and noise that is."""
    return replace(
        pretrain_photo(),
        steps=10_500,
        learning_rate=7e-4,
        prior_high=5.0,
        bicubic_share=0.4,
        plain_share=0.4,
        shapes_share=0.2,
        largest=3.0,
        noise=10.0,
        photographs=False,
    )


def pretrain_fine() -> PretrainConfig:
    """Return settings for the unfolded network for scale 4 on a grid twice as fine, from the weights for scale 2."""
    known = pretrain_known()
    return replace(
        known,
        scales=(4,),
        network={**known.network, "packed": 3},
        kernel_size=21,
        prior_high=10.0,
        patch=144,
        batch=4,
        clip=0.1,
        steps=8_000,
    )


def pretrain_fine_x3() -> PretrainConfig:
    """Return the settings of the unfolded network for scale 3, from the weights for photographs at scales 3 and 4."""
    return replace(pretrain_fine(), scales=(3,), prior_high=7.5, batch=6, steps=6_000)


def meta_train_cpu() -> MetaTrainConfig:
    """Return settings for two hours on one CPU core: a start that learns the kernel, for all five of the paper's.

    Episodes are as at test time: one picture as support, the middle of it as query. The inner step is learned too.
    They go on from `meta_train_begin`, and count on a processor that multiplies bfloat16.
    """
    return MetaTrainConfig(
        steps=6_000,
        learning_rate=4e-4,
        decay="cosine",
        floor=1e-6,
        warm_up=50,
        clip=0.15,  # three times the usual norm: one picture on which the inner steps diverge undoes an hour else
        ema=0.998,
        log_every=50,
        validate_every=100,
        prior_low=0.2,
        prior_high=5.0,
        prior_spacing="log",
        bicubic_share=0.4,
        plain_share=0.4,
        tasks=1,
        inner_steps=4,
        steps_before=6,
        curvature="full",
        curvature_sets=2,
        query_weights="uniform",
        episode="image",
        patch=224,
        patches=1,
        query_patch=112,
        border=8,
        precision="bfloat16",
    )


def meta_train_begin() -> MetaTrainConfig:
    """Return settings for the first ten minutes of stage 2 on one CPU core, from the blind network.

    Two inner steps, a high rate, three small patches: the start falls, and one update begins to repair it.
    """
    changes = {"steps": 1_500, "learning_rate": 1e-3, "inner_steps": 2, "steps_before": 0, "ema": 0.99}
    return replace(meta_train_cpu(), **changes, patch=128, patches=3, query_patch=64)


def meta_train_plain() -> MetaTrainConfig:
    """Return the settings of the preset cpu with plain steps: the paper's own algorithm, on the same budget."""
    return replace(meta_train_cpu(), curvature="none", steps_before=0)


def meta_train_first_order() -> MetaTrainConfig:
    """Return settings of first order: small episodes of the meta-test kind, plain steps, the paper's prior.

    What they learn is close to one step for all kernels; the weights for scale 4 have them.
    """
    return MetaTrainConfig(
        steps=14_000,
        learning_rate=8e-4,
        decay="cosine",
        floor=1e-6,
        warm_up=100,
        clip=1.0,
        ema=0.998,
        log_every=25,
        validate_every=250,
        inner_steps=2,
        tasks=4,
        first_order=True,
        query_weights="last",
        episode="image",
        patch=96,
        patches=1,
        precision="bfloat16",
    )


def meta_train_quick() -> MetaTrainConfig:
    """Return settings for seconds: enough to see the losses move, in a lesson or a test."""
    return MetaTrainConfig(
        steps=20,
        learning_rate=1e-3,
        ema=0.9,
        log_every=5,
        validate_every=10,
        inner_steps=2,
        tasks=2,
        patch=32,
        patches=2,
    )


def meta_train_x3() -> MetaTrainConfig:
    """Return the settings of stage 2 for scale 3, from the weights for scale 2 and their learned step: half an hour."""
    changes = {"scales": (3,), "kernel_size": 21, "prior_high": 7.5, "patch": 288, "query_patch": 144}
    return replace(meta_train_cpu(), **changes, steps=1_500, learning_rate=3e-4)


def meta_train_x4() -> MetaTrainConfig:
    """Return the settings of stage 2 for scale 4 on a CPU: larger patches, so that a LR-son has some pixels."""
    changes = {"scales": (4,), "kernel_size": 21, "steps": 4000, "inner_steps": 5, "tasks": 2, "patch": 128}
    return replace(meta_train_first_order(), **changes, patches=2)


# By the names that the commands know; the paper's settings are the defaults.
PRETRAIN: dict[str, Callable[[], PretrainConfig]] = {
    "paper": PretrainConfig,
    "cpu": pretrain_cpu,
    "quick": pretrain_quick,
    "blind": pretrain_blind,
    "specialist": pretrain_specialist,
    "plus": pretrain_plus,
    "photo": pretrain_photo,
    "photo-multi": pretrain_photo_several,
    "estimator": pretrain_estimator,
    "known": pretrain_known,
    "fine": pretrain_fine,
}
META_TRAIN: dict[str, Callable[[], MetaTrainConfig]] = {
    "paper": MetaTrainConfig,
    "cpu": meta_train_cpu,
    "begin": meta_train_begin,
    "plain": meta_train_plain,
    "first-order": meta_train_first_order,
    "quick": meta_train_quick,
}
