"""The command line as a user meets it: what it writes, what it says, and with which code it ends."""

import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import picture, spied
from PIL import Image

from mzsr_lib import files, runtime
from mzsr_lib.benchmark import measuring, selfcheck
from mzsr_lib.cli import main, targets, training
from mzsr_lib.imaging import degradation, kernel_files, picture_files
from mzsr_lib.imaging.decoding import MAX_PIXELS
from mzsr_lib.methods.catalogue import METHODS
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for
from mzsr_lib.training import loop, presets, recipes, stages

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def given(tmp_path):
    """A folder with what a user could hand over, good and bad."""
    folder = tmp_path / "given"
    picture_files.save(folder / "good.png", picture(53, 47))
    picture_files.save(folder / "even.png", picture(64, 60))
    picture_files.save(folder / "tiny.png", picture(19, 60))
    (folder / "void.png").touch()
    (folder / "text.png").write_text("no picture\n")
    Image.new("LAB", (60, 60)).save(folder / "lab.tif")
    np.save(folder / "huge.npy", np.full((5, 5), 1e308))
    np.save(folder / "zero.npy", np.zeros((5, 5)))
    np.save(folder / "delta.npy", np.ones((1, 1)))
    np.save(folder / "box.npy", np.ones((3, 3)))
    network = SRNetwork(4, 3, generator_for("given"))
    weights.save(folder / "x2.safetensors", network, dict(network.named_parameters()), {"scale": 2})
    (folder / "empty").mkdir()
    (folder / "many").mkdir()
    for seed in range(9):
        picture_files.save(folder / "many" / f"{seed}.png", picture(40 + seed, 41, seed=seed))
    return folder


@pytest.fixture
def run(tmp_path, given, monkeypatch, capsys):
    """Run a command line, written as one string, in an empty folder; return (code, stdout, stderr)."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("MZSR_DEBUG", raising=False)

    def call(line):
        try:
            code = main.main(line.replace("GIVEN", str(given)).split())
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def written() -> list[str]:
    """What lies in the current folder."""
    return sorted(str(path) for path in Path().rglob("*"))


def look(path: str | Path) -> tuple[str, tuple[int, int], np.ndarray]:
    """Pillow's mode and size (width, height) of a picture file, and its values."""
    with Image.open(path) as opened:
        return opened.mode, opened.size, np.array(opened)


GROUPED = [f"{name} {own}" for name, (_, members) in main.GROUPS.items() for own in members()]
COMMANDS = [*main.COMMANDS, *GROUPED]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    code, out, err = run(f"{command} --help")
    assert (code or 0, err) == (0, "")
    assert f"Example: mzsr {command}" in out


def test_the_overview_names_every_command(run):
    overview = run("--help")[1]
    assert all(name in overview for name in (*main.COMMANDS, *main.GROUPS))
    assert "Example" not in overview
    for command in GROUPED:
        group, own = command.split()
        assert own in run(f"{group} --help")[1]
    assert run("--version")[1].startswith("mzsr ")


@pytest.mark.parametrize("command", [*main.COMMANDS, "data list", "data fetch"])
def test_a_help_names_a_default_only_where_there_is_one(run, command):
    code, out, _ = run(f"{command} --help")
    assert code == 0 and "Example: mzsr " in out
    assert not re.search(r"\(default:[\s│]*(None)?\)", out)


@pytest.mark.parametrize("command", ["pretrain quick", "meta-train quick"])
def test_what_none_means_is_said_where_it_is_the_default(run, command):
    words = " ".join(run(f"{command} --help")[1].replace("│", " ").split())
    flags = [flag for flag in re.split(r" (?=--[a-z])", words) if flag.endswith("(default: None)")]
    assert flags and all("None for " in flag for flag in flags), flags


