"""Damaged files of every kind that is read: a reader returns something valid or says one sentence, and nothing else.

The same 2,000 or so inputs every time; ``MZSR_FUZZ=15000`` tries so many of each of the seven kinds, at random.
"""

import datetime
import io
import json
import os

import numpy as np
import pytest
import scipy.io
import torch
from helpers import picture
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mzsr_lib.benchmark import measuring
from mzsr_lib.cli import main
from mzsr_lib.files import Failure, InputError
from mzsr_lib.imaging import kernel_files, picture_files
from mzsr_lib.imaging.kernels import Setting
from mzsr_lib.imaging.picture_files import Picture
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import SRNetwork
from mzsr_lib.runtime import generator_for
from mzsr_lib.training import checkpoints

ASKED = os.environ.get("MZSR_FUZZ")
fuzzed = settings(
    max_examples=int(ASKED or 280),
    derandomize=ASKED is None,
    database=None,
    deadline=datetime.timedelta(seconds=30),  # far more than any input needs: a reader that hangs is found
    suppress_health_check=list(HealthCheck),
)
KERNEL = np.outer([1, 2, 1], [1, 2, 1]) / 16.0


def saved(kind: str, height: int = 9, width: int = 7) -> bytes:
    """A small array in a file of a kind: a kernel, or a picture."""
    buffer = io.BytesIO()
    if kind == ".npy":
        np.save(buffer, KERNEL)
    elif kind == ".mat":
        scipy.io.savemat(buffer, {"Kernel": KERNEL})
    else:
        values = (picture(height, width, seed=1)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        Image.fromarray(values).save(buffer, {".jpg": "JPEG", ".tif": "TIFF"}.get(kind, kind[1:]))
    return buffer.getvalue()


def row() -> str:
    """One measured row as a file of rows."""
    facts = dict.fromkeys(measuring.COLUMNS, "x") | {"scale": 2, "steps": 1, "psnr": 30.5, "ssim": 0.9, "seconds": 1}
    return f"{','.join(facts)}\n{','.join(map(str, facts.values()))}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


class Samples(dict[str, bytes]):
    """Whole files by kind, which a failing test does not print."""

    def __repr__(self) -> str:
        return f"files {sorted(self)}"


@pytest.fixture(scope="module")
def samples(place) -> Samples:
    """Whole files by kind."""
    network = SRNetwork(4, 3, generator_for("fuzz"))
    params = dict(network.named_parameters())
    weights.save(place / "w.safetensors", network, params, {"scale": 2})
    values = [p.detach() for p in params.values()]
    state = {"config": {"steps": 3}, "step": 2, "seconds": 1.0, "best": 30.0, "skipped": 0}
    state |= {"network": dict(zip(params, values, strict=True)), "average": values, "optimizer": {}, "totals": {}}
    checkpoints.write(place / "checkpoint.pt", state)
    found = {name: (place / name).read_bytes() for name in ("w.safetensors", "checkpoint.pt")}
    found |= {f"k{kind}": saved(kind) for kind in (".npy", ".mat", ".png")}
    found |= {f"p{kind}": saved(kind) for kind in (".png", ".jpg", ".tif", ".webp", ".bmp")}
    found |= {f"c{kind}": saved(kind, 24, 22) for kind in (".png", ".tif")}  # as large as a kernel
    return Samples(found | {"rows.csv": row().encode()})


places, bytes_of = st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)
damages = st.lists(st.tuples(st.sampled_from(["change", "insert", "cut", "drop"]), places, bytes_of), max_size=4)


def damaged(content: bytes, damage: list[tuple[str, float, bytes]]) -> bytes:
    """Return a file with bytes changed, put in, cut off at the end, or left out."""
    for how, where, more in damage:
        at = int(where * (len(content) + 1))
        rest = {"change": at + len(more), "insert": at, "cut": len(content), "drop": at + len(more)}[how]
        content = content[:at] + (more if how in ("change", "insert") else b"") + content[rest:]
    return content


def tried(reader, path, content: bytes):
    """Return what a reader makes of a file, or None when it says a sentence about it."""
    path.write_bytes(content)
    try:
        return reader(path)
    except (InputError, Failure) as error:
        assert str(error).strip() and len(str(error)) < 2000, "it should be one sentence"
        return None
    finally:
        assert path.read_bytes() == content, "what is read should stay as it is"


def finite(*tensors: torch.Tensor) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


@fuzzed
@given(st.data(), damages)
def test_damaged_kernels(place, samples, data, damage):
    name = data.draw(st.sampled_from(["k.npy", "k.mat", "k.png"]))
    content = damaged(samples[name], damage)
    found = tried(lambda path: kernel_files.parse(str(path)), place / f"in-{name}", content)
    assert found is None or (isinstance(found, Setting) and finite(found.kernel))
    assert found is None or abs(float(found.kernel.sum()) - 1) < 1e-3


@fuzzed
@given(
    st.one_of(st.text(max_size=30), st.lists(st.floats(), min_size=1, max_size=4).map(lambda v: ",".join(map(str, v))))
)
@example("1.0,1.5e-174,1.0")
def test_any_words_for_a_kernel(text):
    try:
        found = kernel_files.parse(text)
    except InputError:
        return
    assert finite(found.kernel)


@fuzzed
@given(st.data(), damages)
def test_damaged_pictures(place, samples, data, damage):
    name = data.draw(st.sampled_from([name for name in samples if name.startswith("p.")]))
    found = tried(picture_files.read, place / f"in-{name}", damaged(samples[name], damage))
    assert found is None or (isinstance(found, Picture) and finite(found.image))


@fuzzed
@given(damages)
def test_damaged_weights(place, samples, damage):
    content = damaged(samples["w.safetensors"], damage)
    found = tried(weights.load, place / "in.safetensors", content)
    assert found is None or finite(*found.network.parameters())


@fuzzed
@given(damages)
def test_damaged_checkpoints(place, samples, damage):
    content = damaged(samples["checkpoint.pt"], damage)
    found = tried(checkpoints.read, place / "in.pt", content)
    assert found is None or content == samples["checkpoint.pt"], "a changed byte should be noticed"


@fuzzed
@given(damages)
@example([("cut", 0.77, b"")])  # the head alone: a table without rows, of numbers all the same
def test_damaged_rows(place, samples, damage):
    found = tried(measuring.read, place / "in.csv", damaged(samples["rows.csv"], damage))
    assert found is None or np.isfinite(found[["psnr", "ssim", "seconds"]].to_numpy()).all()


@fuzzed
@given(st.data(), damages)
def test_the_command_ends_with_a_code_and_writes_nothing_it_refuses(place, samples, data, damage):
    name = data.draw(st.sampled_from(["c.png", "c.tif", "k.npy", "k.png"]))
    (place / f"cli-{name}").write_bytes(damaged(samples[name], damage))
    (place / "cli-good.png").write_bytes(samples["c.png"])
    output = place / "out.png"
    output.unlink(missing_ok=True)
    hr, kernel = (name, "g2.0d") if name.startswith("c.") else ("good.png", str(place / f"cli-{name}"))
    words = ["degrade", str(place / f"cli-{hr}"), str(output), "--kernel", kernel]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", said := io.StringIO())
        patch.setattr("sys.stdout", io.StringIO())
        code = main.main(words)
    assert code in (0, 1, 2)
    assert "unexpected" not in said.getvalue() and "Traceback" not in said.getvalue()
    assert output.exists() == (code == 0)
    assert json.dumps(said.getvalue()).count("mzsr: ") <= 1
