"""The programs that tell methods a kernel, right or wrong: small runs on tiny pictures and networks."""

import pytest
from helpers import benchmark, picture

from mzsr_lib.benchmark import measuring, studies
from mzsr_lib.imaging import picture_files
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for

PROVENANCE = {"weights_hash", "commit", "date", "device", "seed"}


@pytest.fixture
def data(tmp_path):
    """Three photographs, of which two are held out, and a tiny network for every method and kernel."""
    for seed in range(3):
        picture_files.save(tmp_path / "data" / f"{seed}.png", picture(60, 49, seed=seed))
    for name in ("blind", "mzsr", "one", "other"):
        network = SRNetwork(4, 3, generator_for(name))
        weights.save(tmp_path / f"{name}.safetensors", network, dict(network.named_parameters()), {"scale": 2})
    return tmp_path / "data"


def run(program, data, *words, held_out="--data"):
    """Run a program twice, the second time with nothing left to do, and return its rows."""
    output = data.parent / "out" / "rows.csv"
    given = [f"{name}={data.parent / name}.safetensors" for name in ("blind", "mzsr")]
    command = [str(output), held_out, str(data), "--weights", *given, "--size", "48", *words]
    benchmark(program).main(command)
    before = measuring.read(output, ("psnr",))
    benchmark(program).main(command)
    assert measuring.read(output, ("psnr",))["psnr"].equals(before["psnr"])
    assert set(before) >= PROVENANCE and (before["commit"] != "").all()
    return before


def test_every_camera_is_told_every_kernel(data, capsys):
    words = ("--count", "2", "--cameras", "g0.2d", "bicubic", "--methods", "mzsr:1", "tikhonov")
    rows = run("wrong_kernel", data, *words)
    assert rows.groupby(["method", "kernel", "told"]).size().tolist() == [2] * 8
    right = rows["kernel"] == rows["told"]
    closed = rows[rows["method"] == "tikhonov"].groupby(right)["psnr"].mean()
    assert closed[True] > closed[False]
    assert "MZSR 1: true camera / told" in capsys.readouterr().out


def test_a_kernel_may_be_wrong_in_its_width_and_its_angle(data, monkeypatch):
    names = ("blind", "blind+agree", "mzsr:1")
    monkeypatch.setattr(studies, "held_out", lambda folders, size, count: {"a": picture(size, size)})
    rows = run("kernel_error", data, "--methods", *names, held_out="--held-out")
    counts = rows.groupby(["sweep", "method", "agree"]).size()
    assert counts.to_dict() == {
        ("angle", "blind", "no"): 1,
        ("angle", "blind", "yes"): 7,
        ("angle", "mzsr", "no"): 7,
        ("width", "blind", "no"): 1,
        ("width", "blind", "yes"): 11,
        ("width", "mzsr", "no"): 11,
    }
    assert set(rows.loc[(rows["method"] == "blind") & (rows["agree"] == "no"), "error"]) == {""}


def test_the_share_of_the_way_is_that_between_the_two_ends(data, capsys):
    files = [f"{kernel}={data.parent / name}.safetensors" for kernel, name in (("g0.2d", "one"), ("g2.0d", "other"))]
    rows = run("specialists", data, "--count", "2", "--specialists", *files, "--methods", "mzsr:1")
    assert rows.groupby(["kernel", "role"]).size().tolist() == [2] * 6
    table = benchmark("specialists").table(rows)
    ends = table["specialist"] - table["blind"]
    assert table["blind"].add(table["share of mzsr:1"] * ends).tolist() == pytest.approx(table["mzsr:1"].tolist())
    assert "share of mzsr:1" in capsys.readouterr().out


def test_the_best_mu_can_be_seen(data, capsys):
    words = ["--count", "2", "--kernels", "g2.0d", "--methods", "blind", "mzsr:1", "--mus", "1e-3", "1e6"]
    rows = run("agreement", data, *words, "--noises", "0", "0.1")
    table = benchmark("agreement").table(rows)
    assert list(table.index) == [(noise, mu) for noise in ("0", "0.1") for mu in ("none", "0.001", "1e+06")]
    for noise, helps in (("0", True), ("0.1", False)):
        blind = table.loc[noise, "Blind"]
        assert blind["1e+06"] == pytest.approx(blind["none"], abs=0.01)
        assert (blind["0.001"] > blind["none"]) == helps
    assert "MZSR 1" in capsys.readouterr().out
