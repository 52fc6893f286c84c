"""The command `upscale`: many pictures in one call, and nothing that is there is lost."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, close, picture
from PIL import Image

from mzsr_lib.benchmark import datasets
from mzsr_lib.cli import main
from mzsr_lib.imaging import picture_files


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command line in an empty folder; return (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MZSR_DEBUG", raising=False)

    def call(line, command="upscale"):
        code = main.main([command, *line.split()])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def small(path, seed=0, **more):
    picture_files.save(path, picture(12 + seed, 15, seed=seed), **more)


PLAIN = "--method bicubic"


def mixed() -> None:
    """Twenty files of many kinds in the folder `in`, one of them broken."""
    for seed in range(6):
        small(f"in/{seed}.png", seed)
        small(f"in/{seed}0.jpg", seed)
    small("in/deep.tif", depth=16)
    small("in/clear.webp", alpha=picture(12, 15, seed=1)[:, :1])
    small("in/写真 é.png")
    small("in/grey.bmp", grey=True)
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save("in/some.jpeg")
    Image.fromarray(np.zeros((9, 8), np.uint16)).save("in/wide.png")
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save("in/one.png")
    whole = Path("in/0.png").read_bytes()
    Path("in/broken.png").write_bytes(whole[: len(whole) // 2])


def test_a_folder_of_twenty_files_is_done_in_one_call_and_the_broken_one_is_named(run):
    mixed()
    assert len(list(Path("in").iterdir())) == 20
    code, out, err = run(f"in --output out {PLAIN}")
    assert code == 1 and out.count(" px\n") == 19
    assert "The picture in/broken.png cannot be read" in err and err.count("in/broken.png") == 1
    assert err.endswith("mzsr: 1 of 20 pictures could not be done, and are listed above.\n")
    names = {path.name for path in Path("in").iterdir()}
    assert {path.name for path in Path("out").iterdir()} == names - {"broken.png"}
    assert picture_files.read("out/deep.tif").depth == 16 and picture_files.read("out/clear.webp").alpha is not None


def test_what_is_found_in_a_picture_has_its_name_and_what_holds_for_all_is_said_once(run):
    clean = datasets.example("chelsea")[..., 60:106, 180:223]
    for name, image in (("a", clean), ("b", picture(46, 43)), ("c", clean)):
        picture_files.save(f"in/{name}.png", image)
    code, out, err = run("in --output out --kernel 30,30,0 --method mzsr --steps 0")
    assert code == 0 and out.count(" px\n") == 3
    noisy = [line for line in err.splitlines() if "disturbances" in line]
    assert len(noisy) == 1 and noisy[0].startswith("in/b.png: The picture has disturbances of ")
    assert err.count("outside the training prior") == 1 and err.count("--register input") == 1


def test_folders_within_a_folder_are_left_out_and_that_is_said(run):
    small("in/a.png")
    small("in/more/b.png")
    for _ in range(2):
        code, _, err = run(f"in --output in/large {PLAIN}")
        assert code == 0 and err.startswith("Folders within in are left out (1: in/more)")
    code, _, err = run(f"in in/more --output out {PLAIN}")
    assert code == 0 and "(1: in/large)" in err and len(list(Path("out").iterdir())) == 2


def test_what_is_done_is_skipped_until_it_is_asked_for(run):
    for seed in range(3):
        small(f"in/{seed}.png", seed)
    assert run(f"in/0.png in/1.png --output out {PLAIN}")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    code, out, err = run(f"in/*.png --output out {PLAIN}")
    assert (code, out) == (0, "out/2.png: 30 x 28 px\n") and err.count("skipped") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert run(f"in --output out {PLAIN} --overwrite")[1].count(" px") == 3
    assert run(f"in --output out.v2 {PLAIN}")[1].count("out.v2/") == 3
    assert all(path.stat().st_mtime_ns != then for path, then in before.items())


def test_two_pictures_are_never_an_input_and_an_output_unasked(run):
    small("a.png", 0)
    small("b.png", 1)
    kept = Path("b.png").read_bytes()
    code, out, err = run(f"a.png b.png {PLAIN}")
    assert (code, out) == (2, "") and "--output DIR" in err and Path("b.png").read_bytes() == kept
    assert run(f"a.png b.png --output out {PLAIN}")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]
    assert run(f"a.png b.png {PLAIN} --overwrite")[0] == 0
    assert picture_files.load("b.png").shape == (1, 3, 24, 30)
    assert run(f"a.png a.png {PLAIN}")[0] == 2


@pytest.mark.parametrize(
    "where", ["in --output in", "in --output other/../in", "in/b.png in/b.png", "in/b.png link.png"]
)
def test_a_picture_is_never_replaced_by_its_own_result(run, where):
    for seed, name in enumerate("ab"):
        small(f"in/{name}.png", seed)
    Path("other").mkdir()
    Path("link.png").symlink_to("in/b.png")
    kept = {path: path.read_bytes() for path in Path("in").iterdir()}
    for more in ("", "--overwrite"):
        code, out, err = run(f"{where} {PLAIN} {more}")
        assert (code, out) == (2, "") and err.count("\n") == 1
    assert "its result: give another" in err
    assert {path: path.read_bytes() for path in Path("in").iterdir()} == kept


# Both commands that write a picture: what is there stays unless it is asked to go.
WRITES = [("upscale", PLAIN), ("degrade", "--kernel 0.2,0.2,0 --mode bicubic")]


@pytest.mark.parametrize(("command", "options"), WRITES, ids=["upscale", "degrade"])
def test_links_pipes_and_read_only_files_stay(run, command, options):
    def call(line):
        return run(f"{line} {options}", command)

    picture_files.save("a.png", picture(24, 30))
    small("target.png", 1)
    kept = Path("target.png").read_bytes()
    Path("link.png").symlink_to("target.png")
    Path("loose.png").symlink_to("nothing.png")
    small("locked.png")
    Path("locked.png").chmod(0o444)
    os.mkfifo("pipe.png")
    stay = {"link": "a link", "loose": "a link", "a": "the input itself"}
    for name, part in (stay | dict.fromkeys(("locked", "pipe"), "there already")).items():
        code, _, err = call(f"a.png {name}.png")
        assert code == 2 and f"{name}.png is {part}" in err
    for name, part in (("locked", "read-only"), ("pipe", "no ordinary file")):
        code, _, err = call(f"a.png {name}.png --overwrite")
        assert code == 2 and part in err
    assert Path("target.png").read_bytes() == kept and stat.S_ISFIFO(Path("pipe.png").stat().st_mode)
    assert call("a.png link.png --overwrite")[0] == 0
    assert Path("link.png").is_symlink() and Path("target.png").read_bytes() != kept
    assert call("a.png loose.png --overwrite")[0] == 0 and Path("loose.png").is_symlink()
    size = picture_files.load("link.png").shape
    assert size == picture_files.load("nothing.png").shape != picture_files.load("a.png").shape
    assert call("a.png a.png --overwrite")[0] == 2 and picture_files.load("a.png").shape != size


def test_two_inputs_of_one_name_do_not_share_a_result(run):
    small("a/x.png")
    small("b/x.png", 1)
    code, _, err = run(f"a/x.png b/x.png --output out {PLAIN}")
    assert code == 2 and "would both go into out/x.png" in err and not Path("out").exists()


def test_a_result_that_would_take_the_name_of_another_keeps_its_ending(run):
    small("in/same.png")
    Image.new("RGB", (20, 20)).save("in/same.gif")
    code, _, _ = run(f"in --output out {PLAIN}")
    assert code == 0 and sorted(path.name for path in Path("out").iterdir()) == ["same.gif.png", "same.png"]


def test_what_is_found_in_a_picture_of_a_folder_is_said_with_its_name(run):
    Path("in").mkdir()
    for name in "ab":
        picture_files.save(f"in/{name}.png", picture(40, 44))  # twice: what is found in both is the same
    code, _, err = run("in --output out --kernel estimate --method tikhonov")
    assert code == 0 and [err.count(f"in/{name}.png: The blur is estimated") for name in "ab"] == [1, 1]
    assert err.count("--register input") == 1


def test_scripts_get_a_line_of_json_a_picture(run):
    small("in/0.png")
    Path("in/1.png").write_text("no picture", encoding="utf-8")
    code, out, _ = run("in --output out --method aligned --json")
    first, second = map(json.loads, out.splitlines())
    assert code == 1 and (first["status"], first["width"], first["height"]) == ("done", 30, 24)
    assert first["input"] == "in/0.png" and first["output"] == "out/0.png" and first["method"] == "aligned"
    assert "--register input" in first["notes"][0]
    assert second["status"] == "failed" and "not a picture" in second["error"]
    assert json.loads(run("in/0.png --output out --method aligned --json")[1])["status"] == "skipped"


def test_quiet_is_quiet_and_a_word_is_said_once(run):
    for seed in range(2):
        small(f"in/{seed}.png", seed)
    assert run("in --output quiet --method aligned --quiet") == (0, "", "")
    code, _, err = run("in --output out --method aligned")
    assert code == 0 and err.count("--register input") == 1
    code, _, err = run("in/0.png --output out/0.jpg --method aligned --register input")
    assert (code, err) == (0, "")


def test_what_a_file_loses_is_said(run):
    small("deep.png", depth=16)
    pages = [Image.fromarray(np.full((9, 8, 3), 80 * n, np.uint8)) for n in range(3)]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    assert "8 bits a channel, and the picture 16" in run(f"deep.png deep.jpg {PLAIN}")[2]
    assert "holds 3 pictures: the first is taken" in run(f"pages.tif page.tif {PLAIN}")[2]
    assert "holds 3 pictures: the first is taken" in run("pages.tif lr.tif --kernel bicubic", "degrade")[2]


@pytest.mark.parametrize("method", ["nearest", "bicubic", "aligned", "blind", "mzsr-plus", "tikhonov", "landweber"])
def test_pictures_of_any_size_can_be_enlarged_without_a_son(run, method):
    for name, size in (("one", (1, 1)), ("line", (1, 20)), ("twenty", (20, 20))):
        picture_files.save(f"{name}.png", picture(*size))
        kernel = "--kernel g2.0d" if method in ("mzsr-plus", "tikhonov", "landweber") else ""
        code, out, _ = run(f"{name}.png {method}-{name}.png --method {method} {kernel}")
        assert (code, out) == (0, f"{method}-{name}.png: {2 * size[1]} x {2 * size[0]} px\n")


@pytest.mark.parametrize("method", ["tikhonov", "landweber"])
def test_at_scale_1_a_blur_is_undone(run, method):
    blocks = picture(10, 9).repeat_interleave(8, -1).repeat_interleave(8, -2)
    picture_files.save("sharp.png", blocks)
    np.save("k.npy", np.outer(*[np.exp(-((np.arange(9) - 4) ** 2) / 2)] * 2))
    from mzsr_lib.imaging import degradation, kernel_files

    blurred = degradation.Degradation(kernel_files.parse("k.npy").kernel, 1)(blocks)
    picture_files.save("blurred.png", blurred)
    assert run(f"blurred.png back.png --kernel k.npy --scale 1 --method {method}")[0] == 0
    back = picture_files.load("back.png")
    assert float((back - blocks).abs().mean()) < 0.7 * float((blurred - blocks).abs().mean())


@pytest.mark.parametrize(
    ("size", "expected"), [("20x", (20, 16)), ("x12", (15, 12)), ("20x12", (15, 12)), ("99x", (30, 24))]
)
def test_a_size_is_reached_with_its_proportions_kept(run, size, expected):
    small("a.png", alpha=picture(12, 15, seed=4)[:, :1])
    code, out, _ = run(f"a.png b.png {PLAIN} --size {size}")
    assert (code, out) == (0, f"b.png: {expected[0]} x {expected[1]} px\n")


def centroid(path: str) -> tuple[float, float]:
    plane = picture_files.load(path)[0, 0].double()
    return tuple(float((plane.sum(1 - a) * torch.arange(plane.shape[a])).sum() / plane.sum()) for a in (1, 0))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("method", ["tikhonov", "aligned", "bicubic"])
def test_a_result_lies_where_it_is_asked_to(run, scale, method):
    y, x = np.mgrid[: 24 * scale, : 24 * scale]
    bump = np.exp(-((y - 11 * scale) ** 2 + (x - 13 * scale) ** 2) / (4.0 * scale**2))
    lr = torch.tensor(bump[::scale, ::scale], dtype=torch.float32).expand(1, 3, -1, -1)
    picture_files.save("lr.png", lr)
    moved = (scale - 1) / 2
    for register in ("sampling", "input"):
        line = f"lr.png {register}.png --kernel 0.2,0.2,0 --scale {scale} --method {method} --register {register}"
        assert run(line)[0] == 0
        off = moved if register == "input" or method == "bicubic" else 0
        close(centroid(f"{register}.png"), (13 * scale + off, 11 * scale + off), 0.05)


def test_a_kernel_with_its_mass_off_the_centre_puts_the_result_where_the_input_lies(run):
    y, x = np.mgrid[:17, :17] - 8.5  # as KernelGAN has it at scale 2
    np.save("off.npy", np.exp(-(x**2 + y**2) / 4))
    small("a.png", 8)
    code, _, err = run("a.png b.png --kernel off.npy --method tikhonov")
    assert code == 0 and "0.5 px, (scale - 1) / 2" in err and "--register" not in err


def test_pieces_give_what_the_whole_gives(run):
    picture_files.save("a.png", picture(40, 52).repeat_interleave(3, -1))
    for more, name in (("", "whole"), ("--tile 64", "pieces")):
        assert run(f"a.png {name}.png --kernel g2.0d --method mzsr-plus --precision float32 {more}")[0] == 0
    apart = (picture_files.load("whole.png") - picture_files.load("pieces.png")).abs().max()
    assert float(apart) <= 1.01 / 255


def process(*words: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    command = [sys.executable, "-m", "mzsr_lib.cli", "upscale", *words]
    return subprocess.run(command, capture_output=True, env=environment, timeout=120, **options)


def test_a_picture_goes_through_a_pipe(tmp_path):
    small(tmp_path / "a.png")
    done = process("-", "-", "--method", "bicubic", input=(tmp_path / "a.png").read_bytes())
    assert done.returncode == 0 and done.stderr == b"-: 30 x 24 px\n"
    (tmp_path / "b.png").write_bytes(done.stdout)
    assert picture_files.load(tmp_path / "b.png").shape == (1, 3, 24, 30)


def test_pictures_are_done_when_nobody_reads_the_lines(tmp_path):
    for seed in range(4):
        small(tmp_path / f"in/{seed}.png", seed)
    command = f"{sys.executable} -m mzsr_lib.cli upscale in --output out --method bicubic | true"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    assert done.stderr == b"" and len(list((tmp_path / "out").iterdir())) == 4


def test_an_empty_input_is_called_empty(tmp_path):
    done = process("-", "-", "--method", "bicubic", input=b"")
    assert done.returncode == 2
    assert done.stderr == b"mzsr: Cannot read the picture from the standard input: it is empty.\n"


def test_a_name_with_any_character_prints_on_any_terminal(tmp_path):
    small(tmp_path / "写真 é.png")
    for settings in ({"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = process("写真 é.png", "大 é.png", "--method", "bicubic", "--overwrite", cwd=tmp_path, env=settings)
        assert done.returncode == 0 and b" px\n" in done.stdout and done.stderr == b""


def test_a_name_of_two_lines_is_one_line_on_the_screen(run):
    small("in/a\nb.png")
    Path("in/c\nd.png").write_bytes(b"no picture")
    code, out, err = run(f"in --output out {PLAIN}")
    assert (code, out) == (1, "out/a b.png: 30 x 24 px\n")
    assert "c d.png" in err and len(err.splitlines()) == 2, err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no such signals here")
@pytest.mark.parametrize(("sent", "code"), [("SIGTERM", -15), ("SIGKILL", -9)])
def test_a_stopped_folder_has_whole_files_alone_and_the_next_run_goes_on(tmp_path, sent, code):
    for seed in range(3):
        picture_files.save(tmp_path / f"in/{seed}.png", picture(60, 60, seed=seed))
    words = ("in", "--output", "out", "--kernel", "g2.0d", "--method", "mzsr:2000", "--precision", "float32")
    command = [sys.executable, "-m", "mzsr_lib.cli", "upscale", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as running:
        threading.Timer(4, running.send_signal, [getattr(signal, sent)]).start()
        _, said = running.communicate()
    assert running.returncode == code, said
    assert b"Traceback" not in said
    assert [path for path in (tmp_path / "out").glob("*") if path.suffix != ".png"] == [] or sent == "SIGKILL"
    done = process("in", "--output", "out", "--method", "bicubic", cwd=tmp_path)
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]
