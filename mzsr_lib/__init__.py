"""Meta-transfer learning for zero-shot super-resolution (MZSR), as a small library.

Conventions, the same everywhere:

- An image is a float32 tensor ``(B, 3, H, W)``, RGB in [0, 1]; a single image has B = 1.
- A kernel is ``(k, k)`` with odd k, sums to 1, and its centre is at ``k // 2``.
- ``lambda1 >= lambda2 > 0`` are the eigenvalues of the kernel's covariance: variances in px^2 on
  the high-resolution grid, not standard deviations. ``theta`` is in radians, from the x axis, y down.
- ``scale`` is high resolution / low resolution, an integer. PSNR is in dB.
- Whatever is random takes a ``torch.Generator``; whatever can run on a GPU takes a ``device``.

Import the modules, not their contents: ``from mzsr_lib import kernels`` and then
``kernels.covariance(...)``.
"""

__version__ = "0.1.0"

# Each module imports only from modules before it; tests/test_house.py holds us to it.
LADDER: tuple[str, ...] = (
    "shapes",
    "files",
    "images",
    "metrics",
    "resize",
    "arrays",
    "kernels",
    "degradation",
    "estimation",
    "inverse",
    "classical",
    "inputs",
    "downloads",
    "data",
    "layers",
    "networks",
    "carn",
    "rcan",
    "architectures",
    "released",
    "tiling",
    "adaptation",
    "curvature",
    "orientations",
    "weights",
    "distributed",
    "schedule",
    "pretrain_config",
    "signals",
    "checkpoints",
    "loop",
    "training",
    "meta_learning",
    "meta_training",
    "recipes",
    "zero_shot",
    "methods",
    "baselines",
    "pictures",
    "published",
    "selfcheck",
    "evaluation",
    "jobs",
    "sweeps",
    "uncertainty",
    "typesetting",
    "tables",
    "report",
    "look",
    "panels",
    "plotting",
    "labels",
    "charts",
    "ablations",
    "showcase",
    "recurrence",
    "maps",
    "live",
    "explorer",
    "explorers",
    "widgets",
    "navigation",
    "reproduce",
    "commands",
    "training_commands",
    "table_commands",
    "cli",
)
