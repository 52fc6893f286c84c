"""What is known of every method, and the texts that name one: ``mzsr``, ``mzsr:10``, ``blind+agree``.

Everything else that lists methods, the order of tables, titles, colours, help, is derived from `ENTRIES`.
"""

import reprlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mzsr_lib import fields
from mzsr_lib.files import InputError, nearest

INK = "#222222"
PLAIN = "mzsr-plain"  # takes plain steps, whatever its weights learned
MOST_UPDATES = 100_000  # above it a number is a slip, not a wish


@dataclass(frozen=True)
class Entry:
    """The facts about a method.

    Attributes
    ----------
    name
        What it is called by.
    title
        What tables and figures call it.
    kind
        How it is built: ``"classical"`` from nothing, ``"zero-shot"`` from random weights, ``"trained"`` from
        stored ones; ``"printed"`` is a method of which only the paper's numbers are here.
    updates
        Gradient updates at test time if nothing else is said; None for a method that makes none.
    shown
        The numbers of updates that tables measure and show, if it is not any number.
    needs_kernel
        Whether the kernel changes its result.
    centred
        Whether its picture lies where an ordinary enlargement does, however pixels were dropped.
    takes
        The kind of weights it needs: those of the paper's network for a ``"bicubic"`` or ``"restored"``
        input, or an architecture of its own; empty for a method without weights.
    prior
        Whether its weights were trained for a range of kernels, outside of which they are to be doubted.
    agrees
        Whether it may end with `registry.agreed`: those that do so anyway, or are nothing else, may not.
    reported
        Whether it has a column in the README.
    rough
        Whether it is for photographs of which nothing is known for sure: what it is told may be estimated. Tables of
        known kernels leave it out unless it is named.
    told_noise
        Whether it is told how noisy the picture is.
    colour, marker
        Of its lines.
    """

    name: str
    title: str
    kind: str = "classical"
    updates: int | None = None
    shown: tuple[int, ...] = ()
    needs_kernel: bool = True
    centred: bool = False
    takes: str = ""
    prior: bool = False
    agrees: bool = False
    reported: bool = False
    rough: bool = False
    told_noise: bool = False
    colour: str = INK
    marker: str = "o"

    @property
    def told_kernel(self) -> bool:
        """Whether its network is told the kernel, which may then turn with the picture."""
        return self.takes in ("restored", "unfolded")

    @property
    def standard(self) -> tuple[int, ...]:
        """The numbers of updates that are measured when nothing is said."""
        return self.shown or (self.updates or 0,)


def _entries() -> tuple[Entry, ...]:
    def blind(name: str, title: str, takes: str = "bicubic", **more: Any) -> Entry:
        return Entry(name, title, "trained", needs_kernel=False, takes=takes, agrees=True, **more)

    def adapting(name: str, title: str, **more: Any) -> Entry:
        return Entry(name, title, "trained", 10, (1, 10), takes="bicubic", prior=True, agrees=True, **more)

    def unfolded(name: str, title: str, **more: Any) -> Entry:
        return Entry(name, title, "trained", takes="unfolded", told_noise=True, **more)

    aware: Any = {"prior": True, "reported": True}
    return (
        Entry("nearest", "Nearest", needs_kernel=False, centred=True),
        Entry("bilinear", "Bilinear", needs_kernel=False, centred=True),
        Entry("bicubic", "Bicubic", needs_kernel=False, centred=True, reported=True, colour="#919191", marker="X"),
        Entry("aligned", "Aligned bicubic", needs_kernel=False),
        Entry("landweber", "Landweber"),
        Entry("tikhonov", "Tikhonov"),
        blind("pretrained", "Pre-trained", centred=True, colour="#cd7f37", marker="D"),
        blind("blind", "Blind", prior=True, reported=True, colour="#b24a00", marker="s"),
        blind("carn", "CARN", "carn", centred=True),
        blind("rcan", "RCAN", "rcan", centred=True),
        Entry("ikc", "IKC", "printed"),
        Entry("zssr", "ZSSR", "zero-shot", 3000, colour="#0b805d", marker="v"),
        Entry("mzsr multi-scale", "MZSR multi-scale", "printed"),
        adapting(PLAIN, "MZSR, plain steps", colour="#1b94b9", marker="h"),
        adapting("mzsr", "MZSR", reported=True, colour="#2f61c9"),
        Entry("mzsr-plus", "MZSR-plus", "trained", 0, (0,), takes="restored", **aware, colour="#a52374", marker="P"),
        unfolded("unfolded", "Unfolded", **aware, colour="#e13c69", marker="p"),
        unfolded("photo", "photo", rough=True, colour="#330055", marker="*"),
    )


# Tables and figures have this order. Colours are distinct for colour-blind readers too:
# tests/drawing/test_colours.py simulates what they see.
ENTRIES = {entry.name: entry for entry in _entries()}
METHODS = tuple(name for name, entry in ENTRIES.items() if entry.kind != "printed")
AGREE = "+agree"


