"""The paper's layout from rows made by hand, its marks, intervals and shares, in Markdown and in LaTeX."""

import shutil
import subprocess

import numpy as np
import pytest

from mzsr_lib.benchmark import intervals, published, selfcheck, tables
from mzsr_lib.benchmark.measuring import COLUMNS, table_of, write
from mzsr_lib.benchmark.tables import Column, Layout, Piece
from mzsr_lib.files import InputError


def rows_of(
    method, psnr, dataset="set5", kernel="g2.0d", scale=2, steps=0, weights="", outcome=selfcheck.PASSED, agree="no"
):
    """A row for each value of PSNR (dB); pictures are called a.png, b.png, ..."""
    place = {"dataset": dataset, "kernel": kernel, "scale": scale, "mode": "direct", "selfcheck": outcome}
    facts = dict.fromkeys(COLUMNS, "") | place | {"method": method, "steps": steps, "weights": weights, "seconds": 1}
    facts["agree"] = agree
    return [
        {k: str(v) for k, v in (facts | {"image": f"{name}.png", "psnr": value, "ssim": value / 40}).items()}
        for name, value in zip("abcdefgh", psnr, strict=False)
    ]


ROWS = [
    *rows_of("mzsr", [35, 36], steps=10, weights="mzsr-x2"),
    *rows_of("mzsr", [34, 36], steps=1, weights="mzsr-x2"),
    *rows_of("mzsr", [20, 20], weights="mzsr-x2"),
    *rows_of("bicubic", [28, 29]),
    *rows_of("bicubic", [27, 28], "bsd100", "gani_d", outcome=selfcheck.EXCEPTION),
]


def texts(layout):
    return layout.texts(lambda piece: f"{piece.style}:{piece.text}" if piece.style else piece.text)


def layout_of(rows, number=0):
    return tables.layouts(table_of(rows))[number]


def test_ours_stand_above_the_papers_and_only_ours_are_marked():
    layout = layout_of(ROWS)
    assert layout.title == "Table 2: four kernels, x2"
    assert layout.headers == ["kernel", "data set", "", "Bicubic", "RCAN", "IKC", "ZSSR", "MZSR 1", "MZSR 10"]
    ours, theirs, *_ = texts(layout)
    assert ours[:4] == ["g2.0d", "Set5", "measured", "28.50 / 0.7125"]
    assert ours[4:7] == ["-"] * 3
    assert ours[7:] == ["second:35.00 / second:0.8750", "best:35.50 / best:0.8875"]
    assert theirs[2:4] == ["published:published", "published:28.73 / 0.8449"]
    printed = [published.lookup("set5", "g2.0d", 2, *key) for key in (("rcan", 0), ("ikc", 0), ("zssr", None))]
    assert theirs[4:7] == [f"published:{value.psnr:.2f} / {value.ssim:.4f}" for value in printed]


def test_every_setting_has_its_table_and_the_exception_its_sentence():
    rows = [*ROWS, *rows_of("bicubic", [33.6], kernel="bicubic"), *rows_of("bicubic", [24.7], scale=4)]
    rows += rows_of("bicubic", [25], scale=3, outcome=selfcheck.NOT_APPLICABLE)
    rows += rows_of("bicubic", [26], kernel="mine", outcome=selfcheck.NOT_APPLICABLE)
    found = {layout.title: layout for layout in tables.layouts(table_of(rows))}
    assert list(found) == [
        "Table 1: bicubic, x2",
        "Table 2: four kernels, x2",
        "Table 3: x4",
        "x3, not in the paper",
        "Other kernels, x2",
        *(f"Intervals and wins, x{scale}" for scale in (2, 3, 4)),
    ]
    assert texts(found["x3, not in the paper"]) == [["g2.0d", "Set5", "measured", "25.00 / 0.6250"]]
    assert "MZSR multi-scale 1" in found["Table 3: x4"].headers
    assert selfcheck.exception_note("bsd100", "gani_d", 2) in found["Table 2: four kernels, x2"].notes


def test_a_rehearsal_says_how_many_pictures_it_had():
    by_name = {layout.title: layout for layout in tables.layouts(table_of(ROWS))}
    table = by_name["Table 2: four kernels, x2"]
    assert "Set5 with g2.0d: only 2 of 5 pictures were measured; the published numbers are of all." in table.notes
    whole = layout_of(rows_of("bicubic", [28, 29, 30, 31, 32]))
    mine = layout_of(rows_of("bicubic", [28], "holiday"))
    assert not [note for layout in (whole, mine) for note in layout.notes if "only" in note]


