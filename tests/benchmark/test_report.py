"""The table of ours beside the paper's: its order, its numbers, and its place in a text."""

import shutil
from pathlib import Path

import pytest

from mzsr_lib.benchmark import evaluation, report, selfcheck, tables
from mzsr_lib.benchmark.measuring import COLUMNS, read, table_of, write
from mzsr_lib.files import InputError
from mzsr_lib.lessons import reproduce

ROOT = Path(__file__).resolve().parents[2]


def row(dataset="set5", kernel="g2.0d", method="bicubic", steps=0, psnr=28.72, outcome=selfcheck.PASSED, **more):
    facts = dict.fromkeys(COLUMNS, "") | {
        "agree": "no",
        "image": "a.png",
        "mode": "direct",
        "scale": 2,
        "ssim": 0.8449,
        "seconds": 1,
    }
    given = {"dataset": dataset, "kernel": kernel, "method": method, "steps": steps, "psnr": psnr}
    return {key: str(value) for key, value in (facts | given | {"selfcheck": outcome} | more).items()}


def shown(rows):
    """The lines of the table, each as its cells: heads, then data sets."""
    header, _, *lines = report.table(table_of(rows)).splitlines()
    return [cells_of(line) for line in (header, *lines)]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


ROWS = [
    row("bsd100", "gani_d", psnr=26.23, outcome=selfcheck.EXCEPTION, mode="direct"),
    row(method="mzsr", steps=10, psnr=35.05),
    row(method="mzsr", steps=1, psnr=35.0),
    row(method="mzsr", psnr=34.9),
    row(method="pretrained", psnr=29.1),
    row(method="mzsr-plus", psnr=36.9),
    row(psnr=28.73),
    row("my-pictures", "mine", outcome=selfcheck.NOT_APPLICABLE, psnr=30),
    row(kernel="g0.2d", psnr=30.24),
]


def test_a_line_has_ours_beside_the_papers():
    header, _, line, *_ = shown(ROWS)
    assert header == ["PSNR (dB)", "Bicubic", "MZSR 1", "paper", "MZSR 10", "paper", "MZSR-plus"]
    assert line == ["Set5, g2.0d", "28.73", "35.00", "35.20", "35.05", "36.05", "36.90"]


def test_a_narrow_table_has_the_papers_number_right_beside_ours():
    columns = [tables.Column("mzsr-plus"), tables.Column("mzsr", 10), tables.Column("zssr", 3000)]
    header, _, _, line, *more = map(cells_of, report.beside(table_of(ROWS), columns).splitlines())
    assert header == ["PSNR (dB)", "MZSR-plus", "MZSR 10", "paper", "ZSSR"]
    assert line == ["Set5, g2.0d", "36.90", "35.05", "36.05", "-"]
    assert more[-1] == ["my-pictures, mine", "-", "-", "-", "-"]


def test_few_columns_stand_beside_each_other_and_agreement_is_in_the_whole_tables():
    more = [row(method="blind", psnr=31), row(method="blind", psnr=33, agree="yes"), row(method="tikhonov", psnr=34)]
    more += [row(method="mzsr", steps=10, psnr=36, agree="yes"), row(method="zssr", steps=3000, psnr=35)]
    header, _, line, *_ = shown(ROWS + more)
    assert header[1:6:2] == ["Bicubic", "MZSR 1", "MZSR 10"] and header[2] == "Blind"
    assert line[1:6:2] == ["28.73", "35.00", "35.05"] and line[2] == "31.00"


def test_the_order_is_the_papers_and_the_unknown_comes_last():
    assert [line[0] for line in shown(ROWS)[1:]] == [
        "Set5, g0.2d",
        "Set5, g2.0d",
        "BSD100, gani_d",
        "my-pictures, mine",
    ]


def test_what_was_not_measured_or_not_printed_is_a_dash():
    assert shown(ROWS)[-1] == ["my-pictures, mine", "30.00", *["-"] * 5]


def test_differences_are_ours_minus_published():
    cells = report.cells(table_of(ROWS)).set_index(["dataset", "kernel", "method", "steps"])["difference"]
    assert cells["Set5", "g2.0d", "mzsr", 10] == pytest.approx(-1.0)
    assert cells[[("Set5", "g2.0d", "mzsr", 0), ("my-pictures", "mine", "bicubic", 0)]].isna().all()


def test_two_results_for_one_place_are_refused():
    with pytest.raises(InputError, match="two results for bicubic on Set5"):
        report.table(table_of([row(), row(selfcheck=selfcheck.NOT_APPLICABLE)]))


def test_the_known_exception_is_named_with_both_numbers():
    (text,) = evaluation.exceptions(table_of([*ROWS, ROWS[0]]))
    assert text == selfcheck.exception_note("bsd100", "gani_d", 2)
    assert "26.23" in text
    assert "26.00" in text
    assert evaluation.exceptions(table_of([row()])) == []
    assert report.readme_table(table_of(ROWS)) == f"{report.table(table_of(ROWS))}\n\n{text}"


