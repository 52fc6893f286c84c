"""A released file goes through the same door as ours; a wrong one is one sentence that names the first problem."""

import pytest
import torch
from helpers import picture
from test_carn import released_state as carn_state
from test_rcan import released_state as rcan_state

from mzsr_lib.files import InputError
from mzsr_lib.imaging.degradation import from_setting
from mzsr_lib.imaging.kernel_files import parse
from mzsr_lib.models import released, weights
from mzsr_lib.mzsr import inputs
from mzsr_lib.mzsr.adaptation import starting_point, super_resolve

SQUEEZE = "body.0.body.0.body.3.conv_du.0.weight"


def saved(folder, state: object, name: str = "given.pth"):
    torch.save(state, folder / name)
    return folder / name


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapping", [None, "state_dict", "params"])
def test_wrappings_and_prefixes_are_taken_off(tmp_path, prefix, wrapping):
    state = rcan_state(2)
    named = {prefix + name: value for name, value in state.items()}
    path = saved(tmp_path, {wrapping: named, "epoch": 3} if wrapping else named)
    network, _ = released.read(path)
    assert torch.equal(network.entry.weight, state["head.0.weight"])


def without(state: dict, name: str) -> dict:
    return {key: value for key, value in state.items() if key != name}


WRONG = {
    "nothing known": (lambda: {"w": torch.zeros(2)}, r"'entry.weight' is missing.*'head.0.weight' is missing"),
    "no mapping": (lambda: torch.zeros(2), "neither CARN"),
    "carn: a hole": (lambda: without(carn_state(), "b2.b1.body.2.bias"), "CARN: 'b2.b1.body.2.bias' is missing"),
    "carn: no up-sampler": (
        lambda: {k: v for k, v in carn_state().items() if not k.startswith("upsample")},
        "'upsample.up.body.0.weight' is missing",
    ),
    "carn: another shape": (
        lambda: carn_state() | {"b1.b1.body.0.weight": torch.zeros(4, 1, 3, 3)},
        "'b1.b1.body.0.weight' is 4 x 1 x 3 x 3, not 4 x 4 x 3 x 3",
    ),
    "carn-m: odd groups": (
        lambda: carn_state(groups=2) | {"b1.b1.body.0.weight": torch.zeros(4, 3, 3, 3)},
        "'b1.b",
    ),
    "carn: too much": (lambda: carn_state() | {"b1.b1.body.4.weight": torch.zeros(1)}, "'b1.b1.body.4.weight' belongs"),
    "rcan: a hole": (lambda: without(rcan_state(2), "body.1.body.3.weight"), "RCAN: 'body.1.body.3.weight' is missing"),
    "rcan: no attention": (
        lambda: without(rcan_state(2), SQUEEZE),
        f"'{SQUEEZE}' is missing",
    ),
    "rcan: no up-sampler": (
        lambda: {k: v for k, v in rcan_state(2).items() if not k.startswith("tail.0")},
        "'tail.0.0.weight' is missing",
    ),
    "rcan: no convolution": (
        lambda: rcan_state(2) | {"head.0.weight": torch.zeros(4)},
        "'head.0.weight' is 4, and not",
    ),
    "only the entry": (lambda: {"entry.weight": torch.zeros(4, 3, 3, 3)}, "is missing"),
    "only the head": (lambda: {"head.0.weight": torch.zeros(4, 3, 3, 3)}, "is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_sentence_with_the_first_problem(tmp_path, case):
    make, message = WRONG[case]
    path = saved(tmp_path, make())
    with pytest.raises(InputError, match=message) as caught:
        weights.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Surprise:
    """Something that is no tensor, and would run code when read."""

    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize("contents", [b"", b"no weights at all", None])
def test_a_file_that_is_no_archive_of_tensors_is_refused(tmp_path, contents, capsys):
    path = saved(tmp_path, {"entry.weight": Surprise()})
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(InputError, match="cannot be read as PyTorch weights"):
        weights.load(path)
    assert "code ran" not in capsys.readouterr().out


def test_released_weights_come_through_the_door_of_ours(tmp_path, device):
    loaded = weights.load(saved(tmp_path, rcan_state(3), "RCAN_BIX3.pt"), device)
    assert (loaded.scales, loaded.upscaler, loaded.rule) == ((3,), inputs.unchanged_input, None)
    assert weights.load(tmp_path / "RCAN_BIX3.pt", precision="bfloat16").network.precision == "float32"
    assert weights.read_provenance(tmp_path / "RCAN_BIX3.pt") == loaded.provenance
    bicubic = from_setting(parse("bicubic"), 3).to(device)
    assert weights.doubt(loaded.provenance, bicubic) is None
    sr = super_resolve(
        loaded.network, starting_point(loaded.network), picture(9, 7, device=device), bicubic, loaded.upscaler
    )
    assert sr.shape == (1, 3, 27, 21)
    other = released.read(saved(tmp_path, rcan_state(3), "RCAN_BDX3.pt"))[1]
    assert "never saw bicubic" in weights.doubt(other, bicubic)


def test_nothing_is_written_into_a_released_file(tmp_path):
    path = saved(tmp_path, carn_state())
    before = path.read_bytes()
    with pytest.raises(InputError, match="save them as a"):
        weights.annotate(path, {"scores": {}})
    assert path.read_bytes() == before


@pytest.mark.parametrize("groups", [None, 2])
def test_they_can_be_kept_as_a_file_of_ours_colour_shifts_included(tmp_path, groups):
    loaded = weights.load(saved(tmp_path, carn_state(groups=groups)))
    params = dict(loaded.network.named_parameters())
    weights.save(tmp_path / "ours.safetensors", loaded.network, params, loaded.provenance)
    again = weights.load(tmp_path / "ours.safetensors")
    assert again.provenance == loaded.provenance
    for scale in (2, 3, 4):
        assert torch.equal(again.network.at(scale)(picture(7, 5)), loaded.network.at(scale)(picture(7, 5)))
