"""The command line ``mzsr``: finds the command, and turns what goes wrong into one sentence and an exit code.

Exit codes: 0 done, 1 it failed, 2 what was given cannot be used, 130 interrupted by Ctrl-C, 143 by SIGTERM. With
MZSR_DEBUG=1 in the environment the traceback is shown as well.
"""

import contextlib
import errno
import functools
import io
import itertools
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from tyro.extras import SubcommandApp

from mzsr_lib import __version__
from mzsr_lib.cli import commands, evaluation, tables, training, upscaling
from mzsr_lib.files import Failure, InputError, nearest

Command = Callable[..., None]

DESCRIPTION = (
    "Meta-transfer learning for zero-shot super-resolution. To enlarge a photo: mzsr upscale photo.jpg photo-x2.png. "
    "Help for a command: mzsr COMMAND --help. The version: mzsr --version."
)

COMMANDS: dict[str, Command] = {
    "degrade": commands.degrade,
    "upscale": upscaling.upscale,
    "evaluate": evaluation.evaluate,
    "tables": tables.tables,
    "methods": commands.methods,
    "selfcheck": commands.selfcheck,
    "reproduce": commands.reproduce,
    "train-all": training.train_all,
}
# A group is made when it is asked for, since the flags of a training are the fields of its config.
GROUPS: dict[str, tuple[str, Callable[[], Mapping[str, Command]]]] = {
    "data": (
        "The data sets of the paper.",
        lambda: {"list": commands.data_list, "fetch": commands.data_fetch},
    ),
    "weights": ("The weights that come with the package.", lambda: {"list": commands.weights_list}),
    "pretrain": (
        "Stage 1: train a network on many pairs. Without a preset the paper's settings. The flags of a preset: mzsr "
        "pretrain PRESET --help.",
        training.pretrain_presets,
    ),
    "meta-train": (
        "Stage 2: meta-train a starting point from which a few gradient steps fit any blur kernel. Without a preset "
        "the paper's settings. The flags of a preset: mzsr meta-train PRESET --help.",
        training.meta_train_presets,
    ),
}


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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names with any character can be shown on any terminal
            stream.reconfigure(errors="backslashreplace")
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
        If the words are wrong, or the settings of a training cannot be.
    SystemExit
        After help was shown.
    """
    if words == ["--version"]:
        return lambda: print(f"mzsr {__version__}")
    _check_names(words)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return application(words[:2]).cli(prog="mzsr", description=DESCRIPTION, args=words)
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause := cause.__context__:
            if isinstance(cause, InputError):
                raise cause from None
        if stop.code:
            raise InputError(_unframed(complaint.getvalue(), words)) from None
        raise


def _command(words: Sequence[str]) -> list[str]:
    """Return the words that name a command: one, or two in a group."""
    count = 2 if {*words[:1]} & {*GROUPS} else 1
    return list(itertools.takewhile(lambda word: not word.startswith("-"), words[:count]))


def _check_names(words: Sequence[str]) -> None:
    """Raise `InputError` for a command, or one of a group, that there is not."""
    own, names = "mzsr", [*COMMANDS, *GROUPS]
    for word in _command(words):
        if word not in names:
            near = nearest(word, names)
            raise InputError(f"There is no '{own} {word}'{near}: choose from {', '.join(names)}. See {own} --help.")
        own, names = f"{own} {word}", list(GROUPS[word][1]()) if word in GROUPS else []


def _unframed(complaint: str, words: Sequence[str]) -> str:
    """Return what tyro says in a drawn frame as plain text: what is wrong, and whose help to read."""
    lines = [line[2:].rstrip("│| ") for line in complaint.splitlines()[1:]]
    # After the title (and the line under it on a plain terminal) the first part, up to a blank or drawn line, without
    # the help of single flags, which stands further in.
    rest = itertools.dropwhile(lambda line: not line.strip("─- "), lines)
    part = itertools.takewhile(lambda line: line.strip("─- "), rest)
    what = " ".join(line.strip() for line in part if not line.startswith(" " * 8)).rstrip(".")
    own = " ".join(["mzsr", *_command(words)])
    # Only numbers can fail to be read: any word is a text, and a choice has a sentence of its own.
    if unread := re.fullmatch(r"Error parsing (--[\w-]+): (.*)", what):
        flag, reason = unread.groups()
        wanted = "a whole number" if re.search("INT|int", reason) else "a number" if "FLOAT" in reason else "numbers"
        found = re.findall(r"\[(.*)\]|('.*')|$", reason)[0]
        what = f"{flag} was given {''.join(found)}: it takes {wanted}"
    elif choice := re.fullmatch(r"(?i)invalid choice ('.*') for argument '(.*)'\. Expected one of \((.*)\)", what):
        flag, found, able = choice[2], choice[1], choice[3].replace("'", "").replace("None, ", "")
        near = nearest(found.strip("'"), able.split(", "))
        what = f"{flag} was given {found}{near}: it takes one of {able}"
    elif missing := re.fullmatch(r"Missing value for argument '(.*)'.*", what):
        what = f"Behind {missing[1]} its value is missing"
    elif members := re.fullmatch(r"Expected one of \{(.*)\}", what):
        what = f"Behind '{own}' a word is missing: {members[1]}"
    elif what.startswith("Unrecognized"):
        what = _unknown(what, lines, own, words)
    *_, command = f"{own} --help", *re.findall(rf"(?:run|see):?\s+({own}[a-z -]* --help)", "\n".join(lines))
    return f"{what[:1].upper()}{what[1:]}. See {command}."


def _unknown(what: str, lines: Sequence[str], own: str, words: Sequence[str]) -> str:
    """Return what a command does not know, a flag without its value, and the flag that may be meant."""
    named = re.sub(r" \(applied to .*?\)", ",", what.partition(":")[2]).strip(" ,").split(", ")
    given = {"".join(word.split()): word for word in words}  # a long one was broken where the frame ended
    named = [given.get("".join(word.split()), word) for word in named]
    named = [word for word in named if word.startswith("-")] or named
    said = f"'{own}' does not know {', '.join(named)}"
    meant = re.findall(r"^ +(--[\w-]+)|^ +in (mzsr [a-z -]+?) --help", "\n".join(lines), re.MULTILINE)
    found = [flag for (flag, _), (_, place) in itertools.pairwise(meant) if flag and place.startswith(own)]
    if found and found[0] not in named:
        said += f": perhaps {found[0]} is meant"
    if strayed := [word for word in named if not word.startswith("-") and os.path.lexists(word)]:
        said += f". What is to be worked on stands together, before the options: move {', '.join(strayed)} there"
    if dashed := [word for word in words if word.startswith("-") and os.path.lexists(word)]:
        said += f". A file whose name begins with a dash is written ./{dashed[0]}"
    return said


def application(named: Sequence[str] = ()) -> SubcommandApp:
    """Return all commands: the one that is named, by one or two words, with its whole help, the others with a line."""
    app = SubcommandApp()
    for name, command in COMMANDS.items():
        _add(app, name, command, named[:1] == [name])
    for name, (text, members) in GROUPS.items():
        if named[:1] != [name]:
            app.command(name=name, help=text)(_nothing)
            continue
        group = app.command(SubcommandApp(), name=name, help=text)
        for own, command in members().items():
            _add(group, own, command, named[1:] == [own], is_default=own == training.DEFAULT)
    return app


def _add(app: SubcommandApp, name: str, command: Command, whole: bool, is_default: bool = False) -> None:
    text = None if whole else (command.__doc__ or "").partition("\n")[0]
    app.command(name=name, help=text, is_default=is_default)(_postponed(command))


def _nothing() -> None:
    """Stand for a group that is not asked for."""


def _postponed(command: Command) -> Callable[..., Callable[[], None]]:
    """Return a function with the same flags that does the work only when its result is called."""

    @functools.wraps(command)
    def postponed(*positional: object, **flags: object) -> Callable[[], None]:
        return functools.partial(command, *positional, **flags)

    return postponed


def _speaks() -> bool:
    """Say whether this process tells the user what is wrong: one does for all of a group."""
    return os.environ.get("RANK", "0") == "0"


def explain(error: Exception) -> tuple[str, int]:
    """Return a sentence about an error, and the exit code."""
    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, Failure):
        return str(error), error.code
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed: the notebooks and figures need 'pip install .[lessons]'.", 1
    if isinstance(error, OSError) and error.errno is not None:
        return _of_the_system(error)
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "There is not enough memory for this: take a smaller picture, patch or batch, or another --device.", 1
    reason = (str(error).splitlines() or ["no reason given"])[0]
    return f"Something unexpected went wrong ({type(error).__name__}: {reason}): set MZSR_DEBUG=1 to see where.", 1


# What the machine lacks. All else that a system refuses, such as a name that is too long, was given by the user.
LACKS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "allow larger files",
    errno.EMFILE: "allow more open files",
    errno.ENFILE: "allow more open files",
    errno.EIO: "look after the disk",
    errno.EROFS: "choose a place that can be written",
}


def _of_the_system(error: OSError) -> tuple[str, int]:
    """Return a sentence about what the operating system refused, and the exit code."""
    place = "" if error.filename is None else f" ({os.fsdecode(error.filename)})"
    what = f"{error.strerror or type(error).__name__}{place}"
    if error.errno == errno.ENOMEM:
        return f"There is not enough memory for this: {what}.", 1
    if error.errno in LACKS:
        return f"{what}: {LACKS[error.errno]}, and repeat the command.", 1
    return f"{what}: give another file or folder.", 2


def _fail(sentence: str, code: int) -> int:
    """Print the sentence, once for all processes of a group, and return the code."""
    if os.environ.get("MZSR_DEBUG"):
        traceback.print_exc()
    if _speaks():
        print(f"mzsr: {' '.join(sentence.split())}", file=sys.stderr)
    return code