def test_another_scale_has_a_table_of_its_own():
    x4 = [row(scale=4, psnr=24.74), row(method="mzsr-plus", scale=4, psnr=30.0, weights="mzsr-plus-multi")]
    both = table_of([*ROWS, *x4])
    assert report.table(both) == report.table(table_of(ROWS))
    assert cells_of(report.table(both, scale=4).splitlines()[2])[1:] == ["24.74", "30.00"]
    text = report.readme_table(both)
    assert text.startswith(report.readme_table(table_of(ROWS)))
    assert text.endswith("At x4 MZSR-plus has the weights `mzsr-plus-multi`.")
    assert set(report.cells(both)["scale"]) == {2}


def test_weights_for_one_scale_go_before_those_for_several():
    own, other = (
        row(method="mzsr", steps=1, weights=name, psnr=p) for name, p in (("mzsr-x2", 31), ("mzsr-multi", 30))
    )
    for rows in ([own, other], [other, own]):
        assert shown(rows)[1][1] == "31.00"
        assert report.other_weights(table_of(rows), 2) == ""
    assert shown([other])[1][1] == "30.00"


def test_a_mean_over_some_of_the_pictures_says_so():
    rows = [row(image="a.png"), row(image="b.png"), row(method="mzsr", steps=1, psnr=31)]
    assert shown(rows)[1][1:3] == ["28.72", "31.00 (1)"]


def outdated(root: Path) -> list[str]:
    """Return the names of the files that do not show what ``results/rows.csv`` holds."""
    wanted = report.pages(root).items()
    return [path.name for path, text in wanted if not path.is_file() or path.read_text(encoding="utf-8") != text]


def filled(root, rows=ROWS):
    """A project with rows, and a README with a place for their table."""
    write(root / "results" / "rows.csv", table_of(rows))
    (root / "README.md").write_text(f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nThe end.\n")
    return root


def test_the_readme_gets_the_table_and_keeps_the_rest(tmp_path):
    readme = filled(tmp_path) / "README.md"
    for _ in range(2):
        report.refresh(tmp_path)
        text = readme.read_text()
        assert report.between_marks(text) == report.readme_table(table_of(ROWS))
        assert text.startswith("# Title\n\n")
        assert text.endswith("\n\nThe end.\n")
    assert (tmp_path / "results" / "tables.md").read_text() == tables.as_markdown(table_of(ROWS))
    assert outdated(tmp_path) == []


def test_a_digit_that_changes_is_noticed_in_every_page(tmp_path):
    report.refresh(filled(tmp_path))
    changed = [{**ROWS[1], "psnr": "35.15"}, *ROWS[:1], *ROWS[2:]]
    write(tmp_path / "results" / "rows.csv", table_of(changed))
    assert outdated(tmp_path) == ["README.md", "tables.md", "tables.tex"]
    report.refresh(tmp_path)
    (tmp_path / "results" / "tables.tex").unlink()
    assert outdated(tmp_path) == ["tables.tex"]


def test_the_pages_of_this_project_show_its_rows():
    assert outdated(ROOT) == [], "run `make refresh`"


def test_a_digit_of_the_measured_rows_shows_in_the_pages_of_this_project(tmp_path):
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "results", tmp_path / "results", ignore=lambda folder, names: {"jobs", "quick", "full"})
    rows = read(ROOT / "results" / "rows.csv")
    rows.loc[(rows["method"] == "bicubic").idxmax(), "psnr"] += 1
    write(tmp_path / "results" / "rows.csv", rows)
    assert outdated(tmp_path) == ["README.md", "tables.md", "tables.tex"]


def test_a_readme_without_marks_is_left_alone_and_the_reason_said(tmp_path):
    write(tmp_path / "results" / "rows.csv", table_of(ROWS))
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n")
    with pytest.raises(InputError, match="has no place for the table"):
        report.refresh(tmp_path)
    assert readme.read_text() == "# Title\n"


def test_without_results_nothing_happens(tmp_path):
    report.refresh(tmp_path)
    (tmp_path / "README.md").write_text("# Title\n")
    report.refresh(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# Title\n"


def test_a_refresh_writes_the_readme_too(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_first.ipynb").touch()
    write(tmp_path / "results" / "rows.csv", table_of(ROWS))
    (tmp_path / "README.md").write_text(f"{report.BEGIN}{report.END}")
    monkeypatch.setattr(reproduce, "execute", lambda path, output, *rest: shutil.copy(path, output))
    monkeypatch.setattr(reproduce, "normalise", lambda path: None)
    (tmp_path / "runs" / "refresh").mkdir(parents=True)
    reproduce.refresh(tmp_path)
    assert report.between_marks((tmp_path / "README.md").read_text()) == report.readme_table(table_of(ROWS))
