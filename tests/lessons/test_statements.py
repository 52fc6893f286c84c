"""What the pages say in words is what the numbers say that they stand on."""

from pathlib import Path

import nbformat
import pytest
import torch

from mzsr_lib import files
from mzsr_lib.benchmark import advice, measuring, published, selfcheck
from mzsr_lib.imaging import degradation, kernels, restoration
from mzsr_lib.lessons import ablations

ROOT = Path(__file__).resolve().parents[2]
CURVES = ROOT / "results" / "curves"


def text(number: str) -> str:
    """Return the Markdown of a page, each run of white space one space."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    return " ".join(" ".join(cell.source for cell in cells if cell.cell_type == "markdown").split())


def output(number: str, of: str) -> str:
    """Return what the cells of a page print whose code holds a text."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code" and of in cell.source]
    return "".join(out.get("text", "") for cell in cells for out in cell.outputs)


@pytest.fixture(scope="module")
def told():
    """PSNR by how far a told width is off (per cent) of MZSR after ten updates, and of the blind network."""
    rows = measuring.read(CURVES / "kernel_error.csv", ("sweep", "error"))
    rows = rows[(rows["sweep"] == "width") & (rows["agree"] == "no")]
    mzsr = rows[(rows["method"] == "mzsr") & (rows["steps"] == 10)].groupby("error")["psnr"].mean()
    return {int(error): psnr for error, psnr in mzsr.items()}, rows[rows["method"] == "blind"]["psnr"].mean()


@pytest.mark.parametrize("number", ["08", "11"])
def test_of_two_equal_mistakes_the_narrower_is_milder_and_in_doubt_the_blind_network_is_named(told, number):
    mzsr, blind = told
    assert all(mzsr[-off] > mzsr[off] for off in (10, 20, 30, 40, 50))
    assert mzsr[-20] > blind > mzsr[-30], "page 11 says where the blind network becomes as good"
    assert "milder" in text(number) and "blind" in text(number)
    assert "In doubt take the narrower" not in text(number)
    assert "in doubt tell the smaller" not in text(number)


def test_of_a_kernel_roughly_known_the_blind_network_with_agreement_makes_most():
    path = CURVES / "kernel_error.csv"
    width, angle = advice.by_error(path, "width", [-10, 10]).mean(axis=1), advice.by_error(path, "angle", [15])[15]
    for psnr in (width, angle):
        behind = psnr["Blind + agreement"] - psnr[["MZSR 10", "MZSR 10 + agreement"]]
        assert behind.round(2).between(0.1, 0.25).all()
        assert (psnr[["MZSR 10", "MZSR 10 + agreement"]] > psnr["Blind"] + 1).all()
    assert "the blind network with agreement (MZSR, with or without it, is 0.1 to 0.25 dB behind)" in text("08")
    assert "0.1 to 0.25 dB above MZSR with and without it" in text("10")


def test_the_row_that_the_check_excepts_is_in_no_comparison_with_the_paper():
    (place,) = selfcheck.EXCEPTIONS
    dataset, kernel, _ = place
    assert dataset.upper() not in {
        line.split()[0] for line in output("10", "plus.itertuples").splitlines() if kernel in line
    }
    ours, theirs = 0.702, published.lookup(dataset, kernel, 2, "bicubic", 0)
    rows = measuring.read(ROOT / "results" / "rows.csv").query(
        "dataset == @dataset and kernel == @kernel and method == 'bicubic' and scale == 2"
    )
    assert rows["ssim"].mean() == pytest.approx(ours, abs=5e-4)
    assert f"({theirs.ssim:.3f}, and bicubic gives {ours})" in text("10")
    assert "slip" not in text("10") and "printed number is probably wrong" not in text("10")


def test_the_kernel_outside_the_papers_prior_is_where_zssr_wins_in_its_tables():
    assert "on all three data sets (on Set5 34.29 against 33.74 dB)" in text("02")
    for kernel in ("g0.2d", "g2.0d", "gani_d", "g1.3b"):
        above = [
            published.lookup(name, kernel, 2, "zssr", None).psnr > published.lookup(name, kernel, 2, "mzsr", 10).psnr
            for name in ("set5", "bsd100", "urban100")
        ]
        assert all(above) == (kernel == "g0.2d")


def test_scale_3_is_as_far_from_its_neighbours_as_page_10_says():
    rows = measuring.read(ROOT / "results" / "rows.csv").query("dataset == 'set5' and scale == 3 and agree == 'no'")
    means = rows.groupby(["method", "steps", "kernel"])["psnr"].mean()
    above, below = means["mzsr", 10] - means["tikhonov", 0], means["mzsr-plus", 0] - means["mzsr", 10]
    low, high, least, most = (f"{value:.1f}" for value in (above.min(), above.max(), below.min(), below.max()))
    said = f"{low} to {high} dB above the closed form and {least} to {most} dB below MZSR-plus"
    assert said in text("10")


def test_the_picture_of_a_point_is_the_kernel_turned_by_half_a_turn():
    kernel = torch.rand(7, 7, generator=torch.Generator().manual_seed(0))
    point = torch.zeros(1, 1, 15, 15)
    point[..., 7, 7] = 1
    assert torch.equal(degradation.blur(point, kernel)[0, 0, 4:11, 4:11].flip(0, 1), kernel)
    for number in ("02", "11"):
        assert "turned by half a turn" in text(number).replace("*", "")
    assert "turn it by half a turn, and give it to" in text("02")


def test_bicubic_shrinking_blurs_as_page_02_says():
    kernel = restoration.composite_kernel(degradation.from_setting(kernels.named()["bicubic"]))
    left = restoration.transfer_function(kernel, 256, 256)[0].abs().tolist()
    gaussian = torch.exp(-2 * torch.pi**2 * 0.585 * (torch.arange(129) / 256) ** 2).tolist()
    assert left[64] == pytest.approx(0.49, abs=0.005)
    assert left[64] == pytest.approx(gaussian[64], abs=0.005)
    assert left[32] > gaussian[32] and left[96] < gaussian[96]
    assert "as a Gaussian of" in text("02")


def test_the_command_and_the_library_give_one_picture():
    assert "the pictures differ by 0 of 255 grey levels" in output("11", "main.main(")


def test_what_each_choice_of_meta_training_brings_is_said_as_it_was_measured():
    rows = files.read_rows(ROOT / "results" / "ablations.csv")
    gain, plain, rates = (ablations.against(rows, name, other="blind") for name in ("base", "plain", "rates"))
    assert f"{gain.mean:.2f} ± {gain.half:.2f} dB above ten of the blind network" in text("07")
    assert not plain.clear and not rates.clear
    assert -0.15 < plain.mean < -0.05 and 0.05 < rates.mean < 0.25
    for found in (plain, rates):
        assert f"{found.mean:.2f} ± {found.half:.2f} dB)" in text("07")
    early, late = (ablations.against(rows, "first-order", count).mean for count in (1, 10))
    assert f"ten updates end {late:.2f} dB higher" in text("06") and round(early, 1) == -0.1
    assert abs(ablations.against(rows, "restored").mean) < 0.1
