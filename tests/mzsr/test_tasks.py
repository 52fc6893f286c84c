"""Patches come out of the pictures, tasks hold the pairs they claim, and a key always gives the same."""

import math

import pytest
import torch
from helpers import dihedral, picture

from mzsr_lib.files import InputError
from mzsr_lib.imaging import images, picture_files, resize
from mzsr_lib.imaging.degradation import Degradation, DegradationPrior
from mzsr_lib.imaging.kernels import KernelPrior
from mzsr_lib.imaging.picture_sets import read_pictures
from mzsr_lib.mzsr import tasks
from mzsr_lib.mzsr.tasks import PatchSource, TaskDistribution, image_task, two_sets_task
from mzsr_lib.runtime import generator_for

SIZES = ((13, 11), (9, 17), (12, 12))
PATCH = 7


def charts() -> list[torch.Tensor]:
    """Pictures whose red, green and blue (in 1/255) are the row, the column and the picture's number."""
    found = []
    for number, (height, width) in enumerate(SIZES):
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        found.append(torch.stack([rows, columns, torch.full_like(rows, number)])[None] / 255)
    return found


def place(patch: torch.Tensor) -> tuple[int, int, int, int]:
    """Where a patch of the charts was cut, and by which transform: (picture, row, column, which of eight)."""
    values = (patch * 255).round().long().cpu()
    number, top, left = int(values[2, 0, 0]), int(values[0].min()), int(values[1].min())
    chart = (charts()[number][0] * 255).round().long()[:, top : top + PATCH, left : left + PATCH]
    which = [i for i, turned in enumerate(dihedral(chart.numpy())) if (turned == values.numpy()).all()]
    assert len(which) == 1, "the patch occurs nowhere in its picture"
    return number, top, left, which[0]


def test_every_patch_occurs_in_a_picture(device):
    patches = PatchSource(charts(), device).sample(400, PATCH, generator_for("patches", device=device))
    assert patches.shape == (400, 3, PATCH, PATCH)
    assert patches.device.type == device.type
    places = [place(patch) for patch in patches]
    for number, (height, width) in enumerate(SIZES):
        mine = [p for p in places if p[0] == number]
        # Every picture, every row and column a patch can start in, the first and the last among them.
        assert {p[1] for p in mine} == set(range(height - PATCH + 1))
        assert {p[2] for p in mine} == set(range(width - PATCH + 1))
    assert {p[3] for p in places} == set(range(8))


def test_a_patch_may_be_the_whole_picture():
    source = PatchSource([picture(5, 5)])
    whole = source.sample(1, 5, generator_for("whole"))[0].numpy()
    assert any((whole == turned).all() for turned in dihedral(images.round_to_8_bits(picture(5, 5))[0].numpy()))


def test_the_same_generator_gives_the_same_patches(device):
    source = PatchSource(charts(), device)
    first, again, other = (source.sample(9, PATCH, generator_for(key, device=device)) for key in "aab")
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_patches_must_fit_in_every_picture():
    with pytest.raises(InputError, match="a side of 9 px: patches of 10 px do not fit"):
        PatchSource(charts()).sample(1, 10, generator_for(0))
    with pytest.raises(InputError, match="no pictures"):
        PatchSource([])


def test_a_key_is_a_seed():
    keys = [(0,), (1,), (0, 1), (1, 0), ("0",), (0, 1, "mode")]
    drawn = [torch.rand(4, generator=generator_for(*key)).tolist() for key in keys]
    assert len({tuple(d) for d in drawn}) == len(keys)
    assert drawn[2] == torch.rand(4, generator=generator_for(0, 1)).tolist()


@pytest.fixture
def folders(tmp_path):
    """Eleven one-colour pictures in two folders; the red value is the place in the sorted list."""
    for i in range(11):
        folder = tmp_path / ("a" if i < 6 else "b")
        folder.mkdir(exist_ok=True)
        picture_files.save(folder / f"{i:02d}.png", torch.full((1, 3, 3, 4), i / 255))
    return [tmp_path / "a", tmp_path / "b"]


def numbers(pictures: list[torch.Tensor]) -> list[int]:
    return [round(float(p[0, 0, 0, 0]) * 255) for p in pictures]


@pytest.mark.parametrize("hold_out", [0, 1, 4, 8, 10])
def test_held_out_pictures_are_not_trained_on(folders, hold_out):
    pictures = read_pictures(folders, hold_out)
    training, held_out = numbers(pictures.training), numbers(pictures.held_out)
    assert len(held_out) == hold_out
    assert sorted(training + held_out) == list(range(11))


def test_held_out_pictures_are_spread_over_the_list(folders):
    assert numbers(read_pictures(folders, 4).held_out) == [0, 2, 5, 8]


def test_something_must_be_left_to_train_on(folders):
    with pytest.raises(InputError, match="pictures is 11: give at least 12"):
        read_pictures(folders, 11)


def same(a, b) -> bool:
    return torch.equal(a, b) and a.shape == b.shape


def as_at_test_time(hr: torch.Tensor, degradation: Degradation) -> torch.Tensor:
    return resize.upscale(degradation(hr), degradation.scale)


