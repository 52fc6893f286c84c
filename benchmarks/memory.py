"""How much memory and time an enlargement takes, by the size of its result: one process for each.

    python benchmarks/memory.py results/curves/memory.csv [--megapixels 3 12 50] [--methods bicubic tikhonov mzsr-plus]

The memory is the largest that the process ever held (the system's count), Python, torch and the picture file included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from tqdm import tqdm

from mzsr_lib import files
from mzsr_lib.imaging import picture_files
from mzsr_lib.runtime import generator_for

SCALE = 2
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in which the system counts


def main() -> None:
    """Measure, and write a row for each size and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[3, 6, 12, 25, 50])
    parser.add_argument("--methods", nargs="+", default=["bicubic", "tikhonov", "mzsr-plus"])
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for millions in tqdm(arguments.megapixels, unit="size", disable=None):
            lr = Path(folder) / "lr.png"
            picture_files.save(lr, smooth(millions))
            for method in arguments.methods:
                rows.append(measured(lr, millions, method))
                files.write_rows(arguments.output, rows)


def smooth(millions: float) -> torch.Tensor:
    """Return a low-resolution picture of which the result has so many million pixels, 4 : 3, with soft shapes."""
    height = max(round((millions * 1e6 * 3 / 4) ** 0.5 / SCALE), 8)
    few = torch.rand(1, 3, 8, 11, generator=generator_for("memory"))
    return F.interpolate(few, (height, round(height * 4 / 3)), mode="bicubic").clamp(0, 1)


def measured(lr: Path, millions: float, method: str) -> dict[str, object]:
    """Return the row of a method: seconds of wall clock, and the largest memory in GB."""
    words = ["upscale", str(lr), str(lr.with_name("sr.png")), "--kernel", "g2.0d", "--method", method]
    command = [sys.executable, "-m", "mzsr_lib.cli", *words, "--overwrite", "--quiet", "--device", "cpu"]
    began = time.perf_counter()
    child = subprocess.Popen(command)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here, and not by its object
    if child.returncode:
        raise files.Failure(f"{method} failed at {millions:g} million pixels.")
    seconds = time.perf_counter() - began
    return {
        "method": method,
        "megapixels": millions,
        "seconds": round(seconds, 1),
        "memory_gb": round(used.ru_maxrss * UNIT / 1e9, 2),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": files.git_commit(),
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
