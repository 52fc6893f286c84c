"""What a sweep has to do: one picture in one setting by one method is a job."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from mzsr_lib import baselines, downloads, evaluation, images
from mzsr_lib.baselines import Method
from mzsr_lib.evaluation import Row
from mzsr_lib.files import InputError, existing_folder
from mzsr_lib.kernels import Setting

# A measured row with the same values is the same job, finished.
IDENTITY = ("dataset", "image", "kernel", "mode", "scale", "method", "steps", "weights", "weights_hash", "seed")
# The paper shows these numbers of updates; all other methods take their own.
UPDATES = {"mzsr": (1, 10)}

Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Job:
    """One picture in one setting by one method: what is measured at a time."""

    dataset: str
    path: Path
    setting: Setting
    scale: int
    method: Method
    seed: int = 0

    @property
    def facts(self) -> Row:
        """The columns of the row that are known before the work."""
        place = {"dataset": self.dataset, "image": self.path.name, "kernel": self.setting.name}
        place |= {"mode": self.setting.mode, "scale": self.scale, "seed": self.seed}
        return place | evaluation.described(self.method)

    @property
    def key(self) -> Key:
        """What tells whether it is finished, see `IDENTITY`."""
        return key_of(self.facts)

    @property
    def cell(self) -> tuple[Path, str, int]:
        """The setting: folder, kernel and scale."""
        return self.path.parent, self.setting.name, self.scale


def key_of(row: Mapping, columns: Sequence[str] = IDENTITY) -> Key:
    """Return the values of a row in some columns as text, the same from memory and from a file."""
    return tuple(str(row.get(column, "")) for column in columns)


def methods_for(
    names: Sequence[str],
    scale: int,
    steps: Sequence[int] = (),
    weights_name: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Method]:
    """Build the methods of one scale; one that has no weights for it is left out, and that is said.

    Parameters
    ----------
    names
        Of `baselines.METHODS`.
    scale
        2, 3 or 4.
    steps
        Updates of the methods that begin with trained weights; zssr, which does not, takes them when it is the
        only one named. By default `UPDATES`, and for others their own.
    weights_name, seed, device
        See `baselines.sweep`.
    say
        Is told why a method is left out.

    Raises
    ------
    InputError
        If the scale or a number of updates cannot be, the weights do not fit, or nothing is left.
    """
    images.check_scale(scale)
    if min(steps, default=0) < 0:
        raise InputError(f"The number of steps is {min(steps)}: it cannot be negative.")
    if len(names) == 1 or weights_name is not None:
        baselines.sweep(names, steps if len(names) == 1 else None, weights_name, device=device, scale=scale)
    built, reasons = [], []
    for name in dict.fromkeys(names):
        entry = baselines.entry_of(name)
        ours = entry.updates is not None and (entry.has_weights or len(names) == 1)
        counts = (steps if ours else ()) or UPDATES.get(name, ())
        chosen = weights_name if entry.has_weights else None
        try:
            built += baselines.sweep([name], counts, chosen, seed, device, scale)
        except InputError as error:
            reasons.append(f"{name} is left out: {error}")
            say(reasons[-1])
    if not built:
        raise InputError(reasons[0] if len(reasons) == 1 else f"No method is left for scale {scale}: choose others.")
    return built


def folders(names: Iterable[str], root: str | Path | None = None) -> dict[str, Path]:
    """Return the folders of data sets, or of one's own pictures, below `root` (default: `downloads.data_root`)."""
    root, found = Path(root or downloads.data_root()).expanduser(), {}
    for name in names:
        known = name in downloads.manifest()
        found[name] = downloads.folder(name, root) if known else existing_folder(root / name)
    return found


def check_count(count: int | None) -> None:
    """Raise `InputError` for a number of pictures that leaves nothing to do."""
    if count is not None and count < 1:
        raise InputError(f"The number of pictures is {count}: it must be positive.")


def plan(
    places: Mapping[str, Path],
    settings: Iterable[Setting],
    methods: Mapping[int, Sequence[Method]],
    seed: int = 0,
    count: int | None = None,
) -> list[Job]:
    """Return all jobs, those with few updates first, so that most of the tables is there early.

    Parameters
    ----------
    places
        Folders by the name of the data set.
    settings
        Kernels with their sampling.
    methods
        By scale.
    seed
        What the methods were built with.
    count
        Only so many pictures of each data set, the first.
    """
    jobs = [
        Job(name, path, setting, scale, method, seed)
        for (name, folder), setting, (scale, built) in product(places.items(), settings, methods.items())
        for method in built
        for path in images.paths_in(folder)[:count]
    ]
    return sorted(jobs, key=lambda job: job.method.steps)
