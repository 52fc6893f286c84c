"""Several processes on one task: started by ``torchrun``, they share the work and agree on the result."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import distributed

from mzsr_lib.files import InputError
from mzsr_lib.shapes import Tensor


@dataclass(frozen=True)
class Group:
    """One process among its fellows: ``rank`` of ``world``, and the device it works on."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """True for the one process that writes files and shows progress."""
        return self.rank == 0

    def share(self, items: Iterable) -> list:
        """Return this process's part of the items: every world-th, from rank on."""
        return list(items)[self.rank :: self.world]

    def sum_(self, tensors: list[Tensor]) -> None:
        """Add up tensors over all processes, in place, with one message."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, wish: bool) -> bool:
        """Return True when any process wishes it; all of them must ask."""
        if self.world == 1:
            return wish
        flag = torch.tensor([float(wish)], device=self.device)
        distributed.all_reduce(flag)
        return bool(flag.item() > 0)


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; ``auto`` is the first GPU when there is one, else the CPU.

    Raises
    ------
    InputError
        If the device is unknown or not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise InputError(f"The device '{name}' is not available here: use auto, cpu or cuda.") from None
    return device


def join(device: str = "auto") -> Group:
    """Join the processes that ``torchrun`` started; alone, be a group of one.

    Each process takes the GPU of its local rank when there are GPUs (NCCL), else the CPU (gloo).
    """
    chosen = pick_device(device)
    # Shapes are static in training, so searching once for the fastest convolution pays. TF32 is torch's default there.
    torch.backends.cudnn.benchmark = chosen.type == "cuda"
    if "WORLD_SIZE" not in os.environ:
        return Group(device=chosen)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return Group(distributed.get_rank(), distributed.get_world_size(), chosen)


def leave() -> None:
    """Leave the group that `join` joined; alone, do nothing."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