def names(having: Callable[[Entry], object]) -> list[str]:
    """Return the methods that can be built and have something, in the order of tables."""
    return [name for name in METHODS if having(ENTRIES[name])]


def entry_of(name: str) -> Entry:
    """Return what is known of a method that can be built.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in METHODS:
        raise InputError(f"There is no method '{name}'{nearest(name, METHODS)}: choose one of {', '.join(METHODS)}.")
    return ENTRIES[name]


@dataclass(frozen=True)
class Choice:
    """A method, its updates at test time, and whether its picture is made to agree with the low-resolution one.

    Raises
    ------
    InputError
        If there is no such method, or it cannot have so many updates or end with agreement.
    """

    method: str
    steps: int = 0
    agree: bool = False

    def __post_init__(self):
        fields.check(self)
        entry = entry_of(self.method)
        if self.steps < 0:
            raise InputError(f"The number of steps is {self.steps}: it cannot be negative.")
        if self.steps > MOST_UPDATES:
            raise InputError(
                f"The number of steps is {reprlib.repr(self.steps)}: at most {MOST_UPDATES} updates are made."
            )
        if self.steps and entry.updates is None:
            raise InputError(
                f"{entry.name} makes no updates, and here are {self.steps}: leave the steps out, or give 0."
            )
        if not self.steps and entry.kind == "zero-shot":
            raise InputError(f"{entry.name} starts from random weights: give it steps, for instance {entry.updates}.")
        if self.agree and not entry.agrees:
            able = names(lambda other: other.agrees)
            raise InputError(f"Agreement is an option of {', '.join(able)}, not of {entry.name}: leave it out.")

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        updates = "" if entry_of(self.method).updates is None else f":{self.steps}"
        return f"{self.method}{updates}{AGREE * self.agree}"

    @property
    def words(self) -> str:
        """Return the same for sentences: ``mzsr with 10 updates and agreement``."""
        more = [f"{self.steps} update{'s' * (self.steps != 1)}"] * bool(self.steps) + ["agreement"] * self.agree
        return " with ".join([self.method, *([" and ".join(more)] if more else [])])


def title(method: str, steps: int = 0, agree: bool = False) -> str:
    """Return what tables and figures call a method; the updates are named where it has a choice.

    Examples
    --------
    >>> title("mzsr", 10, agree=True)
    'MZSR 10 + agreement'
    """
    entry = ENTRIES.get(method, Entry(method, method.upper()))
    named = steps and (entry.shown or steps != entry.updates)
    return f"{entry.title}{f' {steps}' if named else ''}{' + agreement' if agree else ''}"


def parse(text: str, steps: int | None = None, agree: bool | None = None) -> Choice:
    """Return the method that a text names, such as ``mzsr``, ``mzsr:10``, ``mzsr:10+agree`` or ``blind+agree``.

    Parameters
    ----------
    text
        A name of `METHODS`; then, if it is not the method's own number, a colon and the updates; then
        ``+agree`` for the closed-form agreement at the end.
    steps, agree
        Said apart from the text, instead of in it.

    Raises
    ------
    InputError
        If the text is none of these, says what is also said apart, or names what a method cannot do.

    Examples
    --------
    >>> parse("mzsr"), parse("mzsr:1+agree")
    (Choice(method='mzsr', steps=10, agree=False), Choice(method='mzsr', steps=1, agree=True))
    """
    rest = text.removesuffix(AGREE)
    name, colon, number = rest.partition(":")
    entry = entry_of(name)
    if colon and not number.removeprefix("-").isdecimal():
        raise InputError(f"'{text}' names no method: write for instance {name}, {name}:10 or {name}:10{AGREE}.")
    if (colon and steps is not None) or (rest != text and agree is not None):
        raise InputError(f"'{text}' says already what is also said apart: leave one of the two out.")
    if steps is None:
        steps = int(number) if colon else entry.updates or 0
    return Choice(name, steps, rest != text if agree is None else agree)


def choices(texts: Sequence[str], steps: Sequence[int] = (), agree: bool | None = None) -> list[Choice]:
    """Return the methods that texts name, each once; `steps` and `agree` may be said apart for one method alone.

    Raises
    ------
    InputError
        If none is named, or steps or agreement are said apart for several; see `parse`.
    """
    if not texts:
        raise InputError(f"No method is named: choose from {', '.join(METHODS)}.")
    if len(texts) > 1 and (steps or agree is not None):
        example = f"{texts[0].partition(':')[0]}:10{AGREE}"
        raise InputError(
            f"Steps and agreement are said apart for one method, and here are {len(texts)}: write them as {example}."
        )
    return list(dict.fromkeys(parse(text, count, agree) for text in texts for count in steps or (None,)))


def standard() -> list[Choice]:
    """Return what tables measure when no method is named: every method with the updates that they show."""
    return [Choice(name, steps) for name in METHODS for steps in ENTRIES[name].standard if not ENTRIES[name].rough]
