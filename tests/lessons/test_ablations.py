"""The ablations: intervals by hand, pairs that share a seed, and a figure that draws the numbers of the table."""

import math

import pytest

from mzsr_lib.drawing import style
from mzsr_lib.files import InputError
from mzsr_lib.lessons import ablations


def rows_of(variant: str, last: dict[int, float], pictures: str = "held-out", updates: int = 40) -> list[dict]:
    """Rows as read from the file: strings. After 0 and 1 updates the PSNR is 2 and 1 dB lower."""
    return [
        {
            "variant": variant,
            "seed": str(seed),
            "set": pictures,
            "updates": str(updates),
            "psnr_0": f"{value - 2}",
            "psnr_1": f"{value - 1}",
            "psnr_10": f"{value}",
        }
        for seed, value in last.items()
    ]


BASE = rows_of("base", {0: 30.0, 1: 31.0, 2: 32.0})
WORSE = rows_of("random-start", {2: 31.1, 0: 29.0, 1: 29.9})  # not in the order of the base
SAME = rows_of("rates", {0: 30.5, 1: 30.5, 2: 32.2}, updates=50)
ROWS = [*SAME, *WORSE, *BASE]


def test_the_interval_of_three_runs_by_hand():
    # Of 1, 2, 3 the standard deviation is 1, and t(0.975, 2) = 4.3027 stands in every table of Student's t.
    found = ablations.estimate([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)
    assert not found.clear


def test_equal_runs_leave_no_doubt_and_fewer_than_three_all():
    assert ablations.estimate([0.5, 0.5, 0.5]) == ablations.Estimate(0.5, 0.0, 3)
    assert ablations.estimate([0.5, 0.5, 0.5]).clear
    for few in ([7.0], [6.0, 8.0]):
        assert ablations.estimate(few) == ablations.Estimate(7.0, math.inf, len(few))
        assert not ablations.estimate(few).clear
    with pytest.raises(InputError, match="at least one"):
        ablations.estimate([])


def test_differences_are_taken_between_runs_of_the_same_seed():
    # The seeds differ by 1 dB, the variant from the base by 1, 1.1 and 0.9: pairs see it, two means would not.
    found = ablations.against(ROWS, "random-start")
    assert found.mean == pytest.approx(-1.0)
    assert found.half == pytest.approx(4.3027 * 0.1 / math.sqrt(3), abs=1e-4)
    assert found.clear
    assert ablations.estimate(list(ablations.psnr(ROWS, "base", 10).values())).half > 2


def test_a_seed_without_its_pair_is_left_out():
    rows = [*BASE, *rows_of("random-start", {1: 30.0, 2: 31.0, 7: 99.0})]
    assert ablations.against(rows, "random-start") == ablations.Estimate(-1.0, math.inf, 2)
    with pytest.raises(InputError, match="no seed in common"):
        ablations.against([*BASE, *rows_of("random-start", {7: 99.0})], "random-start")


def test_the_sets_of_photographs_are_kept_apart():
    rows = [*ROWS, *rows_of("base", {0: 20.0}, "other")]
    assert ablations.psnr(rows, "base", 1, "other") == {0: 19.0}
    assert ablations.psnr(rows, "base", 1) == {0: 29.0, 1: 30.0, 2: 31.0}


def test_what_is_missing_or_twice_there_is_named():
    with pytest.raises(InputError, match="'last'"):
        ablations.psnr(ROWS, "last", 10)
    with pytest.raises(InputError, match="6 results of 'base' for 3 seeds"):
        ablations.psnr([*BASE, *BASE], "base", 10)
    with pytest.raises(InputError, match="choose 0, 1 or 10"):
        ablations.psnr(ROWS, "base", 5)
    with pytest.raises(InputError, match="question 'colour'"):
        ablations.table(ROWS, ["colour"])


def test_the_table_says_what_the_intervals_carry():
    lines = ablations.table(ROWS).splitlines()
    assert len(lines) == 2 + 3
    base, rates, random = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])
    assert base[0].startswith("base: ")
    assert base[1:] == ["40", "29.00 ± 2.48", "30.00 ± 2.48", "31.00 ± 2.48", ""]
    assert random[-1] == "-1.00 ± 0.25"
    assert rates[:2] == ["inner step: learned rates", "50"]
    assert rates[-1] == "+0.07 ± 1.27 (interval holds 0)"


def test_the_table_of_one_question_holds_the_base_and_its_answers():
    assert ablations.variants(ROWS) == ["base", "rates", "random-start"]
    assert ablations.variants(ROWS, ["inner step"]) == ["base", "rates"]
    assert len(ablations.table(ROWS, ["inner step"]).splitlines()) == 2 + 2


def test_one_seed_gives_no_interval():
    lone = [*rows_of("base", {0: 30.0}), *rows_of("random-start", {0: 29.0})]
    assert "| -1.00, one seed |" in " ".join(ablations.table(lone).split())
    assert "±" not in ablations.table(lone)
    two = [*BASE, *rows_of("random-start", {0: 29.0, 2: 30.0})]
    assert "| -1.50, 2 seeds |" in " ".join(ablations.table(two).split())
    ablations.figure(lone)


def test_the_figure_draws_the_means_and_marks_what_is_clear():
    levels, gains = ablations.figure([*rows_of("last", {0: 30.1, 1: 31.1, 2: 32.1}), *SAME, *BASE]).axes
    drawn = {bar.get_label(): bar.lines[0].get_xdata().tolist() for bar in levels.containers}
    assert drawn["10 updates"] == pytest.approx([31.0, 31.0 + 0.2 / 3, 31.1])
    assert drawn["0 updates"] == pytest.approx([value - 2 for value in drawn["10 updates"]])
    dots = [bar.lines[0] for bar in gains.containers]
    assert [float(dot.get_xdata()[0]) for dot in dots] == pytest.approx([0.2 / 3, 0.1])
    assert dots[0].get_markerfacecolor() == "white"
    assert dots[1].get_markerfacecolor() == style.COLOURS["mzsr"]
    titles = [label.get_text() for label in levels.get_yticklabels()]
    assert titles == ["the base", "inner step: learned rates", "query weights: last"]


def test_a_far_difference_is_written_and_a_start_without_training_left_out():
    rows = [*ROWS, *rows_of("blind", {0: 20.0, 1: 20.0, 2: 20.0})]
    levels, gains = ablations.figure(rows).axes
    assert [label.get_text() for label in levels.get_yticklabels()] == [
        "the base",
        "inner step: learned rates",
        "start: random",
    ]
    assert [words.get_text() for words in gains.texts] == ["\u2190 -1.00 ± 0.25"]
    assert len(gains.containers) == 1
    assert "meta-training" in ablations.table(rows)


def test_the_figure_is_always_the_same_bytes():
    assert style.png(ablations.figure(ROWS)) == style.png(ablations.figure(ROWS[::-1]))
