"""Meta-transfer learning for zero-shot super-resolution (MZSR), as a small library.

>>> import mzsr_lib
>>> larger = mzsr_lib.upscale("photo.png", kernel="2.0,2.0,0", scale=2)  # doctest: +SKIP

Conventions, the same everywhere:

- An image is a float32 tensor ``(B, 3, H, W)``, RGB in [0, 1]; a single image has B = 1.
- A kernel is ``(k, k)`` with odd k, sums to 1, and its centre is at ``k // 2``.
- ``lambda1 >= lambda2 > 0`` are the eigenvalues of the kernel's covariance: variances in px^2 on
  the high-resolution grid, not standard deviations. ``theta`` is in radians, from the x axis, y down.
- ``scale`` is high resolution / low resolution, an integer. PSNR is in dB.
- Whatever is random takes a ``torch.Generator``; whatever can run on a GPU takes a ``device``.

The rooms, each of which imports only from those above it:

=============  =======================================================================================
files, shapes  errors, files that are written whole or not at all; names for the shapes of tensors
fields         what a value may be, declared beside it and checked in one place
runtime        what a process runs with: generators, device, fellow processes, precision, signals
imaging        the camera, and undoing it without learning: kernels, degradation, metrics, restoration
mzsr           the method: network, tasks, inner loop, meta-gradient, and their settings
models         other networks, and weights as files
training       how a run is run: the loop, checkpoints, the two stages, presets, recipes
methods        every way to super-resolve a picture behind one call
benchmark      measuring: data sets, the paper's numbers, the self-check, rows and tables
drawing        figures out of pictures, rows and logs
lessons        what only the notebooks need
cli            the command ``mzsr``
=============  =======================================================================================

Import modules from their room, not their contents: ``from mzsr_lib.imaging import kernels`` and then
``kernels.covariance(...)``. The names below are also here, and are imported when they are first used.
"""

import importlib

__version__ = "0.1.0"

# Where each public name lives: nothing is imported before somebody asks for it.
_PUBLIC = {
    "upscale": "methods.upscaling",
    "Picture": "imaging.picture_files",
    "example": "benchmark.datasets",
    "Degradation": "imaging.degradation",
    "KernelPrior": "imaging.kernels",
    "gaussian_kernel": "imaging.kernels",
    "covariance": "imaging.kernels",
    "estimate": "imaging.estimation",
    "restore": "imaging.restoration",
    "score": "imaging.metrics",
    "SRNetwork": "mzsr.networks",
    "adapt": "mzsr.adaptation",
    "super_resolve": "mzsr.adaptation",
    "pretrain": "training.stages",
    "meta_train": "training.stages",
    "evaluate": "benchmark.evaluation",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    """Import a public name from its room."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
