"""What a reader of the notebooks touches: for now, the checker of the exercises."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch

from mzsr_lib.files import Sentence


class WrongAnswer(Sentence):
    """What was written for an exercise gives something else; the message says what, and what was expected."""


def check_exercise(attempt: Callable, *cases: tuple[tuple, object], tolerance: float = 1e-4) -> None:
    """Call what a reader wrote, compare, and print one sentence.

    A function that is still a stub (it returns None or ``...``, or raises ``NotImplementedError``) is no
    mistake: the sentence says that it is not written yet.

    Parameters
    ----------
    attempt
        The reader's function.
    cases
        Pairs (arguments, expected): a tuple, and a number, text, truth value, tensor or tuple of these.
    tolerance
        Largest absolute difference of numbers.

    Raises
    ------
    WrongAnswer
        If a result differs from what was expected, or the function stops with an error.
    """
    for arguments, expected in cases:
        found = _call(attempt, arguments)
        if found is None or found is Ellipsis:
            print(f"{attempt.__name__} is not written yet. Write it in the cell above and run both cells again.")
            return
        if not _agree(found, expected, tolerance):
            given = ", ".join(map(_describe, arguments))
            said = f"gives {_describe(found)}, not {_describe(expected)}{_apart(found, expected)}"
            raise WrongAnswer(f"{attempt.__name__}({given}) {said}.")
    print(f"{attempt.__name__} is right ({len(cases)} checks).")


def _call(attempt: Callable, arguments: tuple) -> object:
    try:
        return attempt(*arguments)
    except NotImplementedError:
        return None
    except Exception as error:  # whatever a reader's code may raise
        given = ", ".join(map(_describe, arguments))
        reason = f"{type(error).__name__}: {error}"
        raise WrongAnswer(f"{attempt.__name__}({given}) stopped with {reason}.") from error


def _agree(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, tuple):
        same = isinstance(found, tuple | list | torch.Size) and len(found) == len(expected)
        return same and all(_agree(a, b, tolerance) for a, b in zip(found, expected, strict=True))
    if isinstance(expected, torch.Tensor | np.ndarray):
        if not isinstance(found, torch.Tensor | np.ndarray) or found.shape != expected.shape:
            return False
        a, b = (torch.as_tensor(x).detach().cpu().double() for x in (found, expected))
        return bool((a - b).abs().max() <= tolerance)
    if isinstance(expected, Real) and not isinstance(expected, bool):
        single = isinstance(found, torch.Tensor | np.ndarray) and len(found.shape) == 0
        return (single or isinstance(found, Real)) and abs(float(found) - float(expected)) <= tolerance
    return found == expected


def _apart(found: Any, expected: Any) -> str:
    """Say how far apart tensors of one shape are; their shapes alone would read the same."""
    if _describe(found) != _describe(expected):
        return ""
    if isinstance(expected, tuple):
        return next(filter(None, map(_apart, found, expected)), "")
    if not isinstance(expected, torch.Tensor | np.ndarray):
        return ""
    a, b = (torch.as_tensor(x).detach().cpu().double() for x in (found, expected))
    gap = float((a - b).abs().max())
    return f" (largest difference {gap:.3g})" if gap != 0 else ""


def _describe(value: object) -> str:
    if isinstance(value, torch.Tensor | np.ndarray) and len(value.shape) > 0:
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Real | torch.Tensor) and not isinstance(value, bool | int):
        return f"{float(value):.6g}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_describe, value))})"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