# What tyro refuses, out of its frame: code 2, and a plain line that says what is wrong.
MISTYPED = [
    ("", "Behind 'mzsr' a word is missing: degrade, upscale"),
    ("enhance", "There is no 'mzsr enhance': choose from degrade, upscale, "),
    ("upscal a.png b.png", "There is no 'mzsr upscal' (perhaps 'upscale' is meant): choose from degrade"),
    ("data", "Behind 'mzsr data' a word is missing: list, fetch"),
    ("data fetchh set5", "There is no 'mzsr data fetchh' (perhaps 'fetch' is meant): choose from list, fetch"),
    (
        "upscale GIVEN/good.png x.png --kernel g2.0d --steps ten",
        "--steps was given 'ten': it takes a whole number. See mzsr upscale --help",
    ),
    ("upscale GIVEN/good.png x.png --noise much", "--noise was given 'much': it takes a number. See mzsr upscale"),
    ("pretrain cpu --data D --output O --steps 1.5", "--steps was given '1.5': it takes a whole number. See mzsr pre"),
    ("evaluate set5 --steps ten", "--steps was given 'ten': it takes numbers. See mzsr evaluate --help"),
    ("upscale GIVEN/good.png --frob 3", "'mzsr upscale' does not know --frob. See mzsr upscale --help"),
    ("degrade GIVEN/good.png lr.png", "Missing from mzsr degrade: --kernel KERNEL. See mzsr degrade --help"),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --scale two", "'two'"),
    (
        "degrade GIVEN/good.png lr.png --kernel g2.0d --scale 5",
        "--scale was given '5': it takes one of 2, 3, 4. See mzsr degrade --help",
    ),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --skale 2", "does not know --skale: perhaps --scale is meant. See"),
    ("upscale a.png b.png --methods mzsr", "'mzsr upscale' does not know --methods: perhaps --method is meant. See mz"),
    ("upscale a.png b.png --scale", "Behind --scale its value is missing"),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --mode nearest", "'nearest'"),
    ("train-all --model unfolde --output O", "given 'unfolde' (perhaps 'unfolded' is meant): it takes one of mzsr, "),
    ("evaluate GIVEN/many --kernel g2.0d --steps 1 b", "--steps"),
    ("tables --scales 2 5", "'5'"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --steps many", "--steps"),
    ("pretrain huge --data GIVEN/many --output run", "There is no 'mzsr pretrain huge': choose from paper, cpu, "),
    ("pretrain fin", "'mzsr pretrain fin' (perhaps 'fine' is meant): choose from paper, cpu"),
    ("pretrain --data D --output O --step 3", "--step: perhaps --steps is meant. See mzsr pretrain --help"),
    ("meta-train plus --data GIVEN/many --output run", "plus"),
    ("pretrain quick --data GIVEN/many --output run --decay sudden", "'sudden'"),
]


@pytest.mark.parametrize(("line", "part"), MISTYPED, ids=[line or "nothing" for line, _ in MISTYPED])
def test_mistyped_words_are_refused(run, line, part):
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert err.startswith("mzsr: ") and err.count("\n") == 1 and err.endswith(" --help.\n") and part in err
    assert written() == []


# Each line must end with code 2 and one sentence that holds the text, and write nothing.
WRONG = [
    ("degrade GIVEN/none.png new/lr.png --kernel g2.0d", "there is no such file"),
    ("degrade GIVEN lr.png --kernel g2.0d", "is a folder, and mzsr degrade takes one picture: name a file"),
    ("degrade GIVEN/text.png lr.png --kernel g2.0d", "not a picture"),
    ("degrade GIVEN/lab.tif lr.png --kernel g2.0d", "LAB"),
    ("degrade GIVEN/tiny.png lr.png --kernel g2.0d", "smaller than the 21 x 21 kernel"),
    ("degrade GIVEN/good.png lr.png --kernel GIVEN/huge.npy", "sums to inf"),
    ("degrade GIVEN/good.png lr.png --kernel 4,1,1e308", "more than a full turn"),
    ("degrade GIVEN/good.png lr.png --kernel GIVEN/box.npy --noise nan", "noise is nan"),
    ("degrade GIVEN/good.png lr.png --kernel GIVEN/box.npy --noise 1e308", "noise is 1e+308"),
    ("degrade GIVEN/good.png lr.png --kernel GIVEN/zero.npy", "sums to 0"),
    ("degrade GIVEN/good.png lr.png --kernel GIVEN/none.npy", "no kernel file"),
    ("degrade GIVEN/good.png lr.png --kernel g9.9d", "no kernel 'g9.9d'"),
    ("degrade GIVEN/good.png lr.png --kernel 1,2,3", "lambda1 >= lambda2 > 0"),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --noise -1", "noise is -1"),
    (
        "meta-train quick --data GIVEN --output run --scales 4",
        "No weights of stage 1 are shipped for scale 4: give some of your own, --init FILE",
    ),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --device tpu", "device 'tpu'"),
    ("degrade GIVEN/good.png lr.txt --kernel g2.0d", "'.txt'"),
    ("degrade GIVEN/good.png GIVEN/text.png/lr.png --kernel g2.0d", "Cannot write"),
    ("degrade GIVEN/good.png GIVEN/even.png --kernel g2.0d", "is there already, and is not replaced unasked"),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --max-pixels 2000", "allow them (--max-pixels 2491)"),
    ("evaluate GIVEN/many --kernel g2.0d --method bicubic --max-pixels 1700 --output rows.csv", "41 x 42 px"),
    ("evaluate GIVEN/many --kernel g2.0d --method bicubic --output /dev/null", "/dev/null is no ordinary file"),
    ("tables --data GIVEN --datasets many --methods bicubic --max-pixels 1700 --output t", "41 x 42 px"),
    ("degrade GIVEN/good.png lr.png --kernel g2.0d --max-pixels 0", "max-pixels is 0: it must be a whole number of at"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --max-pixels -5", "max-pixels is -5: it must be a whole number"),
    ("pretrain quick --data GIVEN/many --output run --max-pixels -5", "max-pixels is -5: it must be a whole number"),
    ("pretrain quick --data GIVEN/many --output run --max-pixels 1700", "41 x 42 px"),
    ("meta-train quick --data GIVEN/many --output run --max-pixels 1700", "41 x 42 px"),
    ("upscale GIVEN/none.png sr.png --kernel g2.0d", "there is no such file"),
    ("upscale https://example.org/a.jpg sr.png", "the picture https://example.org/a.jpg: that is an address"),
    ("upscale GIVEN/good.png https://example.org/a.png", "https://example.org/a.png is an address, and results"),
    ("upscale GIVEN/good.png --output s3://bucket/", "s3://bucket/ is an address, and results are written to files"),
    ("upscale GIVEN/good.png sr.gif", "'.gif', in which no pictures are written: use .png"),
    ("upscale GIVEN/void.png sr.png", "it is empty"),
    ("upscale GIVEN/tiny.png sr.png --kernel g2.0d", "take a method without updates, such as --method mzsr-plus"),
    ("upscale GIVEN/good.png sr.png --method mzsr", "mzsr with 10 updates has to be told the blur"),
    ("upscale GIVEN/good.png sr.png --noise 300", "noise is 300.0: it must be a number from 0 to 255"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --noise 3", "take --method unfolded or photo"),
    ("upscale GIVEN/good.png sr.png --method blind+agree", "blind with agreement has to be told the blur"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --scale 1", "mzsr enlarges, and at scale 1 there is a blur alone"),
    (
        "upscale GIVEN/good.png sr.png --method blind --scale 3",
        "take another method (mzsr, mzsr-plus, unfolded, photo, landweber",
    ),
    ("upscale GIVEN/good.png GIVEN/even.png --kernel g2.0d", "is there already, and is not replaced unasked"),
    ("upscale GIVEN/good.png GIVEN/good.png --kernel g2.0d", "is the input itself"),
    ("upscale GIVEN/good.png GIVEN/even.png sr.png --kernel g2.0d", "not clear where the results go (3 names)"),
    ("upscale GIVEN/good.png GIVEN/empty --kernel g2.0d", "or, for several pictures or a folder, --output DIR"),
    ("upscale", "No picture is given"),
    ("upscale GIVEN/good.png GIVEN/empty/../good.png --output o", "take them in two calls, with another --output"),
    ("upscale GIVEN sr.png --kernel g2.0d", "not clear where the results go"),
    ("upscale GIVEN/good.png sr.png --kernel 2.0,2.0", "three numbers, lambda1,lambda2,theta"),
    ("upscale GIVEN/good.png sr.png --kernel 2.0", "three numbers, lambda1,lambda2,theta, such as 4.0"),
    ("upscale GIVEN/good.png sr.png --kernel GIVEN/text.png", "it is damaged, or no .png file): give a .mat, .npy"),
    ("upscale GIVEN/good.png --kernel g2.0d --output GIVEN", "would be replaced by its result"),
    ("upscale GIVEN/even.png GIVEN/good.png --kernel g2.0d --output a.png", "cannot go into the one file"),
    ("upscale GIVEN/many/*.bmp --kernel g2.0d --output out", "No file fits the pattern"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --size 10", "The size is '10'"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0", "no kernel 'g2.0' (perhaps 'g2.0d' is meant)"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --method unfoldd", "(perhaps 'unfolded' is meant)"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --weights mszr-x2", "(perhaps 'mzsr-x2' is meant)"),
    ("upscale GIVEN/good.png --output out GIVEN/good.png", "stands together, before the options: move"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --max-pixels 9963", "The result has 94 x 106 px"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --max-pixels 2000", "has 47 x 53 px"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --tile 20", "too small: it must have at least 32"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --quality 90", "has no quality"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --method best", "method 'best'"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --weights best", "weights 'best'"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --weights GIVEN/text.png", "not a weights file"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --scale 3 --weights GIVEN/x2.safetensors", "for scale 2, not 3"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --weights GIVEN/x2.safetensors --steps -1", "steps is -1"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --steps 99999999999999999999", "at most 100000 updates"),
    ("upscale GIVEN/good.png sr.png --kernel g2.0d --method zssr --steps 0", "zssr"),
    ("upscale GIVEN/good.png sr --kernel g2.0d --method bicubic", "ending"),
    ("evaluate GIVEN/good.png --kernel g2.0d --method bicubic --output rows.csv", "should be a folder"),
    ("evaluate GIVEN/empty --kernel g2.0d --method bicubic --output rows.csv", "no pictures"),
    ("evaluate GIVEN --kernel g2.0d --method bicubic --output rows.csv", "lab.tif"),
    ("evaluate GIVEN/many --kernel g2.0d --method zssr --steps 1 --output rows.csv", "0.png cannot be used"),
    ("evaluate GIVEN/many --kernel g2.0d --method", "No method"),
    ("evaluate GIVEN/many --kernel g2.0d --method bicubic --output GIVEN/many", "is a folder"),
    ("evaluate GIVEN/many --kernel g2.0d --method bicubic --steps -3 --output rows.csv", "steps is -3"),
    ("evaluate GIVEN/many --kernel g2.0d --method bicubic mzsr --steps 1 --output rows.csv", "for one method"),
    ("evaluate GIVEN/many --kernel g2.0d --method tikhonov --agree --output rows.csv", "not of tikhonov"),
    ("upscale GIVEN/good.png sr.png --mode bicubic", "leave the mode out"),
    (
        "upscale GIVEN/good.png sr.png --method mzsr --kernel estimate --mode bicubic",
        "direct sampling only, not bicubic",
    ),
    ("selfcheck --data GIVEN", "none of set5"),
    ("selfcheck --data GIVEN/none", "should be a folder"),
    ("data fetch set6", "no data set 'set6'"),
    ("data fetch", "No data set is named"),
    ("pretrain quick --data GIVEN/many --output run --patch 33", "must be a positive multiple of scale 2"),
    ("pretrain quick --data GIVEN/empty --output run", "no pictures"),
    ("pretrain quick --data GIVEN/many --output run --max-minutes 0", "must be positive"),
    ("pretrain quick --data GIVEN/many --output GIVEN/text.png", "Cannot write"),
    ("meta-train quick --data GIVEN/many --output run --init best", "weights 'best'"),
]


@pytest.mark.parametrize(("line", "part"), WRONG, ids=[line or "nothing" for line, _ in WRONG])
def test_wrong_input_gets_one_sentence_and_writes_nothing(run, given, line, part):
    before = sorted(given.rglob("*"))
    code, out, err = run(line)
    assert (code, out) == (2, "")
    assert err.startswith("mzsr: ") and err.count("\n") == 1 and part in err
    assert written() == []
    assert sorted(given.rglob("*")) == before


def test_a_whole_recipe_refuses_large_pictures_too(run):
    code, _, err = run("train-all --model mzsr --data GIVEN/many --output run --max-pixels 1700")
    assert code == 2 and "41 x 42 px" in err


def test_an_output_that_is_a_folder(run):
    Path("lr.png").mkdir()
    code, _, err = run("degrade GIVEN/good.png lr.png --kernel g2.0d")
    assert code == 2 and "is a folder" in err and written() == ["lr.png"]


def test_degrade_does_what_the_library_does_and_says_what_it_cut(run, given):
    code, out, err = run("degrade GIVEN/good.png lr.png --kernel g2.0d --scale 2 --device cpu")
    assert (code, out) == (0, "lr.png: 23 x 26 px\n")
    assert err == "The picture was cropped from 47 x 53 to 46 x 52 px, a multiple of 2.\n"
    hr = picture_files.load(given / "good.png")[..., :52, :46]
    assert torch.equal(picture_files.load("lr.png"), degradation.from_setting(kernel_files.parse("g2.0d"))(hr))
    assert run("degrade GIVEN/even.png even.png --kernel g1.3b")[2] == ""
    assert run("degrade GIVEN/even.png direct.png --kernel g1.3b --mode direct")[0] == 0
    assert Path("direct.png").read_bytes() != Path("even.png").read_bytes()


def test_noise_follows_from_the_seed(run):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(f"degrade GIVEN/even.png {name}.png --kernel g2.0d --noise 25 --seed {seed}")
    a, b, c = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upscale_loses_nothing_of_an_odd_size(run, scale):
    code, out, err = run(f"upscale GIVEN/good.png sr.png --kernel GIVEN/box.npy --scale {scale} --method bicubic")
    assert (code, out, err) == (0, f"sr.png: {47 * scale} x {53 * scale} px\n", "")
    assert look("sr.png")[1] == (47 * scale, 53 * scale)


OFF = (
    "The result lies 0.5 px left of and 0.5 px above an ordinary enlargement, since pixels were kept as they "
    "were sampled: --register input moves it there.\n"
)
NOISY = (
    r"The picture has disturbances of \d+\.\d grey levels, which mzsr sharpens with the rest: --method unfolded "
    r"or photo does not\.\n"
)


def test_upscale_learns_and_warns_of_a_kernel_outside_the_prior(run):
    for steps in (0, 2):
        line = f"upscale GIVEN/good.png {steps}.png --weights GIVEN/x2.safetensors --steps {steps} --kernel"
        code, out, err = run(f"{line} g2.0d")
        assert (code, out) == (0, f"{steps}.png: 94 x 106 px\n")
        # The picture is made of random numbers.
        assert re.fullmatch(NOISY + re.escape(OFF), err)
    assert Path("0.png").read_bytes() != Path("2.png").read_bytes()
    code, _, err = run(f"{line} g0.2d --overwrite --register input")
    assert code == 0
    doubt, noisy = err.splitlines(keepends=True)
    assert "outside the training prior" in doubt and re.fullmatch(NOISY, noisy)
    assert (
        run("upscale GIVEN/good.png pre.png --weights GIVEN/x2.safetensors --kernel g2.0d --method pretrained")[0] == 0
    )
    assert Path("pre.png").read_bytes() == Path("0.png").read_bytes()


def test_upscale_estimates_the_kernel_and_says_what_it_found(run, given):
    code, _, err = run("upscale GIVEN/good.png sr.png --kernel estimate --method bicubic")
    assert code == 0 and err.startswith("The blur is estimated; the same would be --kernel ") and err.count("\n") == 1
    code, _, err = run("upscale GIVEN/good.png three.png --kernel estimate --method bicubic --scale 3")
    assert code == 2 and "estimated for scale 2 only" in err and not Path("three.png").exists()


def random_file(path: Path, mode: str) -> None:
    """Write a picture of 40 x 31 px in one of Pillow's modes."""
    values = np.random.default_rng(0).integers(0, 256, (31, 40, 4), dtype=np.uint8)
    colour = Image.fromarray(values[..., :3])
    if mode == "I;16":
        Image.fromarray(values[..., 0].astype(np.uint16) * 257).save(path)
    elif mode == "P":
        colour.quantize(8).save(path)
    else:
        channels = {"L": values[..., 0], "LA": values[..., :2], "RGBA": values, "RGB": values[..., :3]}[mode]
        Image.fromarray(channels).save(path)


@pytest.mark.parametrize(
    ("mode", "kept"), [("RGB", "RGB"), ("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("I;16", "L"), ("P", "RGB")]
)
def test_grey_stays_grey_and_transparency_and_sixteen_bits_go_along(run, mode, kept):
    random_file(Path("in.png"), mode)
    assert run("degrade in.png lr.png --kernel GIVEN/delta.npy")[0] == 0
    assert run("upscale in.png sr.png --kernel GIVEN/box.npy --weights GIVEN/x2.safetensors --steps 1")[0] == 0
    assert look("lr.png")[:2] == (kept, (20, 15))
    assert look("sr.png")[:2] == ("I;16" if mode == "I;16" else kept, (80, 62))
    if mode == kept:  # a kernel of one pixel keeps every second one as it is, unless nobody can see it
        given, found = look("in.png")[2][:30:2, ::2], look("lr.png")[2]
        seen = given[..., -1] > 0 if mode.endswith("A") else np.ones(found.shape[:2], bool)
        assert np.array_equal(found[seen], given[seen]) and not found[~seen].any()


def test_a_format_without_transparency_is_refused_before_the_work(run):
    random_file(Path("in.png"), "LA")
    for command in ("degrade", "upscale --method bicubic"):
        code, _, err = run(f"{command} in.png out.jpg --kernel GIVEN/box.npy")
        assert code == 2 and "cannot hold transparency" in err
    assert written() == ["in.png"]


def test_evaluate_writes_rows_and_prints_means(run):
    line = "evaluate GIVEN/many --kernel 1.0,0.5,0.3 --scale 2 --method bicubic --output rows.csv"
    code, out, err = run(line)
    assert (code, err) == (0, "")
    rows = files.read_rows("rows.csv")
    columns = (
        "dataset,image,image_hash,kernel,kernel_hash,mode,scale,method,steps,agree,psnr,ssim,seconds,device,precision,"
    )
    columns += "weights,weights_hash,commit,date,seed,selfcheck"
    assert list(rows[0]) == columns.split(",") and len(rows) == 9
    mean = sum(float(row["psnr"]) for row in rows) / 9
    assert f" {mean:.2f} " in out and "| many " in out
    assert written() == ["rows.csv"]


def test_evaluate_takes_several_methods_and_steps(run):
    line = "evaluate GIVEN/many --kernel GIVEN/box.npy --weights GIVEN/x2.safetensors --method"
    code, out, _ = run(f"{line} bicubic mzsr:0 mzsr:2+agree")
    assert code == 0 and written() == []
    cells = [[cell.strip() for cell in line.split("|")[5:8]] for line in out.splitlines()[2:]]
    assert cells == [["bicubic", "0", "no"], ["mzsr", "0", "no"], ["mzsr", "2", "yes"]]
    apart = [run(f"{line} {words}")[1].splitlines()[2:] for words in ("mzsr --steps 0 1", "mzsr:1 --agree")]
    assert [[cell.strip() for cell in line.split("|")[5:8]] for lines in apart for line in lines] == [
        ["mzsr", "0", "no"],
        ["mzsr", "1", "no"],
        ["mzsr", "1", "yes"],
    ]


def test_a_table_that_cannot_be_kept_is_shown_all_the_same(run, monkeypatch):
    def full(temporary, *more, **given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    code, out, err = run("evaluate GIVEN/many --kernel 1.0,0.5,0.3 --method bicubic --output rows.csv")
    assert code == 1 and "| many " in out and "(No space left on device): make room" in err and written() == []


def test_evaluate_goes_on_after_an_interruption_and_shows_what_there_is(run, monkeypatch):
    line = "evaluate GIVEN/many --kernel 1.0,0.5,0.3 --method bicubic --output rows.csv"
    together, done = measuring.together, []

    def interrupted(jobs):
        for job, row in together(jobs):
            if len(done) == 3:
                raise KeyboardInterrupt
            done.append(job.image)
            yield job, row

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "together", interrupted)
        code, out, _ = run(line)
    assert code == 130 and len(files.read_rows("rows.csv")) == 3 and "|        3 |" in out
    done = spied(monkeypatch, [])
    code, out, _ = run(line)
    assert code == 0 and len(done) == 6 and "|        9 |" in out
    code, out, _ = run(line.replace("bicubic", "nearest"))
    assert code == 0 and len(files.read_rows("rows.csv")) == 18 and "bicubic" not in out


def test_set5_scores_as_the_issue_says(run, data_dir):
    code, out, _ = run(f"evaluate {data_dir}/set5 --kernel g2.0d --scale 2 --method bicubic --output rows.csv")
    assert code == 0 and " 28.73 " in out and " 0.845 " in out
    assert {row["selfcheck"] for row in files.read_rows("rows.csv")} == {"passed"}


def test_selfcheck_prints_the_cells_and_fails_when_one_is_off(run, tmp_path, data_dir, monkeypatch):
    (tmp_path / "only" / "set5").mkdir(parents=True)
    for path in (data_dir / "set5").iterdir():
        (tmp_path / "only" / "set5" / path.name).symlink_to(path)
    code, out, _ = run(f"selfcheck --data {tmp_path}/only")
    assert code == 0 and out.count("passed") == 6 and "6 of 6 cells agree" in out
    monkeypatch.setattr(selfcheck, "TOLERANCE", 0.001)
    code, out, err = run(f"selfcheck --data {tmp_path}/only")
    assert code == 1 and "failed" in out and err.startswith("mzsr: The self-check failed") and err.count("\n") == 1


def test_the_lists(run, tmp_path):
    code, out, _ = run(f"data list --data {tmp_path}")
    assert code == 0 and "bsds500-train" in out and str(tmp_path) in out
    code, out, _ = run("methods")
    assert code == 0 and all(f"| {name} " in out for name in METHODS) and "mzsr-x2, mzsr-x3, mzsr-x4" in out
    code, out, _ = run("weights list")
    assert code == 0 and all(name in out for name in weights.shipped())


def test_a_preset_gives_the_defaults_and_a_flag_overrides_them(run, monkeypatch):
    seen = []
    for stage in ("pretrain", "meta_train"):
        monkeypatch.setattr(stages, stage, lambda config, *rest, init, **more: seen.append((config, init)) or Path("w"))
    assert run("pretrain quick --data GIVEN/many --output run --batch 3")[0] == 0
    assert run("meta-train --data GIVEN/many --output run --init none --first-order --prior-low 0.2")[0] == 0
    (first, _), (second, init) = seen
    assert (first.steps, first.batch) == (60, 3)
    assert (second.steps, second.first_order, second.prior_low, init) == (100_000, True, 0.2, None)


def test_pretrain_trains_and_draws_its_curve(run):
    line = "pretrain quick --data GIVEN/many --output run --steps 4 --log-every 2 --batch 2 --patch 16"
    code, out, err = run(line)
    assert (code, out) == (0, "The weights are in run/weights.safetensors.\n"), err
    assert {"run/log.jsonl", "run/checkpoint.pt", "run/curve.png"} <= set(written())
    code, _, err = run(line.replace("--batch 2", "--batch 3"))
    assert code == 2 and "other settings (batch 2, here 3)" in err
    code, out, err = run(f"{line.replace('--steps 4', '--steps 200000')} --max-minutes 0.001")
    assert code == 0 and "Time is up at step " in out and " of 200000: the same command continues." in out


def test_meta_train_starts_from_weights(run):
    line = "meta-train quick --data GIVEN/many --output run --init GIVEN/x2.safetensors --kernel-size 3"
    code, _, _ = run(f"{line} --steps 2 --log-every 1 --tasks 1 --patch 16")
    assert code == 0 and weights.read_provenance("run/weights.safetensors")["network"] == {"channels": 4, "layers": 3}


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (loop.TrainingFailed("The loss was not finite."), 1, "not finite"),
        (selfcheck.SelfCheckFailed("The self-check failed."), 1, "self-check"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), 1, "not enough memory"),
        (MemoryError(), 1, "not enough memory"),
        (KeyError("a\nb"), 1, "unexpected"),
        (
            OSError(errno.ENOSPC, "No space left on device", "rows.csv"),
            1,
            "left on device (rows.csv): make room",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a.png"), 2, "File name too long (a.png): give another"),
        (PermissionError(errno.EACCES, "Permission denied", b"a.png"), 2, "Permission denied (a.png)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1, "not enough memory"),
        (OSError("no number"), 1, "unexpected"),
        (runtime.Stopped("Stopped at step 3 of 7.", 15), 143, "Stopped at step 3 of 7."),
        (runtime.Stopped("Stopped at step 3 of 7.", 2), 130, "Stopped at step 3 of 7."),
    ],
)
def test_whatever_goes_wrong_is_one_sentence(run, monkeypatch, error, code, part):
    def fail():
        raise error

    monkeypatch.setitem(main.COMMANDS, "selfcheck", fail)
    found, out, err = run("selfcheck")
    assert (found, out) == (code, "")
    assert part in err and err.count("\n") == 1 and "Traceback" not in err


def test_a_traceback_is_shown_on_request(run, monkeypatch):
    monkeypatch.setenv("MZSR_DEBUG", "1")
    assert "Traceback" in run("degrade GIVEN/none.png lr.png --kernel g2.0d")[2]


def subprocess_of(*words: str, module: str = "mzsr_lib.cli", **variables: str) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_a_real_process_degrades_and_refuses(given, tmp_path):
    done = subprocess_of("degrade", str(given / "even.png"), str(tmp_path / "lr.png"), "--kernel", "4.0,1.0,-0.5")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("lr.png: 30 x 32 px\n")
    assert look(tmp_path / "lr.png")[1] == (30, 32)
    refused = subprocess_of("upscale", str(given / "text.png"), str(tmp_path / "sr.png"), "--kernel", "g2.0d")
    assert (refused.returncode, refused.stdout) == (2, "") and refused.stderr.count("\n") == 1
    assert not (tmp_path / "sr.png").exists()


def test_an_interruption_while_the_program_loads_is_one_sentence():
    code = """
import builtins, sys
from mzsr_lib.cli.__main__ import main
load = builtins.__import__
def interrupted(name, *rest, **more):
    if name.startswith("tyro"):
        raise KeyboardInterrupt
    return load(name, *rest, **more)
builtins.__import__ = interrupted
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mzsr: Interrupted.\n")


def started(*words: str) -> subprocess.Popen:
    """Start the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mzsr_lib.cli", *words]
    return subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment)


def wait_for(truth) -> None:
    """Wait until something is true, for two minutes at most."""
    until = time.monotonic() + 120
    while not truth() and time.monotonic() < until:
        time.sleep(0.02)
    assert truth()


def test_an_evaluation_that_is_killed_goes_on_as_if_nothing_had_been(run, given, monkeypatch):
    def words(name):
        return f"evaluate {given / 'many'} --kernel {given / 'box.npy'} --method zssr:30 bicubic --output {name}.csv"

    def rows(name):
        changing = {"seconds": "", "date": ""}
        return [row | changing for row in files.read_rows(f"{name}.csv")]

    with started(*words("killed").split()) as process:
        wait_for(lambda: Path("killed.csv").exists() and len(files.read_rows("killed.csv")) >= 2)
        process.kill()
    there = files.read_rows("killed.csv")
    assert process.returncode == -signal.SIGKILL and 2 <= len(there) < 18
    measured = spied(monkeypatch, [], lambda job: (job.image, job.method.name))
    code, out, _ = run(words("killed"))
    assert code == 0 and len(measured) == 18 - len(there)
    assert not {(row["image"], row["method"]) for row in there} & set(measured)
    assert files.read_rows("killed.csv")[: len(there)] == there
    undisturbed = run(words("whole"))[1]
    assert rows("killed") == rows("whole") and written() == ["killed.csv", "whole.csv"]
    # All of the printed table but the seconds, its last column.
    apart = [[line.rsplit("|", 2)[0] for line in text.splitlines()] for text in (out, undisturbed)]
    assert apart[0] == apart[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_training_that_is_stopped_is_no_success(given, tmp_path, number, code):
    words = ["pretrain", "quick", "--data", str(given / "many"), "--output", str(tmp_path / "run"), "--patch", "16"]
    more = ["--steps", "100000", "--log-every", "1", "--validate-every", "100000", "--device", "cpu"]
    with started(*words, *more) as process:
        wait_for((tmp_path / "run" / "log.jsonl").exists)
        other = subprocess_of(*words, *more)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (other.returncode, other.stdout) == (2, "") and "Another process is at work in" in other.stderr
    assert (process.returncode, out) == (code, "")
    assert "Stopped at step " in err and " of 100000: the same command continues." in err


NAME = "写真 é"


def test_any_name_prints_on_any_terminal(run, given, monkeypatch):
    shutil.copy(given / "even.png", given / f"{NAME}.png")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", terminal)
    for number, words in enumerate((f"{NAME}.png out.png", f"even.png {NAME}.png")):
        source, target = words.rsplit(" ", 1) if not number else words.split(" ", 1)
        assert main.main(["degrade", str(given / source), target, "--kernel", "g2.0d"]) == 0
    terminal.flush()
    assert terminal.buffer.getvalue().decode("cp1252").splitlines() == [
        "out.png: 30 x 32 px",
        "\\u5199\\u771f é.png: 30 x 32 px",
    ]
    assert written() == ["out.png", f"{NAME}.png"]


def test_any_name_does_in_a_plain_locale(given, tmp_path):
    folder = tmp_path / NAME
    folder.mkdir()
    shutil.copy(given / "even.png", folder / f"{NAME}.png")
    shutil.copy(given / "x2.safetensors", folder / f"{NAME}.safetensors")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    words = ["--kernel", "g2.0d", "--method", "mzsr:0", "--weights", str(folder / f"{NAME}.safetensors")]
    done = subprocess_of("evaluate", str(folder), *words, "--output", str(folder / f"{NAME}.csv"), **plain)
    assert (done.returncode, done.stderr) == (0, "")
    [row] = files.read_rows(folder / f"{NAME}.csv")
    assert (row["image"], row["dataset"]) == (f"{NAME}.png", NAME)


def test_help_does_not_wait_for_torch():
    code = "import sys; from mzsr_lib.cli import main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_two_processes_train_together(given, tmp_path):
    options = [
        "--steps",
        "2",
        "--log-every",
        "1",
        "--batch",
        "2",
        "--patch",
        "16",
        "--device",
        "cpu",
    ]
    paths = ["--data", str(given / "many"), "--output", str(tmp_path / "run")]
    launch = ["--standalone", "--nproc-per-node", "2", "-m", "mzsr_lib.cli", "pretrain", "quick"]
    done = subprocess_of(*launch, *paths, *options, module="torch.distributed.run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The weights are in") == 1
    assert weights.read_provenance(tmp_path / "run" / "weights.safetensors")["processes"] == 2


def test_the_words_to_choose_from_are_the_library_s():
    assert get_args(get_args(training.Model)[0]) == recipes.MODELS
    assert get_args(get_args(training.Budget)[0]) == recipes.BUDGETS
    assert targets.MOST == MAX_PIXELS
    assert training.DEFAULT in presets.PRETRAIN.keys() & presets.META_TRAIN.keys()