def test_the_papers_numbers_need_a_passed_self_check():
    rows = rows_of("bicubic", [28], outcome=selfcheck.NOT_APPLICABLE)
    assert texts(layout_of(rows)) == [["g2.0d", "Set5", "measured", "28.00 / 0.7000"]]


def test_a_method_is_in_the_table_under_its_title_and_its_weights():
    shown = {
        "mzsr-plus-x2": Column("mzsr-plus"),
        "mzsr-plus-multi": Column("mzsr-plus", weights="multi"),
        "runs/mine.safetensors": Column("mzsr-plus", weights="mine"),
    }
    for name, column in shown.items():
        assert tables.column_of(rows_of("mzsr-plus", [1], weights=name)[0]) == column
    assert Column("mzsr-plus", weights="multi").title == "MZSR-plus (multi)"
    assert Column("mzsr", 10, True).title == "MZSR 10 + agreement"
    assert tables.column_of(rows_of("blind", [1], agree="yes")[0]) == Column("blind", agree=True)


def test_agreement_has_a_column_of_its_own_next_to_the_method_without():
    rows = [row for agree in ("yes", "no") for row in rows_of("blind", [30, 31], agree=agree)]
    rows += [row for agree in ("yes", "no") for row in rows_of("mzsr", [32, 33], steps=10, agree=agree)]
    heads = [head for head in layout_of(rows).headers if head.startswith(("Blind", "MZSR"))]
    assert heads == ["Blind", "Blind + agreement", "MZSR 1", "MZSR 10", "MZSR 10 + agreement"]
    theirs = dict(zip(layout_of(rows).headers, texts(layout_of(rows))[1], strict=True))
    assert theirs["MZSR 10"].startswith("published:36.05") and theirs["MZSR 10 + agreement"] == "-"


def test_rows_without_the_column_of_agreement_are_without_it():
    old = [{key: value for key, value in row.items() if key != "agree"} for row in ROWS]
    assert tables.as_markdown(table_of(old)) == tables.as_markdown(table_of(ROWS))


def test_weights_of_two_names_have_two_columns():
    rows = rows_of("mzsr-plus", [30], weights="mzsr-plus-multi") + rows_of("mzsr-plus", [31], weights="mzsr-plus-x2")
    assert layout_of(rows).headers[-2:] == ["MZSR-plus", "MZSR-plus (multi)"]


def test_who_has_fewer_pictures_is_neither_marked_nor_a_winner():
    rows = rows_of("bicubic", [28, 29]) + rows_of("zssr", [40], steps=3000) + rows_of("tikhonov", [30, 28])
    line = texts(layout_of(rows))[0]
    assert "best:29.00 / best:0.7250" in line and "40.00 / 1.0000 / 1 pictures" in line
    wins = {line[2]: line[-1] for line in texts(layout_of(rows, 1))}
    assert wins == {"Bicubic": "50 %", "Tikhonov": "50 %", "ZSSR": "-"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([30.0, 29.0, 28.0], ["best", "second", ""]),
        ([30.0, 30.004, 29.0], ["best", "best", "second"]),
        ([30.0, 29.0, 29.0], ["best", "second", "second"]),
        ([30.0], [""]),
        ([9.5, 10.0], ["second", "best"]),
    ],
)
def test_marks_go_by_what_is_printed(values, expected):
    columns = [Column(str(n)) for n in range(len(values))]
    assert list(tables.marks(dict(zip(columns, values, strict=True)), 2).values()) == expected


def test_intervals_and_wins_stand_beside_the_means():
    layout = layout_of(ROWS, 1)
    assert layout.long
    lines = {tuple(line[:3]): line[3:] for line in texts(layout)}
    assert list(lines) == [("Set5", "g2.0d", m) for m in ("Bicubic", "MZSR 1", "MZSR 10")] + [
        ("BSD100", "gani_d", "Bicubic")
    ]
    assert lines["Set5", "g2.0d", "MZSR 1"] == ["2", "35.00", "34.00 to 36.00", "0.8750", "0.8500 to 0.9000", "25 %"]
    assert [lines["Set5", "g2.0d", m][-1] for m in ("Bicubic", "MZSR 10")] == ["0 %", "75 %"]


# Intervals and shares


