"""What a value may be: declared where it stands, as a type and a range, and checked here whoever gave it.

The fields of dataclasses, the arguments of functions and the objects of JSON files are declared alike:

>>> Odds = Annotated[float, Range(0, 1, without=1)]
>>> problem(1.5, Odds, "odds")
'odds is 1.5: it must be a number from 0 to 1, but not 1.'
>>> problem(0.5, Odds, "odds")
"""

import inspect
import math
import numbers
import reprlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

from mzsr_lib.files import InputError


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; `without` takes one of the two ends out."""

    low: float = -math.inf
    high: float = math.inf
    without: float | None = None

    def __contains__(self, value: Any) -> bool:
        return self.low <= value <= self.high and value != self.without

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"above {self.low:g}" if self.without == self.low else f"of at least {self.low:g}"
        taken_out = "" if self.without is None else f", but not {self.without:g}"
        return f"from {self.low:g} to {self.high:g}{taken_out}"


# The ranges that come again and again.
Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, without=0)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Scale = Annotated[int, Range(2, 4)]
GreyLevels = Annotated[float, Range(0, 255)]

LARGEST = sys.float_info.max
_NAMES = {
    int: "a whole number",
    float: "a number",
    numbers.Real: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "left out",
}


def check(settings: Any) -> None:
    """Raise `InputError` when a field that a dataclass is given is not what its type and its range say."""
    hints = get_type_hints(type(settings), include_extras=True)
    for field in filter(lambda one: one.init, fields(settings)):
        name = field.name.replace("_", " ") if get_origin(hints[field.name]) is Literal else field.name
        require(getattr(settings, field.name), hints[field.name], name)


def require(value: Any, hint: Any, name: str) -> None:
    """Raise `InputError` when a value is not what the type `hint` says; see `problem`."""
    _raise(problem(value, hint, name))


def check_call(function: Callable, arguments: Any, name: str, whole: bool = False) -> None:
    """Raise `InputError` when `function` cannot be called with the mapping `arguments`, which a user calls `name`.

    A ``generator`` is no such argument: it is not described, but drawn from. With `whole`, only what is None by
    default may be missing.
    """
    hints = get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)
    parameters = {key: one for key, one in inspect.signature(function).parameters.items() if key != "generator"}
    optional = (lambda one: one.default is None) if whole else (lambda one: one.default is not one.empty)
    required = [key for key, one in parameters.items() if not optional(one)]
    _raise(_problem_of_members(arguments, {key: hints[key] for key in parameters}, required, name, closed=True))


def _raise(sentence: str | None) -> None:
    if sentence:
        raise InputError(sentence)


def problem(value: Any, hint: Any, name: str) -> str | None:
    """Say in one sentence what is wrong with a value that should be of the type `hint`; None when nothing is.

    Understood are numbers, texts, ``bool``, ``None``, ``Literal``, unions, ``tuple[X, ...]``, ``Sequence``, ``Mapping``
    and ``TypedDict``, which may have more members than it names; with `Range` in ``Annotated``. A type that is none of
    them is not looked at. Numbers must be finite, but for ``numbers.Real``.
    """
    hint = get_args(hint)[0] if get_origin(hint) is Required else hint
    if is_typeddict(hint):
        return _problem_of_members(value, get_type_hints(hint, include_extras=True), hint.__required_keys__, name)
    if fits(value, hint):
        return None
    if get_origin(hint) is Literal:
        return f"There is no {name} '{value}': choose one of {', '.join(map(str, get_args(hint)))}."
    return f"{name} is {_shown(value)}: it must be {described(hint)}."


def _shown(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())


def _problem_of_members(
    given: Any, hints: Mapping[str, Any], required: Collection[str], name: str, closed: bool = False
) -> str | None:
    if not isinstance(given, Mapping):
        return f"{name} is {_shown(given)}: it must be values with names."
    for key in (*required, *given):
        if key not in given:
            return f"{name} has no '{key}': it is needed."
        if key not in hints:
            if closed:
                return f"{name} has {_shown(key)}: it may have {', '.join(hints)}."
        elif found := problem(given[key], hints[key], f"{name}.{key}"):
            return found
    return None


def fits(value: Any, hint: Any) -> bool:
    """Say whether a value is of a type, see `problem`."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Annotated, Required):
        ranges = [part for part in parts[1:] if isinstance(part, Range)]
        return fits(value, parts[0]) and all(value in one for one in ranges)
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin in (tuple, Sequence):
        return isinstance(value, (tuple, list)) and all(fits(part, parts[0]) for part in value)
    if origin in (Mapping, dict):
        whole = isinstance(value, Mapping)
        return whole and all(fits(key, parts[0]) and fits(part, parts[1]) for key, part in value.items())
    if hint is float or hint is int:
        kind = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool) and value in Range(-LARGEST, LARGEST)
    return not isinstance(hint, type) or hint not in _NAMES or isinstance(value, hint)


def described(hint: Any) -> str:
    """Return a few words for a type, see `problem`: what a value must be."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Annotated, Required):
        return " ".join([described(parts[0]), *(str(part) for part in parts[1:] if isinstance(part, Range))])
    if origin in (Union, UnionType):
        return " or ".join(map(described, parts))
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin in (tuple, Sequence):
        return f"a list, each {described(parts[0])}"
    if origin in (Mapping, dict):
        return f"values with names, each {described(parts[1])}"
    return _NAMES.get(hint, str(hint))
