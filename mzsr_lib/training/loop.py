"""The training loop that both stages share: rate, clipping, averaging, checkpoints, logs, and a clean stop."""

import datetime
import math
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mzsr_lib.files import Failure, InputError, atomic_path, check_writable, git_commit
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.settings import LoopConfig
from mzsr_lib.runtime import Group, Stopped, stop_on_signal
from mzsr_lib.shapes import Tensor
from mzsr_lib.training import checkpoints, logs

Params = dict[str, Tensor]


class TrainingFailed(Failure):
    """The run cannot go on as it is; the message says how, and from where."""


class SkippingAdam(torch.optim.Adam):
    """Adam, fused, that takes no step when `found_inf` is not zero, and lets nothing wait for the answer.

    These are the fields by which torch's gradient scaler asks for it.
    """

    found_inf: Tensor
    grad_scale: Tensor | None = None


@dataclass(frozen=True)
class Part:
    """Parameters, by name, whose gradients are clipped together.

    Attributes
    ----------
    named
        The parameters.
    speed
        How many times the learning rate of the settings they have.
    """

    named: dict[str, torch.nn.Parameter]
    speed: float = 1.0

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The parameters in order."""
        return list(self.named.values())


class Loop:
    """One training run in one folder: ``checkpoint.pt``, ``best.pt``, ``log.jsonl`` and ``weights.safetensors``.

    ``best.pt`` is the checkpoint of the best score, at first that of the start: a run that fails goes back to it.

    Parameters
    ----------
    network
        Its parameters are trained in place.
    config
        The run's settings; kept in the checkpoint, and compared on resume. Those of `LoopConfig.may_change` may be
        others then: the log and the provenance say so.
    gradient
        ``gradient(step)`` leaves a gradient in every ``.grad``, already summed over the processes, and
        returns scalars to log. What is random must come from (seed, step) only.
    validate
        ``validate(params)`` returns scores; by the one named ``"score"`` the best weights are kept.
    folder
        Where everything is written. A checkpoint found there is continued.
    group
        The processes that work together.
    provenance
        What the weights file should say besides settings, commit, date, device and scores. Its ``fingerprints``, by
        name, are kept in the checkpoint and compared on resume: what makes it this run beside the settings.
    more
        What is trained beside the network's parameters.
    finish
        Turns the averaged values into what is validated and saved.
    """

    def __init__(
        self,
        network: Network,
        config: LoopConfig,
        gradient: Callable[[int], dict[str, Tensor]],
        validate: Callable[[Params], dict[str, float]],
        folder: str | Path,
        group: Group,
        provenance: dict | None = None,
        more: Sequence[Part] = (),
        finish: Callable[[Params], Params] = dict,
    ):
        self.network, self.config, self.gradient, self.validate = network, config, gradient, validate
        self.folder, self.group, self.provenance = Path(folder), group, provenance or {}
        self.identity: dict[str, str] = self.provenance.get("fingerprints", {})
        self.changes, self.unlogged = [], {}
        self.commit = git_commit()  # of the code that was loaded; the tree may change while it runs
        self.parts, self.finish = [Part(dict(network.named_parameters())), *more], finish
        self.named = {name: p for part in self.parts for name, p in part.named.items()}
        self.params: list[Tensor] = list(self.named.values())
        self.average = [p.detach().clone() for p in self.params]
        groups = [{"params": part.parameters} for part in self.parts]
        self.optimizer = SkippingAdam(groups, lr=config.learning_rate, fused=True)
        self.step, self.seconds, self.best, self.best_step, self.skipped = 0, 0.0, -math.inf, 0, 0
        self.streaks = torch.zeros(3, device=group.device)  # skipped, in a row now, longest row
        self.totals: dict[str, Tensor] = {}
        if group.leads:
            check_writable(self.log_path)
        # Before its first step a run has nothing to continue: it begins again, perhaps with settings that can be.
        if self.checkpoint_path.exists() and checkpoints.step_of(self.checkpoint_path):
            self._resume()

    @property
    def checkpoint_path(self) -> Path:
        """The file from which the run continues."""
        return self.folder / "checkpoint.pt"

    @property
    def best_path(self) -> Path:
        """The checkpoint a run that fails goes back to."""
        return self.folder / "best.pt"

    @property
    def log_path(self) -> Path:
        """One JSON object a line."""
        return self.folder / "log.jsonl"

    @property
    def weights_path(self) -> Path:
        """The averaged weights with the best score so far."""
        return self.folder / "weights.safetensors"

    def averaged(self) -> Params:
        """Return the averaged weights by name."""
        return self.finish(dict(zip(self.named, self.average, strict=True)))

    def run(self, max_minutes: float | None = None, max_steps: int | None = None) -> Path:
        """Train until the last step or a limit of this call; return the weights file.

        Parameters
        ----------
        max_minutes
            Stop cleanly after this time; a later run continues.
        max_steps
            Stop after so many steps of this call.

        Raises
        ------
        Stopped
            If a signal ended it before the last step. It is saved, and can be continued.
        TrainingFailed
            If the loss is not finite any more.
        """
        self._begin()
        if self.step >= self.config.steps and self.unlogged:
            if self.group.leads:
                what = ", ".join(f"{name} {new}" for name, (_, new) in self.unlogged.items())
                tqdm.write(f"All {self.step} steps were taken before: {what} changes nothing.", file=sys.stderr)
            return self._finish()
        started, before, first, saved = time.monotonic(), self.seconds, self.step, time.monotonic()
        last = self.config.steps if max_steps is None else min(self.config.steps, first + max_steps)
        bar = tqdm(total=self.config.steps, initial=first, unit="step", disable=None if self.group.leads else True)
        why: int | None = None
        with bar, stop_on_signal() as stopped:
            while self.step < last and (why := self._why_stop(stopped(), started, max_minutes)) is None:
                self._update()
                bar.update()
                self.seconds = before + time.monotonic() - started
                if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                    self._log(bar)
                if time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                    self._save()
                    saved = time.monotonic()
        self._save()
        if why:
            raise Stopped(f"Stopped at step {self.step} of {self.config.steps}: the same command continues.", why)
        return self._finish()

    def _begin(self) -> None:
        """Make the folder that of this run, and of no other, before its first step."""
        if self.group.leads and not self.step:
            if self.weights_path.exists() and not self.checkpoint_path.exists():
                raise InputError(
                    f"{self.folder} holds weights and no checkpoint to continue from: give another folder, or move "
                    f"{self.weights_path.name} away."
                )
            logs.trim(self.log_path, 0)
            self._save(self.best_path)
            self._save()

    def _why_stop(self, signalled: int, started: float, max_minutes: float | None) -> int | None:
        """Return the number of a signal, 0 when time is up, or None."""
        late = max_minutes is not None and time.monotonic() - started >= 60 * max_minutes
        # Processes must stop at the same step; asking each other waits for the device, so ask seldom.
        if self.group.world > 1 and self.step % 20:
            return None
        if self.group.any(bool(signalled)):
            return signalled or signal.SIGTERM
        return 0 if self.group.any(late) else None

    def _update(self) -> None:
        """Take one step of Adam; a gradient that is not finite leaves the weights as they were."""
        scalars = self.gradient(self.step)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.params if p.grad is not None])
        bad = (~norm.isfinite()).float()
        for part, options in zip(self.parts, self.optimizer.param_groups, strict=True):
            options["lr"] = part.speed * self.config.rate(self.step)
            if self.config.clip:
                torch.nn.utils.clip_grad_norm_(part.parameters, self.config.clip)
        self.optimizer.found_inf = bad
        self.optimizer.step()
        self.step += 1
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.params, 1 - decay)
        self._count(bad, {**scalars, "gradient_norm": norm})

    def _count(self, bad: Tensor, scalars: dict[str, Tensor]) -> None:
        self.streaks[0] += bad
        self.streaks[1] = (self.streaks[1] + 1) * bad
        self.streaks[2] = torch.maximum(self.streaks[1], self.streaks[2])
        for name, value in scalars.items():
            kept = torch.nan_to_num(value.detach(), nan=0.0, posinf=0.0, neginf=0.0) * (1 - bad)
            self.totals[name] = self.totals.get(name, 0) + kept
        self.totals["count"] = self.totals.get("count", 0) + 1 - bad

    def _log(self, bar: tqdm) -> None:
        """Write one line: means since the last line, and a validation when one is due."""
        totals = {name: float(value) for name, value in self.totals.items()}
        self.totals = {}
        self._check_streak()
        count = max(totals.pop("count"), 1)
        record = {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "rate": self.config.rate(self.step - 1),
        }
        record |= {name: value / count for name, value in totals.items()} | {"skipped": self.skipped}
        record["steps_per_second"] = round(self.step / max(self.seconds, 1e-9), 3)
        if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
            record |= self._validated()
        if self.unlogged:
            record["changed"], self.unlogged = self.unlogged, {}
        if self.group.leads:
            logs.write(self.log_path, record)
            shown = {k: f"{v:.4g}" for k, v in record.items() if k.endswith("loss") or k == "score"}
            bar.set_postfix(shown, refresh=False)

    def _check_streak(self) -> None:
        self.skipped, _, worst = (int(v) for v in self.streaks.tolist())
        if worst < self.config.patience:
            return
        if self.group.leads:
            with atomic_path(self.checkpoint_path) as temporary:
                shutil.copyfile(self.best_path, temporary)
        raise TrainingFailed(
            f"The loss was not finite {worst} times in a row up to step {self.step}: repeat the command with a lower "
            f"learning rate than {self.config.learning_rate:g}. It goes on from {self.checkpoint_path}, which is now "
            f"that of step {self.best_step}, {'the best score' if self.best_step else 'the start'}."
        )

    def _validated(self) -> dict[str, float]:
        """Score the averaged weights, and keep them when they are the best so far."""
        if not self.group.leads:
            return {}
        scores = {name: round(value, 4) for name, value in self.validate(self.averaged()).items()}
        if self.best < scores["score"] < math.inf:
            self.best, self.best_step = scores["score"], self.step
            self._save(self.best_path)
            self._export(scores)
        return scores

    def _export(self, scores: dict[str, float]) -> None:
        facts = {
            "settings": asdict(self.config),
            "step": self.step,
            "minutes": round(self.seconds / 60, 1),
            "device": self.group.device.type,
            "processes": self.group.world,
            "seed": self.config.seed,
            "commit": self.commit,
            "date": datetime.date.today().isoformat(),
            "held_out": scores,
        } | ({"changes": self.changes} if self.changes else {})
        weights.save(self.weights_path, self.network, self.averaged(), {**self.provenance, **facts})

    def _save(self, path: Path | None = None) -> None:
        """Write everything that the next step depends on."""
        if not self.group.leads:
            return
        state: checkpoints.State = {
            "config": asdict(self.config),
            "identity": self.identity,
            "changes": self.changes,
            "architecture": self.network.settings,
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "skipped": int(self.streaks[0]),
            "streaks": self.streaks[1:],
            "network": {name: p.detach() for name, p in self.named.items()},
            "average": self.average,
            "optimizer": {"state": self.optimizer.state_dict()["state"]},  # its settings are `config`'s
            "totals": self.totals,
        }
        checkpoints.write(path or self.checkpoint_path, state)

    def _resume(self) -> None:
        """Continue from the checkpoint, bit for bit, and forget log lines written after it."""
        state = checkpoints.read(self.checkpoint_path, self.group.device)
        self._compare(state)
        checkpoints.check(self.checkpoint_path, state, self.named)
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.streaks[0], self.skipped, self.totals = state["skipped"], state["skipped"], state["totals"]
        self.streaks[1:] = state.get("streaks", self.streaks[1:])  # earlier versions did not say
        for name, parameter in self.named.items():
            parameter.data.copy_(state["network"][name])
        self.average = list(state["average"])
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["optimizer"]["state"], "param_groups": groups})
        self.best_step = checkpoints.step_of(self.best_path)
        if self.group.leads:
            logs.trim(self.log_path, self.step)
            if not self.best_path.exists():
                self._save(self.best_path)

    def _compare(self, state: checkpoints.State) -> None:
        """Raise `InputError` when a checkpoint is that of another run; note the settings that are new."""
        if state["config"].keys() - {field.name for field in fields(self.config)}:
            raise InputError(f"{self.folder} holds a run of another kind of training: give another folder.")
        default: dict[str, Any] = {field.name: field.default for field in fields(self.config)}
        known, own = default | state["config"], asdict(self.config)
        changed = {name: [known[name], value] for name, value in own.items() if known[name] != value}
        new = {name: pair for name, pair in changed.items() if name in self.config.may_change()}
        others = [f"{name} {there}, here {here}" for name, (there, here) in changed.items() if name not in new]
        differ = [f"settings ({'; '.join(others)})"] if others else []
        differ += [name for name, value in self.identity.items() if state.get("identity", {}).get(name, value) != value]
        if differ:
            raise InputError(
                f"{self.folder} holds a run with other {' and '.join(differ)}: repeat them to continue it, "
                "or give another folder."
            )
        self.changes = [*state.get("changes", ()), *([{"step": state["step"], **new}] if new else ())]
        self.unlogged = new

    def _finish(self) -> Path:
        """Make sure that there are weights to use, even when the run stopped before its first validation."""
        if self.group.leads and (self.best == -math.inf or not self.weights_path.exists()):
            self._export(self.validate(self.averaged()))
        return self.weights_path
