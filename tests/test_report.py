"""The table of ours beside the paper's: its order, its numbers, and its place in a text."""

import shutil

import pytest

from mzsr_lib import report, reproduce, selfcheck
from mzsr_lib.evaluation import COLUMNS
from mzsr_lib.files import InputError, write_rows


def row(dataset="set5", kernel="g2.0d", method="bicubic", steps=0, psnr=28.72, outcome=selfcheck.PASSED, **more):
    facts = dict.fromkeys(COLUMNS, "") | {"image": "a.png", "mode": "direct", "scale": 2, "ssim": 0.8449, "seconds": 1}
    given = {"dataset": dataset, "kernel": kernel, "method": method, "steps": steps, "psnr": psnr}
    return {key: str(value) for key, value in (facts | given | {"selfcheck": outcome} | more).items()}


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


ROWS = [
    row("bsd100", "gani_d", psnr=26.23, outcome=selfcheck.EXCEPTION, mode="direct"),
    row(method="mzsr", steps=10, psnr=35.05),
    row(method="mzsr", steps=1, psnr=35.0),
    row(method="mzsr", psnr=34.9),
    row(method="pretrained", psnr=29.1),
    row(method="mzsr-plus", psnr=36.9),
    row(psnr=28.70),
    row(psnr=28.76, image="b.png"),
    row("my-pictures", "mine", outcome=selfcheck.NOT_APPLICABLE, psnr=30),
    row(kernel="g0.2d", psnr=30.24),
]


def test_a_line_has_ours_beside_the_papers():
    header, _, *lines = report.table(ROWS).splitlines()
    titles = "data set|kernel|bicubic|paper: bicubic|pre-trained|MZSR 0|MZSR 1|paper: MZSR 1|MZSR 10|paper: MZSR 10"
    titles += "|MZSR-plus 0|MZSR-plus 1|MZSR-plus 10"
    assert cells_of(header) == titles.split("|")
    expected = "Set5 g2.0d 28.73 28.73 29.10 34.90 35.00 35.20 35.05 36.05 36.90 - -"
    assert cells_of(lines[1]) == expected.split()


def test_the_order_is_the_papers_and_the_unknown_comes_last():
    lines = report.table(ROWS).splitlines()[2:]
    found = [tuple(cells_of(line)[:2]) for line in lines]
    assert found == [("Set5", "g0.2d"), ("Set5", "g2.0d"), ("BSD100", "gani_d"), ("my-pictures", "mine")]


def test_what_was_not_measured_or_not_printed_is_a_dash():
    line = report.table(ROWS).splitlines()[-1]
    assert cells_of(line) == ["my-pictures", "mine", "30.00", *["-"] * 10]


def test_ssim_has_a_table_of_its_own():
    assert cells_of(report.table(ROWS, "ssim").splitlines()[3])[2:4] == ["0.845", "0.845"]
    with pytest.raises(InputError, match="no measure 'lpips': choose psnr or ssim"):
        report.table(ROWS, "lpips")


def test_differences_are_ours_minus_published():
    found = {(c["dataset"], c["kernel"], c["method"], c["steps"]): c["difference"] for c in report.cells(ROWS)}
    assert found["Set5", "g2.0d", "mzsr", "10"] == pytest.approx(-1.0)
    assert found["Set5", "g2.0d", "mzsr", "0"] is None
    assert found["my-pictures", "mine", "bicubic", "0"] is None


def test_two_results_for_one_place_are_refused():
    with pytest.raises(InputError, match="two results for bicubic on Set5"):
        report.table([row(), row(scale=4)])


def test_the_known_exception_is_named_with_both_numbers():
    text = report.exceptions([*ROWS, ROWS[0]])
    assert text == selfcheck.exception_note("bsd100", "gani_d", 2)
    assert "26.23" in text
    assert "26.00" in text
    assert report.exceptions([row()]) == ""
    assert report.readme_table(ROWS) == f"{report.table(ROWS)}\n\n{text}"


def test_the_readme_gets_the_table_and_keeps_the_rest(tmp_path):
    write_rows(tmp_path / "results" / "rows.csv", ROWS)
    before, after = "# Title\n\n", "\n\nThe end.\n"
    readme = tmp_path / "README.md"
    readme.write_text(f"{before}{report.BEGIN}\nold\n{report.END}{after}")
    for _ in range(2):
        report.refresh_readme(tmp_path)
        text = readme.read_text()
        assert report.between_marks(text) == report.readme_table(ROWS)
        assert text.startswith(before)
        assert text.endswith(after)


def test_a_readme_without_marks_is_left_alone_and_the_reason_said(tmp_path):
    write_rows(tmp_path / "results" / "rows.csv", ROWS)
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n")
    with pytest.raises(InputError, match="has no place for the table"):
        report.refresh_readme(tmp_path)
    assert readme.read_text() == "# Title\n"


def test_without_results_nothing_happens(tmp_path):
    report.refresh_readme(tmp_path)
    (tmp_path / "README.md").write_text("# Title\n")
    report.refresh_readme(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Title\n"


def test_a_refresh_writes_the_readme_too(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_first.ipynb").touch()
    write_rows(tmp_path / "results" / "rows.csv", ROWS)
    (tmp_path / "README.md").write_text(f"{report.BEGIN}{report.END}")
    monkeypatch.setattr(reproduce, "execute", lambda path, output, *rest: shutil.copy(path, output))
    monkeypatch.setattr(reproduce, "normalise", lambda path: None)
    (tmp_path / "runs" / "refresh").mkdir(parents=True)
    reproduce.refresh(tmp_path)
    assert report.between_marks((tmp_path / "README.md").read_text()) == report.readme_table(ROWS)
