"""The command line ``mzsr``: finds the command, and turns what goes wrong into one sentence and an exit code.

Exit codes: 0 done, 1 it failed, 2 what was given cannot be used, 130 interrupted. With MZSR_DEBUG=1
in the environment the traceback is shown as well.
"""

import contextlib
import functools
import io
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence

import tyro
from tyro.extras import SubcommandApp

from mzsr_lib import __version__
from mzsr_lib.cli import commands, tables, training
from mzsr_lib.files import Failure, InputError

Command = Callable[..., None]

DESCRIPTION = "Meta-transfer learning for zero-shot super-resolution. Help for a command: mzsr COMMAND --help."

COMMANDS: dict[tuple[str, ...], Command] = {
    ("degrade",): commands.degrade,
    ("upscale",): commands.upscale,
    ("evaluate",): commands.evaluate,
    ("tables",): tables.tables,
    ("selfcheck",): commands.selfcheck,
    ("data", "list"): commands.data_list,
    ("data", "fetch"): commands.data_fetch,
    ("weights", "list"): commands.weights_list,
    ("reproduce",): commands.reproduce,
    ("train-all",): training.train_all,
}

# Their flags are the fields of a config, and their defaults those of a preset: made when they are asked for.
TRAINING: dict[tuple[str, ...], Callable[[str], Command]] = {
    ("pretrain",): training.pretrain_command,
    ("meta-train",): training.meta_train_command,
}
TRAINING_HELP = {
    ("pretrain",): "Stage 1: train a network on many pairs.",
    ("meta-train",): "Stage 2: meta-train a starting point from which a few gradient steps fit any blur kernel.",
}
GROUP_HELP = {"data": "The data sets of the paper.", "weights": "The weights that come with the package."}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv
        The words after ``mzsr``, by default those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: parse(words)())


def guarded(work: Callable[[], None]) -> int:
    """Do the work and return the exit code: what goes wrong becomes one sentence on stderr."""
    try:
        work()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough, as in `mzsr data list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return _fail("Interrupted.", 130)
    except Exception as error:  # at the border to the user, everything becomes a sentence
        return _fail(*explain(error))
    return 0


def parse(words: list[str]) -> Callable[[], None]:
    """Return what the words ask for, ready to be called.

    Raises
    ------
    InputError
        If they make no command.
    SystemExit
        After help was shown.
    """
    if words == ["--version"]:
        return lambda: print(f"mzsr {__version__}")
    for name in (*COMMANDS, *TRAINING):
        if tuple(words[: len(name)]) == name:
            command = COMMANDS.get(name) or TRAINING[name](training.preset_in(words))
            program, rest = f"mzsr {' '.join(name)}", words[len(name) :]
            with _complaints(program, rest):
                return tyro.cli(_postponed(command), prog=program, args=rest)
    with _complaints("mzsr", words):
        return _overview().cli(prog="mzsr", description=DESCRIPTION, args=words)


def _postponed(command: Command) -> Callable[..., Callable[[], None]]:
    """Return a function with the same flags that does the work only when its result is called."""

    @functools.wraps(command)
    def postponed(*positional: object, **flags: object) -> Callable[[], None]:
        return functools.partial(command, *positional, **flags)

    return postponed


def _overview() -> SubcommandApp:
    """Return all commands with the first line of their help, for whoever asks for help or mistypes a name."""
    app = SubcommandApp()
    groups: dict[str, SubcommandApp] = {}
    for first, *second in (*COMMANDS, *TRAINING):
        name = (first, *second)
        if second and first not in groups:
            groups[first] = app.command(SubcommandApp(), name=first, help=GROUP_HELP[first])
        text = TRAINING_HELP.get(name) or COMMANDS[name].__doc__.partition("\n")[0]
        groups.get(first, app).command(lambda: None, name=name[-1], help=text)
    return app


@contextlib.contextmanager
def _complaints(program: str, words: Sequence[str]) -> Iterator[None]:
    """Turn tyro's framed complaint about a command line into an `InputError` of one sentence."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            yield
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        sentence = _in_plain_words(_unframed(complaint.getvalue()), words)
        raise InputError(f"{sentence} See '{program} --help'.") from None


def _in_plain_words(sentence: str, words: Sequence[str]) -> str:
    """Return a complaint about the value of a flag without Python's words for it; others as they are."""
    found = re.match(r"Error parsing (--[\w-]+):", sentence)
    if not found or found[1] not in words:
        return sentence
    given = itertools.takewhile(lambda word: not word.startswith("--"), words[words.index(found[1]) + 1 :])
    return f"{found[1]} does not take '{' '.join(given)}'."


def _unframed(text: str) -> str:
    """Return the first paragraph inside tyro's frame as one line, without the help quoted in it.

    The frame is drawn with box characters, or where the terminal has none with dashes and spaces.
    """
    plain = [line.strip("│").rstrip() for line in text.splitlines() if not line.startswith(("╭", "╰"))]
    rules = [number for number, line in enumerate(plain) if line and not line.strip(" ─-")]
    first = rules[0] + 1 if rules and not text.startswith("╭") else 0
    last = next((number for number in rules if number >= first), None)
    said = [line.strip() for line in plain[first:last] if not line.startswith(" " * 8)]
    sentence = " ".join(" ".join(said).split()) or " ".join(text.split())
    return sentence.rstrip(".") + "."


def explain(error: Exception) -> tuple[str, int]:
    """Return a sentence about an error, and the exit code."""
    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, Failure):
        return str(error), 1
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "There is not enough memory for this: take a smaller picture, patch or batch, or another --device.", 1
    reason = (str(error).splitlines() or ["no reason given"])[0]
    return f"Something unexpected went wrong ({type(error).__name__}: {reason}): set MZSR_DEBUG=1 to see where.", 1


def _fail(sentence: str, code: int) -> int:
    """Print the sentence, once for all processes of a group, and return the code."""
    if os.environ.get("MZSR_DEBUG"):
        traceback.print_exc()
    if os.environ.get("RANK", "0") == "0":
        print(f"mzsr: {' '.join(sentence.split())}", file=sys.stderr)
    return code
