"""What is known of methods, and the one text that names a method, its updates and its agreement."""

import pytest

from mzsr_lib.files import InputError
from mzsr_lib.methods import catalogue
from mzsr_lib.methods.catalogue import ENTRIES, METHODS, Choice, choices, parse, standard, title
from mzsr_lib.methods.zero_shot import ZeroShotConfig

ABLE = [name for name in METHODS if ENTRIES[name].agrees]


def every_choice():
    """Every method that can be, with each of some updates and with and without agreement."""
    for name in METHODS:
        for steps in (0,) if ENTRIES[name].updates is None else (1, 10):
            for agree in (False, True) if ENTRIES[name].agrees else (False,):
                yield Choice(name, steps, agree)


def test_a_text_names_every_choice_and_is_read_back():
    found = list(every_choice())
    assert [parse(str(choice)) for choice in found] == found
    assert len({str(choice) for choice in found}) == len(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mzsr", Choice("mzsr", 10)),
        ("mzsr:0", Choice("mzsr")),
        ("mzsr:10+agree", Choice("mzsr", 10, True)),
        ("blind+agree", Choice("blind", 0, True)),
        ("zssr", Choice("zssr", 3000)),
        ("bicubic:0", Choice("bicubic")),
    ],
)
def test_what_is_not_said_is_the_method_s_own(text, expected):
    assert parse(text) == expected


def test_updates_and_agreement_may_be_said_apart():
    assert parse("mzsr", 3, True) == parse("mzsr:3+agree") == parse("mzsr+agree", 3)
    assert choices(["mzsr"], [1, 10, 1]) == [Choice("mzsr", 1), Choice("mzsr", 10)]
    assert choices(["mzsr:1", "bicubic", "mzsr:1"]) == [Choice("mzsr", 1), Choice("bicubic")]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((["best"],), "no method 'best': choose one of nearest, bilinear, bicubic"),
        ((["ikc"],), "no method 'ikc'"),
        ((["mzsr:ten"],), r"'mzsr:ten' names no method: write for instance mzsr, mzsr:10 or mzsr:10\+agree"),
        ((["mzsr:"],), "'mzsr:' names no method"),
        ((["mzsr+agree:10"],), r"'mzsr\+agree"),
        ((["mzsr:-1"],), "steps is -1"),
        ((["mzsr"], [-2]), "steps is -2"),
        ((["landweber"], [10]), "landweber makes no updates, and here are 10: leave the steps out"),
        ((["zssr:0"],), "give it steps, for instance 3000"),
        ((["tikhonov+agree"],), "Agreement is an option of pretrained, blind, .*, not of tikhonov"),
        ((["mzsr-plus"], (), True), "not of mzsr-plus"),
        ((["mzsr:1"], [2]), "'mzsr:1' says already"),
        ((["mzsr+agree"], (), False), r"'mzsr\+agree' says already"),
        ((["mzsr", "bicubic"], [1]), r"said apart for one method, and here are 2: write them as mzsr:10\+agree"),
        (([],), "No method is named"),
    ],
)
def test_what_names_no_method_is_refused_in_a_sentence(given, sentence):
    with pytest.raises(InputError, match=sentence):
        choices(*given)


def test_facts_fit_together():
    for name, entry in ENTRIES.items():
        assert entry.name == name and entry.title
        assert bool(entry.takes) == (entry.kind == "trained")
        assert not entry.agrees or entry.takes
        assert set(entry.shown) <= {0, 1, 10} and (entry.updates is not None or not entry.shown)
    assert len({entry.title for entry in ENTRIES.values()}) == len(ENTRIES)
    assert ENTRIES["zssr"].updates == ZeroShotConfig.steps
    assert {str(choice) for choice in standard()} >= {"bicubic", "mzsr:1", "mzsr:10", "mzsr-plus:0", "zssr:3000"}


def test_titles_name_the_updates_where_there_is_a_choice():
    shown = {str(choice): title(choice.method, choice.steps, choice.agree) for choice in every_choice()}
    assert (shown["mzsr:1"], shown["mzsr:10+agree"]) == ("MZSR 1", "MZSR 10 + agreement")
    assert (title("zssr", 3000), title("zssr", 500), title("mzsr-plus")) == ("ZSSR", "ZSSR 500", "MZSR-plus")
    assert title("something", 3) == "SOMETHING 3"
    assert len(set(shown.values())) == len(shown)


@pytest.mark.parametrize("name", ABLE)
def test_every_network_that_ends_without_it_may_agree(name):
    assert catalogue.entry_of(name).kind == "trained" and name != "mzsr-plus"