def test_the_interval_of_a_constant_is_that_constant():
    assert intervals.interval([31.25] * 7) == pytest.approx((31.25, 31.25))
    assert intervals.interval([30.0]) == (30.0, 30.0)


def test_an_interval_of_many_values_is_that_of_the_normal_law():
    values = np.random.default_rng(0).normal(30, 2, size=400)
    expected = values.mean() + np.array([-1, 1]) * 1.96 * values.std() / 20
    found = intervals.interval(values.tolist())
    assert found == pytest.approx(tuple(expected), abs=0.02)
    assert found == intervals.interval(values.tolist()) != intervals.interval(values.tolist(), seed=1)


def test_an_interval_covers_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(1).normal(30, 2, size=(300, 40)).tolist()
    covered = [low <= 30 <= high for low, high in (intervals.interval(values, resamples=500) for values in draws)]
    assert 0.90 <= np.mean(covered) <= 0.98


def test_a_wider_level_gives_a_wider_interval():
    low, high = intervals.interval([28.0, 30.0, 35.0], level=0.5)
    lower, higher = intervals.interval([28.0, 30.0, 35.0], level=0.95)
    assert lower < low < 31 < high < higher
    with pytest.raises(InputError, match="at least one value"):
        intervals.interval([])


def test_shares_sum_to_one_and_ties_are_split():
    assert intervals.wins({"a": [3, 3, 1, 2], "b": [1, 3, 2, 2]}) == {"a": 0.5, "b": 0.5}
    scores = {name: np.random.default_rng(name).integers(0, 4, size=50).tolist() for name in range(5)}
    assert sum(intervals.wins(scores).values()) == pytest.approx(1)
    assert intervals.wins({}) == {}


# Markdown and LaTeX

STYLED = Layout(
    "A_1",
    ["kernel", "50 %"],
    [[(Piece("gani_d"),), (Piece("1", "best"), Piece("2", "second"))], [(Piece("b & c"),), (Piece("3", "published"),)]],
    ["A note."],
    words=1,
)


def test_markdown_has_bold_underline_and_italics():
    *lines, _, note = tables.markdown(STYLED).splitlines()
    assert lines[0] == "## A_1" and note == "A note."
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0] == ["kernel", "50 %"]
    assert cells[2:] == [["gani_d", "**1** / <u>2</u>"], ["b & c", "*3*"]]


def test_latex_escapes_names_and_marks_as_the_paper_does():
    text = tables.latex(STYLED)
    assert r"gani\_d & \textbf{\textcolor{red}{1}} / \underline{\textcolor{blue}{2}} \\" in text
    assert r"b \& c & \textit{3} \\" in text
    assert r"\caption{A\_1. A note.}" in text and r"kernel & 50 \% \\" in text
    assert tables.escaped("a\\b~^{}") == r"a\textbackslash{}b\textasciitilde{}\textasciicircum{}\{\}"


def test_latex_is_well_formed():
    text = tables.as_latex(table_of(ROWS))
    opened, stack = 0, []
    for line in text.splitlines():
        plain = line.replace(r"\{", "").replace(r"\}", "")
        opened += plain.count("{") - plain.count("}")
        if r"\begin{" in line:
            stack.append(line.split(r"\begin{")[1].split("}")[0])
        if r"\end{" in line:
            assert stack.pop() == line.split(r"\end{")[1].split("}")[0]
    assert opened == 0 and not stack
    for name, layout in zip(("tabular", "longtable"), tables.layouts(table_of(ROWS)), strict=True):
        body = text.split(rf"\begin{{{name}}}")[1].split(rf"\end{{{name}}}")[0].splitlines()
        lines = [line for line in body if line.endswith(r"\\") and "caption" not in line]
        assert {line.count(" & ") for line in lines} == {len(layout.headers) - 1}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_latex_compiles(tmp_path):
    use = "".join(rf"\usepackage{{{name}}}" for name in tables.PACKAGES)
    page = rf"\documentclass{{article}}{use}\begin{{document}}{tables.as_latex(table_of(ROWS))}\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    command = ["pdflatex", "-interaction=batchmode", "-halt-on-error", "page.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_the_pages_are_written_beside_the_rows(tmp_path):
    write(tmp_path / "rows.csv", table_of(ROWS))
    page, tex = tables.write(tmp_path)
    assert page.read_text() == tables.as_markdown(table_of(ROWS))
    assert tex.read_text() == tables.as_latex(table_of(ROWS))
    assert page.read_text().startswith("# Tables\n\nMade from rows.csv")
