"""A value fits its type and its range or is one sentence, in a dataclass, an argument or an object of JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Required, TypedDict

import pytest

from mzsr_lib import fields
from mzsr_lib.fields import Count, Positive, Range, Scale, Share
from mzsr_lib.files import InputError


@dataclass(frozen=True)
class Settings:
    way_back: Literal["short", "long"] = "short"
    steps: Count = 1
    rate: Positive | None = None
    scales: tuple[Scale, ...] = (2,)
    path: object = None


class Said(TypedDict, total=False):
    steps: Required[Count]
    inner: Mapping[str, float]


def call(one: Count, two: Share = 0.5, three: str | None = None, generator: object = None):
    return one


FITS = [
    (3, int),
    (3, float),
    (0.5, float),
    ("a", str),
    (True, bool),
    (None, None | int),
    ([2, 3], tuple[Scale, ...]),
    ((), Sequence[int]),
    ({"a": 1}, Mapping[str, int]),
    ("b", Literal["a", "b"]),
    (1, Annotated[float, Range(0, 1)]),
    (object(), range),  # a type that is not looked at
]
MISFITS = [
    (True, int),
    (1.0, int),
    (math.nan, float),
    (math.inf, float),
    (10**400, float),
    ("3", float),
    (1, bool),
    (None, int),
    ("23", tuple[Scale, ...]),
    ([2, 5], tuple[Scale, ...]),
    ({"a": "1"}, Mapping[str, int]),
    ({1: 1}, Mapping[str, int]),
    ([("a", 1)], Mapping[str, int]),
    (True, Literal[1]),
    ([], Literal["a"]),
    (0, Positive),
    (1, Annotated[float, Range(0, 1, without=1)]),
]


@pytest.mark.parametrize(("value", "hint"), FITS)
def test_what_fits(value, hint):
    assert fields.fits(value, hint) and fields.problem(value, hint, "it") is None


@pytest.mark.parametrize(("value", "hint"), MISFITS)
def test_what_does_not_fit_is_one_sentence(value, hint):
    sentence = fields.problem(value, hint, "this value")
    assert "this value" in sentence and sentence.endswith(".") and len(sentence) < 150


WRONG = [
    ({"way_back": "none"}, "There is no way back 'none': choose one of short, long."),
    ({"steps": 0}, "steps is 0: it must be a whole number of at least 1."),
    ({"rate": -1.0}, "rate is -1.0: it must be a number above 0 or left out."),
    ({"scales": (2, 5)}, "scales is (2, 5): it must be a list, each a whole number from 2 to 4."),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
def test_the_fields_of_a_dataclass(changes, sentence):
    fields.check(Settings())
    with pytest.raises(InputError) as caught:
        fields.check(Settings(**changes))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"steps": 1, "more": [1]}, None),
        ({"steps": 1, "inner": {"a": "b"}}, "file.inner is {'a': 'b'}: it must be values with names, each a number."),
        ({"inner": {}}, "file has no 'steps': it is needed."),
        ([1], "file is [1]: it must be values with names."),
    ],
)
def test_an_object_of_a_file_may_have_more(given, sentence):
    assert fields.problem(given, Said, "file") == sentence


@pytest.mark.parametrize(
    ("given", "whole", "part"),
    [
        ({}, False, "has no 'one'"),
        ({"one": 1, "four": 4}, False, "has 'four': it may have one, two, three"),
        ({"one": 1, "two": 2}, False, "input.two is 2: it must be a number from 0 to 1"),
        ({"one": 1}, True, "has no 'two'"),
        ("text", False, "input is 'text'"),
        ({"one": 1, "generator": None}, False, "has 'generator'"),
    ],
)
def test_the_arguments_of_a_function(given, whole, part):
    fields.check_call(call, {"one": 1, "two": 1}, "input", whole=True)
    fields.check_call(call, {"one": 1}, "input")
    with pytest.raises(InputError, match=part):
        fields.check_call(call, given, "input", whole)
