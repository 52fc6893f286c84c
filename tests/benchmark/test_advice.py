"""What to use when is the mean of the rows, whoever is told."""

import pytest

from mzsr_lib import files
from mzsr_lib.benchmark import advice
from mzsr_lib.files import InputError


def rows(method, by_error, steps=0, agree="no", sweep="width"):
    place = {"sweep": sweep, "method": method, "steps": steps, "agree": agree}
    return [place | {"error": error, "image": i, "psnr": psnr + i} for error, psnr in by_error.items() for i in (0, 1)]


TOLD = {-50: 20.0, -20: 25.0, 0: 30.0, 20: 27.0, 50: 22.0}


def test_either_side_counts_and_who_is_told_nothing_has_one_number(tmp_path):
    found = rows("mzsr", TOLD, 10) + rows("blind", {"": 26.0}) + rows("mzsr", {0: 99.0}, 10, sweep="angle")
    files.write_rows(tmp_path / "rows.csv", found)
    table = advice.use_when(tmp_path / "rows.csv")
    assert list(table.columns) == ["kernel exact", "20 % off", "50 % off"]
    assert table.loc["Blind"].tolist() == [26.5] * 3
    assert table.loc["MZSR 10"].tolist() == [30.5, 26.5, 21.5]
    assert advice.markdown(table).splitlines()[2:] == [
        "| Blind       |          26.50 |  **26.50** |  **26.50** |",
        "| MZSR 10     |      **30.50** |  **26.50** |      21.50 |",
    ]


@pytest.mark.parametrize("found", [rows("mzsr", {0: 30.0}, 10), rows("mzsr", TOLD, 10, sweep="angle")])
def test_what_was_not_measured_is_said(tmp_path, found):
    files.write_rows(tmp_path / "rows.csv", found)
    with pytest.raises(InputError, match="lacks rows of the sweep 'width'"):
        advice.use_when(tmp_path / "rows.csv")


def test_each_side_and_each_sweep_has_its_own_numbers(tmp_path):
    found = rows("mzsr", TOLD, 10) + rows("mzsr", {0: 40.0, 15: 35.0}, 10, sweep="angle")
    files.write_rows(tmp_path / "rows.csv", found + rows("blind", {"": 26.0}, sweep="angle"))
    assert advice.by_error(tmp_path / "rows.csv", "width", [-20, 0, 20]).loc["MZSR 10"].tolist() == [25.5, 30.5, 27.5]
    angle = advice.by_error(tmp_path / "rows.csv", "angle", [0, 15])
    assert {name: line.tolist() for name, line in angle.iterrows()} == {"Blind": [26.5, 26.5], "MZSR 10": [40.5, 35.5]}
    with pytest.raises(InputError, match="lacks rows of the sweep 'angle'"):
        advice.by_error(tmp_path / "rows.csv", "angle", [0, 30])
