"""The training loop that both stages share: rate, clipping, averaging, checkpoints, logs, and a clean stop."""

import datetime
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from mzsr_lib.files import Failure, check_writable, git_commit
from mzsr_lib.models import weights
from mzsr_lib.mzsr.networks import Network
from mzsr_lib.mzsr.settings import LoopConfig
from mzsr_lib.runtime import Group, stop_on_signal
from mzsr_lib.shapes import Tensor
from mzsr_lib.training import checkpoints

Params = dict[str, Tensor]


class TrainingFailed(Failure):
    """The run cannot go on; the message names the last good checkpoint."""


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
    """One training run in one folder: ``checkpoint.pt``, ``log.jsonl`` and ``weights.safetensors``.

    Parameters
    ----------
    network
        Its parameters are trained in place.
    config
        The run's settings; kept in the checkpoint, and compared on resume.
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
        What the weights file should say besides settings, commit, date, device and scores.
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
        self.commit = git_commit()  # of the code that was loaded; the tree may change while it runs
        self.parts, self.finish = [Part(dict(network.named_parameters())), *more], finish
        self.named = {name: p for part in self.parts for name, p in part.named.items()}
        self.params: list[Tensor] = list(self.named.values())
        self.average = [p.detach().clone() for p in self.params]
        groups = [{"params": part.parameters} for part in self.parts]
        self.optimizer = SkippingAdam(groups, lr=config.learning_rate, fused=True)
        self.step, self.seconds, self.best, self.skipped = 0, 0.0, -math.inf, 0
        self.streaks = torch.zeros(3, device=group.device)  # skipped, in a row now, longest row
        self.totals: dict[str, Tensor] = {}
        if group.leads:
            check_writable(self.log_path)
        if self.checkpoint_path.exists():
            self._resume()

    @property
    def checkpoint_path(self) -> Path:
        """The file from which the run continues."""
        return self.folder / "checkpoint.pt"

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
        """Train until the last step, a limit of this call, or a signal; return the weights file.

        Parameters
        ----------
        max_minutes
            Stop cleanly after this time; a later run continues.
        max_steps
            Stop after so many steps of this call.
        """
        started, before, first, saved = time.monotonic(), self.seconds, self.step, time.monotonic()
        last = self.config.steps if max_steps is None else min(self.config.steps, first + max_steps)
        bar = tqdm(total=self.config.steps, initial=first, unit="step", disable=None if self.group.leads else True)
        with bar, stop_on_signal() as stopped:
            while self.step < last and not self._should_stop(stopped(), started, max_minutes):
                self._update()
                bar.update()
                self.seconds = before + time.monotonic() - started
                if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                    self._log(bar)
                if time.monotonic() - saved > 60 * self.config.checkpoint_minutes:
                    self._save()
                    saved = time.monotonic()
        self._save()
        return self._finish()

    def _should_stop(self, signalled: bool, started: float, max_minutes: float | None) -> bool:
        late = max_minutes is not None and time.monotonic() - started >= 60 * max_minutes
        if self.group.world == 1:
            return signalled or late
        # Processes must stop at the same step; asking each other waits for the device, so ask seldom.
        return self.step % 20 == 0 and self.group.any(signalled or late)

    def _update(self) -> None:
        """Take one step of Adam; a gradient that is not finite leaves everything as it was."""
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
        if self.group.leads:
            with self.log_path.open("a") as handle:
                handle.write(json.dumps(record) + "\n")
            shown = {k: f"{v:.4g}" for k, v in record.items() if k.endswith("loss") or k == "score"}
            bar.set_postfix(shown, refresh=False)

    def _check_streak(self) -> None:
        self.skipped, _, worst = (int(v) for v in self.streaks.tolist())
        if worst < self.config.patience:
            return
        if not self.checkpoint_path.exists():
            self._save()
        raise TrainingFailed(
            f"The loss was not finite {worst} times in a row up to step {self.step}: lower the learning rate. "
            f"The last good checkpoint is {self.checkpoint_path}."
        )

    def _validated(self) -> dict[str, float]:
        """Score the averaged weights, and keep them when they are the best so far."""
        if not self.group.leads:
            return {}
        scores = {name: round(value, 4) for name, value in self.validate(self.averaged()).items()}
        if scores["score"] > self.best:
            self.best = scores["score"]
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
        }
        weights.save(self.weights_path, self.network, self.averaged(), {**self.provenance, **facts})

    def _save(self) -> None:
        """Write everything that the next step depends on."""
        if not self.group.leads:
            return
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "skipped": int(self.streaks[0]),
            "network": {name: p.detach() for name, p in self.named.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "totals": self.totals,
        }
        checkpoints.write(self.checkpoint_path, state)

    def _resume(self) -> None:
        """Continue from the checkpoint, bit for bit, and forget log lines written after it."""
        state = checkpoints.read(self.checkpoint_path, asdict(self.config), self.group.device)
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.streaks[0], self.skipped, self.totals = state["skipped"], state["skipped"], state["totals"]
        for name, parameter in self.named.items():
            parameter.data.copy_(state["network"][name])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        if self.group.leads:
            checkpoints.trim_log(self.log_path, self.step)

    def _finish(self) -> Path:
        """Make sure that there are weights to use, even when the run stopped before its first validation."""
        if self.group.leads and not self.weights_path.exists():
            self._export(self.validate(self.averaged()))
        return self.weights_path
