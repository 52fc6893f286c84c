"""The benchmarks are programs of their own: each is run with a tiny setting, and writes what it promises."""

import shlex

import numpy as np
import pytest
import torch
from helpers import ROOT, benchmark, picture

from mzsr_lib import files
from mzsr_lib.imaging import picture_files


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """A folder `mine` of small pictures, where data sets are looked for."""
    monkeypatch.setenv("MZSR_DATA", str(tmp_path))
    for name, count, height, width in (("mine", 9, 11, 12), ("large", 2, 44, 45)):
        for seed in range(count):
            grown = torch.nn.functional.interpolate(picture(height, width, seed=seed), scale_factor=6, mode="bilinear")
            picture_files.save(tmp_path / name / f"{seed}.png", grown)
    return tmp_path / "mine"


# The words for each program; FOLDER is one with nine pictures, OUTPUT the file to write. Then the rows it writes.
TINY = {
    "agreement": (
        "OUTPUT --data FOLDER --count 1 --size 48 --kernels g2.0d --methods pretrained --mus 1e-3 --noises 0",
        2,
    ),
    "ablations": ("OUTPUT --data FOLDER --variants blind base --seeds 0 --updates 1 --precision float32 --patch 48", 2),
    "animation": ("RUNS --updates 1", None),
    "comparison": ("RUNS --methods bicubic", None),
    "estimation": ("LARGE OUTPUT --pictures 2 --searched 1 --scored 1 --part 64", None),
    "kernel_error": ("OUTPUT --data mine --every 5 --size 48 --methods bicubic tikhonov", 2 * (1 + 11 + 1 + 7)),
    "memory": ("OUTPUT --megapixels 0.01 --methods bicubic", 1),
    "told_wrong": ("OUTPUT --data FOLDER --images 1 --size 48", 3 * 5 * 2),
    "meta_run": ("RUNS --run RUNS --data mine --checkpoints 1 --patch 48", None),
    "network_input": ("OUTPUT --runs RUNS --data FOLDER --times 2 --patch 16 --kernels g2.0d", None),
    "photo_updates": ("OUTPUT --data FOLDER --every 9 --size 48 --treatments area", 1 + 2),
    "photos": ("OUTPUT --data FOLDER --every 9 --size 48 --methods bicubic blind --treatments area 'motion 7'", 4),
    "plus_options": ("OUTPUT --weights mzsr-plus-x2 --data FOLDER --size 48 --only 'one pass'", 5),
    "specialists": (
        "OUTPUT --data FOLDER --count 1 --size 48 --specialists g2.0d=pretrained-x2 --weights blind=pretrained-x2 "
        "--methods mzsr:1",
        3,
    ),
    "training_step": ("--least 0 --device cpu --only 'pretrain, cpu'", None),
    "updates_curve": ("OUTPUT --data mine --kernels g2.0d --start MZSR=mzsr-x2 --zssr --updates 1", 2 * 2 * 9),
    "where_time_goes": ("--repeat 1 --only 'stage 1, cpu'", None),
    "wrong_kernel": ("OUTPUT --data FOLDER --count 1 --size 48 --cameras g0.2d bicubic --methods mzsr:1", 4),
    "zssr_curve": ("OUTPUT --steps 2 --window 0 100 48 --crop 32", 7),
}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_runs(path, photographs, tmp_path, monkeypatch, capsys):
    words, count = TINY[path.stem]
    output, runs = tmp_path / "rows.csv", tmp_path / "runs"
    places = {"FOLDER": photographs, "LARGE": tmp_path / "large", "OUTPUT": output, "RUNS": runs}
    monkeypatch.setattr("sys.argv", [path.name, *(str(places.get(word, word)) for word in shlex.split(words))])
    benchmark(path.stem).main()
    if "OUTPUT" not in words:
        assert capsys.readouterr().out or any(runs.iterdir())
        return
    rows = files.read_rows(output)
    assert len(rows) == count if count else rows


def test_the_curve_of_updates_knows_kernels_and_pictures_by_their_content(photographs, tmp_path, monkeypatch):
    def rows(folder, width):
        kernel = tmp_path / folder / "kernel.npy"
        kernel.parent.mkdir(exist_ok=True)
        np.save(kernel, np.ones((width, width)))
        words = f"curve {tmp_path / 'rows.csv'} --data mine --kernels {kernel} --start MZSR=mzsr-x2 --updates 1"
        monkeypatch.setattr("sys.argv", words.split())
        before = {row["kernel_hash"] for row in files.read_rows(tmp_path / "rows.csv")} if folder != "a" else set()
        benchmark("updates_curve").main()
        found = files.read_rows(tmp_path / "rows.csv")
        return found, {row["kernel_hash"] for row in found} - before

    first, one = rows("a", 3)
    both, other = rows("b", 5)
    assert len(one) == len(other) == 1 and both[: len(first)] == first and len(both) == 2 * len(first) == 36
    assert rows("b", 5) == (both, set())
    picture_files.save(photographs / "0.png", picture(66, 72, seed=99))
    again, _ = rows("b", 5)
    assert len(again) == 36 and [row for row in again if {row["kernel_hash"]} == one] == first
    changed = [row["image"] for row in again if row not in both and row["image"] == "0.png"]
    assert changed == ["0.png"] * 2
