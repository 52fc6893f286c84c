"""Low-resolution pictures and kernels that others give, found by their names and scored."""

import numpy as np
import pytest
import torch
from helpers import picture
from scipy.io import savemat

from mzsr_lib.benchmark import evaluation, measuring, pairs
from mzsr_lib.cli import main
from mzsr_lib.files import InputError, read_rows
from mzsr_lib.imaging import kernel_files, kernels, metrics, picture_files
from mzsr_lib.imaging.degradation import Degradation
from mzsr_lib.methods import registry


@pytest.fixture
def div2krk(tmp_path):
    """Three pictures, each with a kernel of its own, laid out as DIV2KRK is; the kernels are off their centre."""
    for folder in ("gt", "lr_x2", "gt_k_x2"):
        (tmp_path / folder).mkdir()
    for number in (1, 2, 10):
        # The mean of a kernel and of its neighbours right and below: the mass lies half a pixel beyond the centre.
        blur = torch.nn.functional.pad(kernels.gaussian_kernel(torch.eye(2) * (1 + number / 5), 13), (1,) * 4)
        kernel = sum(blur.roll((down, right), (0, 1)) for down in (0, 1) for right in (0, 1)) / 4
        hr = torch.nn.functional.interpolate(picture(9, 10, seed=number), scale_factor=6, mode="bicubic").clamp(0, 1)
        picture_files.save(tmp_path / "gt" / f"img_{number}_gt.png", hr)
        hr = picture_files.load(tmp_path / "gt" / f"img_{number}_gt.png")
        picture_files.save(tmp_path / "lr_x2" / f"im_{number}.png", Degradation(kernel)(hr))
        savemat(tmp_path / "gt_k_x2" / f"kernel_{number}.mat", {"Kernel": kernel.double().numpy()})
    return tmp_path


def test_names_belong_together_without_the_words_of_the_trade(tmp_path):
    def paths(*names):
        return [tmp_path / name for name in names]

    sharp = paths("0801.png", "baby_HR.png", "img_1_gt.png", "img_10_gt.png", "k.png")
    others = paths("0801x2.png", "baby_x2_LR.png", "im_10.png", "im_1.png", "k.png")
    found = pairs.matched(sharp, others, "picture")
    assert [path.name for path in found] == ["0801x2.png", "baby_x2_LR.png", "im_1.png", "im_10.png", "k.png"]
    with pytest.raises(InputError, match=r"img_1_gt.png should have one picture, and there is none: names belong"):
        pairs.matched(sharp[2:3], others[2:3], "picture")
    with pytest.raises(InputError, match=r"there is 0801_LR.png and 0801x2.png"):
        pairs.matched(sharp[:1], paths("0801_LR.png", "0801x2.png"), "picture")


def test_every_picture_is_scored_with_its_own_kernel(div2krk):
    sharp, method = picture_files.paths_in(div2krk / "gt"), registry.build("tikhonov")
    settings = pairs.settings_of(sharp, div2krk / "gt_k_x2", None, "correlate")
    rows = evaluation.measure(pairs.jobs(div2krk / "gt", settings, [method], div2krk / "lr_x2"))
    assert list(rows["image"]) == ["img_10_gt.png", "img_1_gt.png", "img_2_gt.png"]
    assert set(rows["kernel"]) == {"gt_k_x2"} and rows["kernel_hash"].nunique() == 3
    for number, psnr in zip((10, 1, 2), rows["psnr"], strict=True):
        hr, lr = (picture_files.load(div2krk / name) for name in (f"gt/img_{number}_gt.png", f"lr_x2/im_{number}.png"))
        camera = Degradation(kernel_files.parse(str(div2krk / f"gt_k_x2/kernel_{number}.mat")).kernel)
        assert camera.offset == pytest.approx((0.5, 0.5), abs=1e-3)
        assert psnr == pytest.approx(metrics.protocol_psnr(method(lr, camera), hr, 2), abs=1e-3)
    averages = evaluation.means(rows)
    assert len(averages) == 1 and averages["images"][0] == 3
    # A kernel for each without low-resolution pictures: the same, since these were made so.
    made = evaluation.measure(pairs.jobs(div2krk / "gt", settings, [method]))
    assert np.allclose(made["psnr"], rows["psnr"], atol=1e-3) and not set(made["image_hash"]) & set(rows["image_hash"])


def test_a_low_resolution_picture_of_another_size_stops_everything_before_the_work(div2krk):
    picture_files.save(div2krk / "lr_x2" / "im_2.png", picture(20, 30))
    with pytest.raises(InputError, match=r"img_2_gt.png cannot be used: .* should have 30 x 27 px, and it has 30 x 20"):
        evaluation.measure(
            pairs.jobs(div2krk / "gt", [kernels.named()["g2.0d"]] * 3, [registry.build("bicubic")], div2krk / "lr_x2")
        )


def test_the_command_scores_pairs_once(div2krk, capsys, monkeypatch):
    monkeypatch.chdir(div2krk)
    line = [
        "evaluate",
        "gt",
        "--lr",
        "lr_x2",
        "--kernels",
        "gt_k_x2",
        "--method",
        "bicubic",
        "tikhonov",
        "--output",
        "rows.csv",
    ]
    assert main.main(line) == 0
    out, err = capsys.readouterr()
    assert err.count("as in files of ZSSR and KernelGAN") == 1 and out.count("| gt_k_x2  |") == 2
    rows = read_rows("rows.csv")
    monkeypatch.setattr(measuring, "together", lambda jobs: pytest.fail("measured again"))
    assert main.main(line) == 0 and read_rows("rows.csv") == rows and len(rows) == 6
    for words, sentence in (("--lr lr_x2", "Give one kernel"), ("--kernels gt_k_x2 --kernel g2.0d", "Give one kernel")):
        assert main.main(f"evaluate gt {words}".split()) == 2
        assert sentence in capsys.readouterr().err
