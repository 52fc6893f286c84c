"""What a process runs with: seeded generators, its device and fellow processes, precision, signals to stop."""

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import distributed

from mzsr_lib.files import Failure, InputError
from mzsr_lib.shapes import Tensor

# How the convolutions are computed: the data type of the autocast, or None for the weights' own.
Precision = Literal["float32", "bfloat16"]
DEVICES = ("cpu", "cuda", "mps", "xpu")
PRECISIONS: dict[Precision, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16}


def generator_for(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator seeded by a key such as (seed, step, task).

    The same key gives the same numbers in whatever order and process the work is done. That is why a
    resumed run continues exactly, and why one process and several draw the same tasks.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)


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
    with contextlib.suppress(RuntimeError, AssertionError, ImportError):
        device = torch.device(name)
        # Some that torch knows hold no numbers ("meta"), or take another program to be used.
        if device.type in DEVICES and torch.zeros(1, device=device).item() == 0:
            return device
    able = "auto, cpu or cuda" if torch.cuda.is_available() else "auto or cpu"
    raise InputError(f"The device '{name}' is not available here: use {able}.")


def fast_precision(device: torch.device) -> Precision:
    """Return ``"bfloat16"`` where the device multiplies it in hardware, else ``"float32"``.

    That is on NVIDIA GPUs from Ampere on, and on processors with AMX, where a convolution is about four times as fast,
    or with AVX-512 for bfloat16, where it is about twice as fast.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float32"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    able = device.type == "cpu" and any(map(capabilities.get, ("amx_bf16", "avx512_bf16")))
    return "bfloat16" if able else "float32"


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager:
    """Return the context in which convolutions run in one of `PRECISIONS`; for float32 nothing is changed."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


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


class Stopped(Failure):
    """A signal asked the work to stop, and it did so cleanly; the exit code is the shell's for it: 130, or 143."""

    def __init__(self, sentence: str, number: int):
        super().__init__(sentence)
        self.code = 128 + number


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Callable[[], int]]:
    """Give a function that says which of SIGTERM and Ctrl-C arrived, 0 for none; the second interrupts at once."""
    if threading.current_thread() is not threading.main_thread():  # elsewhere signals are not received
        yield lambda: 0
        return
    received = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
