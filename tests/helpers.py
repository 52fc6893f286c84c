"""What several tests share: small pictures, the eight ways to turn one, a run of seconds."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch

from mzsr_lib.imaging.picture_sets import Pictures
from mzsr_lib.mzsr.pretraining import PretrainConfig
from mzsr_lib.runtime import generator_for
from mzsr_lib.training import checkpoints

ROOT = Path(__file__).resolve().parents[1]

# Odd and unequal, so that a swapped axis or a lost pixel shows.
HEIGHT, WIDTH = 37, 31


def picture(height: int = HEIGHT, width: int = WIDTH, batch: int = 1, seed: int = 0, dtype=torch.float32, device="cpu"):
    """A random picture (batch, 3, height, width) in [0, 1], the same on every device."""
    values = torch.rand(batch, 3, height, width, generator=generator_for(seed, "picture"), dtype=torch.float64)
    return values.to(device, dtype)


def close(a, b, tolerance: float) -> None:
    """Assert that two tensors or arrays agree to an absolute tolerance, shapes included."""
    a, b = (torch.as_tensor(x).detach().cpu().double() for x in (a, b))
    torch.testing.assert_close(a, b, atol=tolerance, rtol=0)


def dihedral(array: np.ndarray) -> list[np.ndarray]:
    """The eight flips and quarter turns of the last two axes."""
    turns = [np.rot90(array, k, axes=(-2, -1)) for k in range(4)]
    return turns + [turn[..., ::-1] for turn in turns]


def small_pictures(count: int = 5) -> Pictures:
    """Pictures of several sizes with some structure, so that a network can learn something."""
    smooth = [picture(6 + i, 5 + i, seed=i) for i in range(count + 2)]
    grown = [torch.nn.functional.interpolate(p, scale_factor=5, mode="bilinear") for p in smooth]
    return Pictures(grown[:count], grown[count:])


def small_config(**changes) -> PretrainConfig:
    """Settings of a pre-training of a second; validations and log lines fall between its checkpoints too.

    Changes of the network's own settings may be given beside the others.
    """
    network = {"channels": 4, "layers": 3}
    settings = {
        "steps": 20,
        "batch": 3,
        "patch": 8,
        "network": network | {name: changes.pop(name) for name in network.keys() & changes.keys()},
        "log_every": 4,
        "validate_every": 8,
    }
    return PretrainConfig(**({"learning_rate": 1e-3, "decay": "cosine", "floor": 1e-5} | settings | changes))


def checkpoint(folder: Path) -> dict:
    """What a run has saved to continue from."""
    return checkpoints.read(Path(folder) / "checkpoint.pt")


def log(folder: Path) -> list[dict]:
    """The lines of a run's log, without those that tell how long it took."""
    lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


def spied(monkeypatch, seen: list, what=lambda job: job) -> list:
    """Note what is measured from now on, `what` of every job, in a list."""
    from mzsr_lib.benchmark import measuring  # needs pandas, which a machine that trains need not have

    together = measuring.together

    def spy(jobs):
        for job, row in together(jobs):
            seen.append(what(job))
            yield job, row

    monkeypatch.setattr(measuring, "together", spy)
    return seen


def benchmark(name: str):
    """A program of the folder benchmarks, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program
