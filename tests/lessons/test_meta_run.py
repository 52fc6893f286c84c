"""The explorer of a meta-training run: it shows what the files hold, and says when they are damaged."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, picture
from matplotlib.lines import Line2D

from mzsr_lib import files
from mzsr_lib.files import InputError
from mzsr_lib.imaging import metrics, picture_files
from mzsr_lib.lessons import meta_run
from mzsr_lib.lessons.meta_run import SCORED, UPDATES, MetaRunExplorer

STORED = ROOT / "results" / "meta_run"
STEPS = (0, 10, 30)


def rows() -> list[dict]:
    """Return a run whose start falls by 2 dB at each checkpoint, and whose updates bring 0.5 dB each."""
    found = []
    for place, step in enumerate(STEPS):
        held_out = {f"psnr_{n}": 30 - 2 * place + min(place, 1) * n / 2 for n in SCORED}
        found.append({"step": step, **held_out, **{f"picture_{n}": 20 + place + n / 100 for n in UPDATES}})
    return found


@pytest.fixture
def folder(tmp_path) -> Path:
    files.write_rows(tmp_path / meta_run.TABLE, rows())
    picture_files.save(tmp_path / meta_run.TRUTH, picture(9, 11, seed=0))
    for step in STEPS:
        for n in UPDATES:
            picture_files.save(tmp_path / meta_run.picture_name(step, n), picture(9, 11, seed=100 * step + n))
    return tmp_path


def shown_texts(explorer) -> list[str]:
    return [text.get_text() for text in explorer.figure.texts]


def test_the_slider_moves_the_mark_and_the_pictures(folder):
    explorer, seen = MetaRunExplorer(folder), set()
    assert explorer.run is not None and tuple(explorer.run.steps) == STEPS and explorer.state == {"step": 30}
    for row in rows():
        explorer.controls["step"].value = row["step"]
        assert np.asarray(explorer._curves._line.get_xdata()).tolist() == [row["step"]] * 2
        assert np.asarray(explorer._curves._rings.get_ydata()).tolist() == [row[f"psnr_{n}"] for n in SCORED]
        for n in UPDATES:
            stored = picture_files.load(folder / meta_run.picture_name(row["step"], n))
            drawn = torch.from_numpy(np.array(explorer._panels[n].image.get_array())).permute(2, 0, 1)
            assert torch.equal(drawn, stored[0])
            assert f"{row[f'picture_{n}']:.2f} dB" in shown_texts(explorer)
        seen.add(explorer._repr_mimebundle_()["image/png"])
    assert len(seen) == len(STEPS)
    lines = [line.get_color() for line in explorer.figure.artists if isinstance(line, Line2D)]
    assert lines == [meta_run.COLOURS[n] for n in UPDATES]  # each picture is joined to its curve


def test_the_curves_are_those_of_the_table(folder):
    explorer = MetaRunExplorer(folder)
    drawn = {tuple(np.asarray(y)): tuple(np.asarray(x)) for x, y in map(Line2D.get_data, explorer._curves.axes.lines)}
    for n in SCORED:
        assert drawn[tuple(row[f"psnr_{n}"] for row in rows())] == STEPS
    assert {"0 updates", "1 update", "10 updates", "truth", "11 x 9 px"} <= set(shown_texts(explorer))


def test_the_sentence_says_what_is_above_and_what_below(folder):
    explorer = MetaRunExplorer(folder, 10)
    assert explorer.message == (
        "After 10 outer steps, on the held-out photographs: the start alone is 2.0 dB below the blind network, "
        "one update 1.5 dB below it, ten 3.0 dB above it. Ten updates bring 5.0 dB."
    )
    explorer.controls["step"].value = 0
    assert explorer.message.startswith("Before training, the start is the blind network (30.0 dB on the held-out")
    assert explorer.message.endswith("change it by +0.00 dB.")
    assert repr(explorer) == "MetaRunExplorer(step=0)"


def test_two_explorers_look_the_same(folder):
    first, second = (MetaRunExplorer(folder, 10)._repr_mimebundle_() for _ in range(2))
    assert first["image/png"] == second["image/png"] and first["text/plain"] == "MetaRunExplorer(step=10)"


def test_a_step_without_a_checkpoint_is_refused(folder):
    with pytest.raises(InputError, match="no checkpoint at step 20: choose one of 0, 10, 30"):
        MetaRunExplorer(folder, 20)


def rewrite(folder: Path, old: str, new: str) -> None:
    path = folder / meta_run.TABLE
    path.write_text(path.read_text().replace(old, new, 1))


DAMAGE = {
    "no table": (lambda folder: (folder / meta_run.TABLE).unlink(), "cannot be read"),
    "a column is gone": (lambda folder: rewrite(folder, "psnr_10", "psnr_11"), "is damaged ('psnr_10')"),
    "a word": (lambda folder: rewrite(folder, "30.0", "many"), "is damaged (could not convert"),
    "not finite": (lambda folder: rewrite(folder, "30.0", "nan"), "not finite"),
    "another order": (lambda folder: rewrite(folder, "\n10,", "\n40,"), "should begin at step 0 and go up"),
    "no picture": (lambda folder: (folder / meta_run.picture_name(10, 1)).unlink(), "outer-0010-inner-01.png"),
    "half a picture": (
        lambda folder: (folder / meta_run.TRUTH).write_bytes((folder / meta_run.TRUTH).read_bytes()[:70]),
        "truth.png",
    ),
    "another size": (
        lambda folder: picture_files.save(folder / meta_run.picture_name(30, 10), picture(9, 9)),
        "has another size than truth.png",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_cannot_be_read_is_one_sentence(what, folder):
    damage, said = DAMAGE[what]
    damage(folder)
    explorer = MetaRunExplorer(folder)
    assert said in explorer.message and explorer.message.endswith(".") and "\n" not in explorer.message
    assert explorer.run is explorer.shown is None and not explorer.controls
    assert shown_texts(explorer) == ["There is no run to show."]
    assert repr(explorer) == "MetaRunExplorer()"


# The run that is kept


def test_the_stored_numbers_are_those_of_the_stored_pictures():
    run = meta_run.read(STORED)
    for checkpoint in run.checkpoints:
        for n, stored in checkpoint.pictures.items():
            assert metrics.protocol_psnr(stored, run.truth, 2) == pytest.approx(checkpoint.psnr[n], abs=0.002)
    assert sum(path.stat().st_size for path in STORED.iterdir()) < 400_000
    assert {re.sub(r"\d+", "N", path.name) for path in STORED.glob("*.png")} == {"truth.png", "outer-N-inner-N.png"}
    assert len(list(STORED.glob("*.png"))) == len(UPDATES) * len(run.checkpoints) + 1


def test_in_the_stored_run_the_start_falls_and_ten_updates_rise():
    run = meta_run.read(STORED)
    last = run.checkpoints[-1]
    assert last.held_out[0] < run.blind - 3 and last.held_out[10] > run.blind + 0.5
    assert last.psnr[0] < run.checkpoints[0].psnr[0] - 2 and last.psnr[10] > run.checkpoints[0].psnr[10]
