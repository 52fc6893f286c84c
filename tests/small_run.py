"""A pre-training of seconds as a program of its own: for the tests that stop it, or start it twice.

Started with the variables that torchrun sets, it joins its fellows.
"""

import sys

import torch
from helpers import small_config, small_pictures

from mzsr_lib import runtime
from mzsr_lib.training.stages import pretrain


def main(output: str, steps: int) -> None:
    torch.set_num_threads(1)
    group = runtime.join("cpu")
    pretrain(small_config(steps=steps, log_every=1), [], output, group, pictures=small_pictures())
    runtime.leave()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
