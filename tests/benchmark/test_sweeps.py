"""A sweep gives the same rows whoever shared it and however often it was stopped, and measures nothing twice."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import picture, spied

from mzsr_lib import files
from mzsr_lib.benchmark import datasets, evaluation, journals, measuring, selfcheck, sweeps, tables
from mzsr_lib.benchmark.datasets import Entry
from mzsr_lib.cli import main
from mzsr_lib.files import Failure, InputError
from mzsr_lib.imaging import kernel_files, picture_files
from mzsr_lib.methods import catalogue, registry
from mzsr_lib.methods.registry import Options
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import Group, generator_for

HERE = Path(__file__).parents[1]
MEASURED = ("seconds", "commit", "date")  # these say when and how fast, not what


@pytest.fixture
def data(tmp_path):
    """Two folders of small pictures, and weights for scale 2."""
    for name, count in (("mine", 2), ("yours", 2)):
        for seed in range(count):
            picture_files.save(tmp_path / "data" / name / f"{seed}.png", picture(49 + seed, 53, seed=seed))
    store(tmp_path / "tiny.safetensors", "stored")
    return tmp_path / "data"


def store(path, seed, **facts):
    network = SRNetwork(4, 3, generator_for(seed))
    weights.save(path, network, dict(network.named_parameters()), {"scale": 2, **facts})


def planned(data, steps=(1, 2), seed=0, count=None):
    settings = [kernel_files.parse("1.0,0.5,0.3"), kernel_files.parse("bicubic")]
    chosen = catalogue.choices(["bicubic", *(f"mzsr:{count}" for count in steps)])
    built = registry.build_all(chosen, Options(data.parent / "tiny.safetensors", seed=seed))
    built.append(registry.build("bicubic", Options(scale=3)))
    return sweeps.plan(sweeps.folders(["mine", "yours"], data), settings, built, count)


def rows(output, without=()):
    return [{k: v for k, v in row.items() if k not in without} for row in files.read_rows(output / "rows.csv")]


@pytest.fixture
def calls(monkeypatch):
    """What was measured: (picture, method, updates) of every call."""
    return spied(monkeypatch, [], lambda job: (job.image, job.method.name, job.method.steps))


@pytest.mark.parametrize("world", [2, 3])
def test_the_rows_are_the_same_for_any_number_of_processes(data, tmp_path, world):
    everything = planned(data)
    assert sweeps.run(everything, tmp_path / "one", Group()) == 0
    for rank in range(world):
        group = Group(rank, world)
        own = sweeps.share(everything, group)
        assert len({job.key for job in own}) == len(own)
        assert {job.method.steps for job in own if job.method.name == "mzsr"} == {1, 2}
        sweeps.work(own, tmp_path / "many", group)
    sweeps.merge(everything, tmp_path / "many")
    assert rows(tmp_path / "many", MEASURED) == rows(tmp_path / "one", MEASURED)
    assert len(rows(tmp_path / "one")) == len(everything) == 4 * (2 * 3 + 2)
    assert len(list((tmp_path / "many" / "jobs").iterdir())) == world


def test_rows_stand_in_a_fixed_order_with_all_columns(data, tmp_path):
    sweeps.run(list(reversed(planned(data))), tmp_path, Group())
    found = rows(tmp_path)
    assert tuple(found[0]) == measuring.COLUMNS
    table = measuring.read(tmp_path / "rows.csv")
    assert measuring.ordered(table.sample(frac=1, random_state=0)).equals(table)
    assert [row["dataset"] for row in found] == ["mine"] * 16 + ["yours"] * 16
    assert {(row["scale"], row["method"]) for row in found} == {("2", "bicubic"), ("2", "mzsr"), ("3", "bicubic")}
    bicubic = registry.build("bicubic", Options(scale=3))
    by_hand = evaluation.evaluate(data / "mine", kernel_files.parse("bicubic"), [bicubic])
    mine = [row for row in found if (row["dataset"], row["kernel"], row["scale"]) == ("mine", "bicubic", "3")]
    assert [float(row["psnr"]) for row in mine] == list(by_hand["psnr"])


def test_what_is_finished_is_not_measured_again(data, tmp_path, calls):
    sweeps.run(planned(data), tmp_path, Group())
    before, count = (tmp_path / "rows.csv").read_bytes(), len(calls)
    sweeps.run(planned(data), tmp_path, Group())
    (tmp_path / "jobs" / "jobs-rank0.jsonl").unlink()  # the rows themselves are enough
    sweeps.run(planned(data), tmp_path, Group(0, 2))
    assert (tmp_path / "rows.csv").read_bytes() == before
    assert len(calls) == count == len(planned(data))


def test_a_job_that_was_killed_is_done_again_and_no_other(data, tmp_path, calls):
    everything = planned(data)
    sweeps.work(everything, tmp_path)
    journal = tmp_path / "jobs" / "jobs-rank0.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-40])  # killed within the last line
    last = calls[-1]
    calls.clear()
    sweeps.run(everything, tmp_path, Group())
    assert calls == [last]
    assert len(journal.read_bytes().splitlines()) == len(everything) + 1
    assert len(rows(tmp_path)) == len(everything)


def test_a_file_of_other_rows_is_not_overwritten(data, tmp_path, calls):
    files.write_rows(tmp_path / "out" / "rows.csv", [{"a": 1, "b": 2}])
    with pytest.raises(InputError, match=r"rows.csv holds other rows than measured ones \(it has no "):
        sweeps.run(planned(data), tmp_path / "out", Group())
    assert (tmp_path / "out" / "rows.csv").read_text() == "a,b\n1,2\n"
    assert not calls


@pytest.mark.parametrize(("old", "new"), [("psnr", "much"), ("steps", None), ("seconds", "")])
def test_a_damaged_line_is_named(data, tmp_path, old, new):
    sweeps.run(planned(data), tmp_path / "out", Group())
    rows = files.read_rows(tmp_path / "out" / "rows.csv")
    rows[1][old] = new
    files.write_rows(tmp_path / "out" / "rows.csv", rows)
    with pytest.raises(InputError, match=r"rows.csv is damaged in line 3"):
        sweeps.run(planned(data), tmp_path / "out", Group())


def test_an_exception_costs_the_job_in_hand(data, tmp_path, monkeypatch):
    everything, together, count = planned(data), measuring.together, iter(range(100))

    def fails(jobs):
        for done in together(jobs):
            if next(count) == 7:
                raise KeyboardInterrupt
            yield done

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(measuring, "together", fails)
        sweeps.run(everything, tmp_path, Group())
    assert len(sweeps.finished(tmp_path)) == 7
    assert not (tmp_path / "rows.csv").exists()
    assert sweeps.run(everything, tmp_path, Group()) == 0
    assert len(rows(tmp_path)) == len(everything)


def test_other_weights_of_the_same_name_are_measured_and_replace_the_rows(data, tmp_path, calls):
    sweeps.run(planned(data), tmp_path, Group())
    before = rows(tmp_path)
    weights.annotate(tmp_path / "tiny.safetensors", {"scores": {"Set5": 30.0}})
    calls.clear()
    sweeps.run(planned(data), tmp_path, Group())
    assert not calls and rows(tmp_path) == before
    store(tmp_path / "tiny.safetensors", "other")
    sweeps.run(planned(data), tmp_path, Group())
    assert {method for _, method, _ in calls} == {"mzsr"}
    after = rows(tmp_path)
    assert len(calls) == sum(row["method"] == "mzsr" for row in before) == 16
    assert len(after) == len(before)
    assert {row["weights_hash"] for row in after}.isdisjoint({row["weights_hash"] for row in before} - {""})


def test_rows_of_other_jobs_stay_and_incomplete_means_stay_out(data, tmp_path):
    everything = planned(data)
    sweeps.run(planned(data, steps=(1,)), tmp_path, Group())
    before = rows(tmp_path)
    group = Group(0, 2)
    sweeps.work(group.share(everything), tmp_path, group)
    sweeps.merge(everything, tmp_path)
    assert rows(tmp_path) == before  # half of the pictures with two updates are missing
    sweeps.run(everything, tmp_path, Group())
    assert [row for row in rows(tmp_path) if row["steps"] != "2"] == before
    assert len(rows(tmp_path)) == len(everything)


def test_a_rehearsal_with_some_pictures_takes_none_away(data, tmp_path):
    sweeps.run(planned(data), tmp_path, Group())
    before = rows(tmp_path)
    sweeps.run(planned(data, count=1), tmp_path, Group())
    assert rows(tmp_path) == before
    sweeps.run(planned(data, count=1), tmp_path / "few", Group())
    assert {row["image"] for row in rows(tmp_path / "few")} == {"0.png"}


def test_time_that_is_up_stops_before_the_next_job(data, tmp_path, calls):
    everything = planned(data)
    assert sweeps.run(everything, tmp_path, Group(), minutes=0) == len(everything)
    assert not calls
    assert sweeps.run(everything, tmp_path, Group(0, 2), minutes=0) == len(everything)  # nobody is waited for


def test_the_guards_come_before_any_work(data, tmp_path, calls, monkeypatch):
    everything = planned(data)
    monkeypatch.setattr(selfcheck, "expected", lambda folder, setting, *more: 99.0 if folder.name == "yours" else None)
    monkeypatch.setattr(selfcheck.datasets, "recognise", lambda folder: "set5")
    with pytest.raises(selfcheck.SelfCheckFailed, match=r"paper prints 99\.00"):
        sweeps.run(everything, tmp_path, Group())
    assert {name for _, name, _ in calls} == {"bicubic"}  # of the check
    calls.clear()
    picture_files.save(data / "mine" / "9.png", picture(18, 60))
    with pytest.raises(InputError, match=r"9\.png cannot be used"):
        sweeps.run(planned(data), tmp_path, Group())
    assert not calls and not (tmp_path / "jobs").exists()


def test_the_outcome_of_the_self_check_is_in_the_rows(data, tmp_path, monkeypatch):
    settings = [kernel_files.parse("g2.0d"), kernel_files.parse("bicubic")]
    plan = sweeps.plan({"set5": data / "mine"}, settings, [registry.build("bicubic")])
    assert set(selfcheck.outcomes(plan)[0].values()) == {selfcheck.NOT_APPLICABLE}
    mean = evaluation.measure(plan).groupby("kernel")["psnr"].mean()["g2.0d"]
    monkeypatch.setattr(selfcheck, "expected", lambda f, setting, *more: mean if setting.name == "g2.0d" else None)
    monkeypatch.setattr(selfcheck.datasets, "recognise", lambda folder: "set5")
    sweeps.run(plan, tmp_path, Group())
    assert {(row["kernel"], row["selfcheck"]) for row in rows(tmp_path)} == {
        ("g2.0d", selfcheck.PASSED),
        ("bicubic", selfcheck.NOT_APPLICABLE),
    }


def simple(data):
    """Two jobs."""
    return sweeps.plan(sweeps.folders(["mine"], data), [kernel_files.parse("bicubic")], [registry.build("bicubic")])


def box(folder, size):
    folder.mkdir(exist_ok=True)
    np.save(folder / "kernel.npy", np.ones((size, size)))
    return kernel_files.parse(str(folder / "kernel.npy"))


def test_two_kernel_files_of_one_name_are_two_kernels(data, tmp_path, calls):
    a, b = box(tmp_path / "a", 3), box(tmp_path / "b", 7)
    places, bicubic = sweeps.folders(["mine"], data), [registry.build("bicubic")]
    for name, calls_of_settings in (("both", [[a, b]]), ("later", [[a], [b]])):
        for settings in calls_of_settings:
            sweeps.run(sweeps.plan(places, settings, bicubic), tmp_path / name, Group())
    both, later = rows(tmp_path / "both", MEASURED), rows(tmp_path / "later", MEASURED)
    assert both == later and len(both) == 4 and len({row["psnr"] for row in both}) == 4
    assert len(calls) == 8  # each kernel once in each folder
    assert "kernel (" + a.fingerprint[:6] in tables.as_markdown(measuring.read(tmp_path / "both" / "rows.csv"))


def test_other_pictures_of_the_same_names_are_measured_and_replace_the_rows(data, tmp_path, calls):
    sweeps.run(simple(data), tmp_path, Group())
    before = rows(tmp_path)
    picture_files.save(data / "mine" / "1.png", picture(50, 53, seed=9))
    sweeps.run(simple(data), tmp_path, Group())
    assert [image for image, *_ in calls] == ["0.png", "1.png", "1.png"]
    after = rows(tmp_path)
    assert after[0] == before[0] and len(after) == 2
    assert after[1]["psnr"] != before[1]["psnr"] and after[1]["image_hash"] != before[1]["image_hash"]


def test_rows_without_hashes_are_known_where_kernel_and_pictures_are(data, tmp_path, calls, monkeypatch):
    entries = tuple(
        Entry(path.name, "", datasets.fingerprint(path), 0) for path in picture_files.paths_in(data / "mine")
    )
    monkeypatch.setattr(datasets, "manifest", lambda: {"set5": entries})
    picture_files.save(data / "yours" / "0.png", picture(49, 53, seed=7))
    settings = [kernel_files.parse("g2.0d"), kernel_files.parse("1.0,0.5,0.3"), box(tmp_path, 3)]
    plan = sweeps.plan({"set5": data / "mine", "yours": data / "yours"}, settings, [registry.build("nearest")])
    monkeypatch.setattr(selfcheck, "expected", lambda *given: None)
    sweeps.run(plan, tmp_path, Group())
    old = measuring.read(tmp_path / "rows.csv").drop(columns=["image_hash", "kernel_hash"])
    measuring.write(tmp_path / "rows.csv", old)
    (tmp_path / "jobs" / "jobs-rank0.jsonl").unlink()
    calls.clear()
    sweeps.run(plan, tmp_path, Group())
    # Not again: the known data set with kernels that are spelled out. Again: a kernel file, and pictures nobody knows.
    assert len(calls) == 2 + 3 * 2


def damages():
    """A line of a journal, and what may happen to it."""
    return {
        "cut": lambda line: line[: len(line) // 2],
        "null bytes": lambda line: line[:30] + b"\0\0" + line[32:],
        "utf-16": lambda line: line.decode().encode("utf-16"),
        "another number": lambda line: re.sub(rb'"psnr": \d', b'"psnr": 9', line),
        "a list": lambda line: b"[1, 2]",
        "nothing measured": lambda line: b'{"a": 1}',
        "deep": lambda line: b"[" * 100_000,
    }


@pytest.mark.parametrize("kind", damages())
def test_a_damaged_line_of_a_journal_is_measured_again_and_said(data, tmp_path, calls, kind):
    plan = simple(data)
    sweeps.run(plan, tmp_path, Group())
    good = rows(tmp_path, MEASURED)
    (tmp_path / "rows.csv").unlink()
    journal, said = tmp_path / "jobs" / "jobs-rank0.jsonl", []
    first, second = journal.read_bytes().splitlines()
    journal.write_bytes(damages()[kind](first) + b"\n" + second + b"\n")
    calls.clear()
    sweeps.run(plan, tmp_path, Group(), say=said.append)
    assert [image for image, *_ in calls] == ["0.png"] and rows(tmp_path, MEASURED) == good
    assert len(said) == 1 and "jobs-rank0.jsonl" in said[0] and "damaged" in said[0]


def test_lines_from_before_there_were_checksums_are_read(data, tmp_path, calls, monkeypatch):
    entries = tuple(Entry(path.name, "", datasets.fingerprint(path), 0) for path in (data / "mine").iterdir())
    monkeypatch.setattr(datasets, "manifest", lambda: {"mine": entries})
    monkeypatch.setattr(datasets, "folder", lambda name, root: root / name)
    plan = simple(data)
    sweeps.run(plan, tmp_path, Group())
    (tmp_path / "rows.csv").unlink()
    journal = tmp_path / "jobs" / "jobs-rank0.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert all(line.pop(name) for line in lines for name in ("checksum", "kernel_hash", "image_hash"))
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    calls.clear()
    sweeps.run(plan, tmp_path, Group())
    assert not calls and len(rows(tmp_path)) == 2


def test_a_full_disk_is_one_sentence_and_loses_nothing(data, tmp_path, calls, monkeypatch):
    plan = simple(data)

    def full(handle):
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(Failure, match=r"No space left on device\): make room"):
        patch.setattr(journals.os, "fsync", full)
        sweeps.run(plan, tmp_path, Group())
    sweeps.run(plan, tmp_path, Group())
    assert len(rows(tmp_path)) == 2


def test_rows_from_before_agreement_are_those_without_it(data, tmp_path, calls):
    sweeps.run(planned(data), tmp_path, Group())
    old = measuring.read(tmp_path / "rows.csv")
    measuring.write(tmp_path / "rows.csv", old.drop(columns="agree"))
    (tmp_path / "jobs" / "jobs-rank0.jsonl").unlink()
    calls.clear()
    sweeps.run(planned(data), tmp_path, Group())
    assert not calls and measuring.read(tmp_path / "rows.csv").equals(old)
    agreed = registry.build("mzsr:1+agree", Options(data.parent / "tiny.safetensors"))
    sweeps.run(
        sweeps.plan(sweeps.folders(["mine"], data), [kernel_files.parse("bicubic")], [agreed]), tmp_path, Group()
    )
    assert len(calls) == 2
    assert measuring.read(tmp_path / "rows.csv").query("agree == 'yes'")["image"].tolist() == ["0.png", "1.png"]


def test_another_precision_is_measured_when_it_is_asked_for(data, tmp_path, calls):
    def run(precision):
        calls.clear()
        options = Options(data.parent / "tiny.safetensors", precision=precision)
        built = [registry.build(name, options if name == "mzsr:1" else Options()) for name in ("bicubic", "mzsr:1")]
        plan = sweeps.plan(sweeps.folders(["mine"], data), [kernel_files.parse("1.0,0.5,0.3")], built)
        sweeps.run(plan, tmp_path, Group())
        return {(row["method"], row["precision"]): row["psnr"] for row in rows(tmp_path)}, set(calls)

    first, _ = run("float32")
    assert set(first) == {("bicubic", "float32"), ("mzsr", "float32")}
    second, measured = run("bfloat16")
    assert measured == {("0.png", "mzsr", 1), ("1.png", "mzsr", 1)}
    assert set(second) == {("bicubic", "float32"), ("mzsr", "bfloat16")}
    # Left to the device, what is there does; and the first precision is still in the journal.
    assert run("auto") == (second, set()) and run("float32") == (first, set())


def test_weights_are_known_by_their_content(data, tmp_path):
    first = weights.fingerprint(data.parent / "tiny.safetensors")
    assert len(first) == 12
    store(tmp_path / "again.safetensors", "stored")
    store(tmp_path / "changed.safetensors", "stored", stage="another")
    (tmp_path / "foreign.pth").write_bytes(b"weights")
    found = [
        weights.fingerprint(tmp_path / name) for name in ("again.safetensors", "changed.safetensors", "foreign.pth")
    ]
    assert found[0] == first
    assert len({*found}) == 3
    assert found[2] == "9a129038d9a0"  # sha256sum of the seven bytes


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--datasets none", "'none' is no data set (set5, set14, "),
        ("--datasets set5", "run 'mzsr data fetch set5 --data "),
        ("--methods best", "no method 'best'"),
        ("--methods mzsr:-1", "steps is -1"),
        ("--methods mzsr:1+disagree", "names no method"),
        ("--methods mzsr pretrained --weights x.safetensors", "mzsr and pretrained"),
        ("--kernels g9.9d", "no kernel 'g9.9d'"),
        ("--images 0", "number of pictures is 0"),
        ("--max-minutes -1", "must be positive"),
        ("--output DATA/mine/0.png/there", "Cannot write"),
    ],
)
def test_wrong_input_gets_one_sentence_and_writes_nothing(data, tmp_path, monkeypatch, capsys, words, sentence):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    base = ["tables", "--data", str(data), "--datasets", "mine", "--methods", "bicubic"]
    assert main.main([*base, *words.replace("DATA", str(data)).split()]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 1 and sentence in shown[0]
    assert not list((tmp_path / "work").iterdir())


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def test_two_processes_and_one_write_the_same_rows(data, tmp_path, capsys):
    words = [
        "tables",
        "--data",
        str(data),
        "--datasets",
        "mine",
        "yours",
        "--kernels",
        "1.0,0.5,0.3",
        "--device",
        "cpu",
    ]
    words += ["--methods", "bicubic", "mzsr:1", "--weights", str(tmp_path / "tiny.safetensors")]
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "mzsr_lib.cli", *words, "--output", str(tmp_path / "two")]
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"} for rank in range(2)]
    started = [subprocess.Popen(command, env=environment | rank) for rank in ranks]
    try:
        assert [process.wait(timeout=240) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    assert main.main([*words, "--output", str(tmp_path / "one")]) == 0
    assert rows(tmp_path / "two", MEASURED) == rows(tmp_path / "one", MEASURED)
    assert len(rows(tmp_path / "two")) == 8
    lines = [path.read_text().splitlines() for path in sorted((tmp_path / "two" / "jobs").iterdir())]
    assert [len(part) for part in lines] == [4, 4]
    assert all(json.loads(line)["device"] == "cpu" for part in lines for line in part)
    assert "tables.md" in capsys.readouterr().out
    assert (tmp_path / "two" / "tables.md").read_text() == (tmp_path / "one" / "tables.md").read_text()
