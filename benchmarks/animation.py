"""Show what the updates do, as an animated PNG: a part of a picture after 0, 1, ... of them.

    python benchmarks/animation.py figures/updates-animation.png [--kernel gani_d] [--updates 10]

The picture is one of scikit-image, so that the result may be kept with the project.
"""

import argparse
from pathlib import Path

from mzsr_lib.benchmark import datasets
from mzsr_lib.drawing import animation
from mzsr_lib.imaging import kernel_files
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.methods import registry

WINDOW = (40, 120, 200)  # top, left, size, px: what is super-resolved of the picture
PART = (66, 46, 60)  # the same of what is shown of that


def main() -> None:
    """Read the flags, draw, and write."""
    parser = argparse.ArgumentParser(description="Show what the updates do, as an animated PNG.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--kernel", default="gani_d")
    parser.add_argument("--updates", type=int, default=10)
    flags = parser.parse_args()
    top, left, size = WINDOW
    hr = datasets.example("astronaut")[..., top : top + size, left : left + size]
    camera = from_setting(kernel_files.parse(flags.kernel))
    methods = registry.build(f"mzsr:{flags.updates}"), registry.build("bicubic")
    animation.save(animation.updates(hr, camera, *methods, PART), flags.output)
    print(flags.output)


if __name__ == "__main__":
    main()
