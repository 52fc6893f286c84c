"""The checker of the exercises: patient with a stub, exact with an answer."""

import numpy as np
import pytest
import torch

from mzsr_lib.lessons.exercises import WrongAnswer, check_exercise


def half(x):
    return x / 2


@pytest.mark.parametrize("stub", [lambda x: None, lambda x: ...])
def test_an_untouched_stub_is_no_mistake(stub, capsys):
    stub.__name__ = "half"
    check_exercise(stub, ((4,), 2))
    assert capsys.readouterr().out.startswith("half is not written yet.")


def test_a_stub_may_say_so_itself(capsys):
    def todo(x):
        raise NotImplementedError

    check_exercise(todo, ((4,), 2))
    assert "not written yet" in capsys.readouterr().out


def test_a_right_answer_is_said_to_be_right(capsys):
    check_exercise(half, ((4,), 2), ((3,), 1.50001))
    assert capsys.readouterr().out == "half is right (2 checks).\n"


def test_a_wrong_answer_raises_and_shows_both_values():
    with pytest.raises(WrongAnswer, match=r"half\(5\) gives 2\.5, not 3\."):
        check_exercise(half, ((4,), 2), ((5,), 3))


def test_an_error_in_the_answer_is_explained_and_kept():
    with pytest.raises(WrongAnswer, match=r"half\('a'\) stopped with TypeError") as caught:
        check_exercise(half, (("a",), 2))
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    ("found", "expected", "right"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 3), True),
        (torch.zeros(2, 3), torch.full((2, 3), 1e-3), False),
        (torch.zeros(3, 2), torch.zeros(2, 3), False),
        (torch.full((2,), torch.nan), torch.zeros(2), False),
        (np.zeros((2, 3)), torch.zeros(2, 3), True),
        (torch.tensor(2.0), 2, True),
        (float("nan"), 2, False),
        ("2", 2, False),
        ((1, torch.ones(2)), (1, torch.ones(2)), True),
        ([1, 2], (1, 2), True),
        ((1, 2, 3), (1, 2), False),
        (True, True, True),
        (False, True, False),
        ("left", "left", True),
        (0.0, 0, True),
    ],
)
def test_what_counts_as_the_same(found, expected, right):
    def give():
        return found

    if right:
        check_exercise(give, ((), expected))
    else:
        with pytest.raises(WrongAnswer):
            check_exercise(give, ((), expected))


def test_a_long_argument_is_cut_and_a_tensor_is_named_by_its_shape():
    with pytest.raises(WrongAnswer) as caught:
        check_exercise(lambda text, image: 1, (("a" * 100, torch.zeros(1, 3, 4, 5)), 2))
    assert "'aaa" in str(caught.value)
    assert "a tensor of shape (1, 3, 4, 5)" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_tensors_of_one_shape_are_told_apart_by_their_values():
    with pytest.raises(WrongAnswer, match=r"\(2, 3\) \(largest difference 0\.5\)\.$"):
        check_exercise(lambda: torch.full((2, 3), 0.5), ((), torch.zeros(2, 3)))
    pair = torch.zeros(2), torch.ones(3)
    with pytest.raises(WrongAnswer, match=r"\(largest difference 2\)\.$"):
        check_exercise(lambda: (pair[0], pair[1] + 2), ((), pair))
    with pytest.raises(WrongAnswer, match=r"of shape \(3,\), not a tensor of shape \(2,\)\.$"):
        check_exercise(lambda: pair[1], ((), pair[0]))