def distribution(episode: str, scale: int = 2, **changes) -> TaskDistribution:
    settings = {"patch": 12 * scale, "patches": 3} | changes
    degradations = DegradationPrior(scale, settings.pop("prior", KernelPrior(size=5)), settings.pop("bicubic_share", 0))
    return TaskDistribution([degradations], episode, **settings)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_two_sets_task_has_two_sets_of_pairs(device, scale):
    source = PatchSource([picture(60, 51, device=device), picture(50, 70, seed=1)], device)
    task = distribution("two-sets", scale).sample(source, (0, 1))
    shape = (3, 3, 12 * scale, 12 * scale)
    assert task.support_target.shape == task.query_target.shape == shape
    assert not same(task.support_target, task.query_target)
    assert same(task.support_input, as_at_test_time(task.support_target, task.degradation))
    assert same(task.query_input, as_at_test_time(task.query_target, task.degradation))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_image_task_is_what_test_time_sees(device, scale):
    # 13 LR pixels a side are no multiple of the scale: the support is cropped, the query is not.
    source = PatchSource([picture(60, 61, device=device)], device)
    task = distribution("image", scale, patch=13 * scale).sample(source, (0, 1))
    lr = task.degradation(task.query_target)
    assert task.query_target.shape == (3, 3, 13 * scale, 13 * scale)
    assert same(task.query_input, resize.upscale(lr, scale))
    assert same(task.support_target, images.crop_to_multiple(lr, scale))
    assert same(task.support_input, as_at_test_time(task.support_target, task.degradation))


@pytest.mark.parametrize("make", [two_sets_task, image_task])
def test_a_task_uses_the_upscaler_it_is_given(make):
    class Nearest:
        passes = 1

        def __call__(self, lr, degradation, sr=None):
            return lr.repeat_interleave(degradation.scale, -1).repeat_interleave(degradation.scale, -2)

        def finish(self, lr, degradation, sr):
            return sr

    nearest = Nearest()
    degradation = Degradation(torch.ones(1, 1))
    task = make(picture(16, 20, batch=4), degradation, nearest)
    assert same(task.support_input, nearest(degradation(task.support_target), degradation))
    assert same(task.query_input, nearest(degradation(task.query_target), degradation))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("patch", "side"), [(27, None), (40, 9), (40, 40), (41, 20)])
def test_a_teacher_gives_the_target_of_the_query_in_register(scale, patch, side):
    seen = []

    def teacher(lr, degradation):
        seen.append(lr.shape[-1])
        return lr.repeat_interleave(scale, -1).repeat_interleave(scale, -2)

    source, patch = PatchSource([picture(190, 181)]), patch * scale
    drawn = distribution("image", scale, patch=patch, query_patch=side)
    taught, plain = drawn.sample(source, (0, 1), teacher=teacher), drawn.sample(source, (0, 1))
    whole = distribution("image", scale, patch=patch).sample(source, (0, 1)).query_target
    side = side or patch
    expected = images.centre_crop(teacher(taught.degradation(whole), taught.degradation), side, 1)
    assert same(taught.query_target, expected)
    assert same(taught.query_input, plain.query_input)
    assert same(taught.support_target, plain.support_target)
    assert seen[0] <= side // scale + 2 + 2 * tasks.SURROUNDINGS, "a small query costs a small picture"


@pytest.mark.parametrize("episode", ["two-sets", "image"])
def test_a_task_belongs_to_its_key(device, episode):
    source = PatchSource([picture(60, 51)], device)
    first, again, other = (distribution(episode).sample(source, key) for key in [(0, 1), (0, 1), (0, 2)])
    assert same(first.query_target, again.query_target)
    assert same(first.degradation.kernel, again.degradation.kernel)
    assert not same(first.query_target, other.query_target)
    assert not same(first.degradation.kernel, other.degradation.kernel)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (1.0, 60, 60), (0.25, 5, 26)])
def test_the_share_of_bicubic_tasks(share, low, high):
    # 60 draws at 1/4: 15 expected, standard deviation 3.4.
    source = PatchSource([picture(24, 24)])
    drawn = [distribution("image", bicubic_share=share, patches=1).sample(source, (0, i)) for i in range(60)]
    assert low <= sum(task.degradation.mode == "bicubic" for task in drawn) <= high


def test_tasks_of_several_scales_come_equally_often():
    # 90 draws at 1/3: 30 expected, standard deviation 4.5.
    priors = [DegradationPrior(scale, KernelPrior(size=5)) for scale in (2, 3, 4)]
    several = TaskDistribution(priors, "two-sets", patch=24, patches=1)
    source = PatchSource([picture(24, 24)])
    tasks = [several.sample(source, (0, i)) for i in range(90)]
    assert all(task.query_target.shape[-1] == 24 for task in tasks)
    counts = [sum(task.degradation.scale == scale for task in tasks) for scale in (2, 3, 4)]
    assert sum(counts) == 90
    assert min(counts) > 15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 5}, "scale is 5"),
        ({"bicubic_share": 1.5}, "bicubic tasks is 1.5"),
        ({"patch": 25}, "Patches of 25 px do not suit scale 2"),
        ({"patch": 28}, "Patches of 28 px do not suit scale 2 and kernels of 15 px.*at least 32"),
        ({"episode": "two-sets", "patch": 14}, "Patches of 14 px do not suit"),
    ],
)
def test_an_impossible_distribution_is_refused(changes, message):
    settings = {"scale": 2, "prior": KernelPrior(), "episode": "image", "patch": 32} | changes
    with pytest.raises(InputError, match=message):
        distribution(**settings)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_smallest_patch_allowed_can_be_degraded_twice(scale):
    def allowed(patch):
        try:
            return distribution("image", scale, prior=KernelPrior(size=15), patch=patch)
        except InputError:
            return None

    smallest = next(found for patch in range(1, 200) if (found := allowed(patch)))
    # The LR patch, cropped to a multiple of the scale, must hold the kernel.
    assert smallest.patch == scale * scale * math.ceil(15 / scale)
    source = PatchSource([picture(80, 80)])
    assert smallest.sample(source, (0,)).support_target.shape[-1] >= 15
