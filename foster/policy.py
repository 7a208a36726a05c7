"""What the people who open the app may do: one frozen value, chosen by `foster app` and handed on in the environment.

The pages ask this value, never for the name of a mode. What it says is enforced where something is done
(`foster.ui.guard`, `foster.visitors`), not only by leaving out a button.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from foster.errors import UserError
from foster.spec import RunSpec

PUBLIC_VARIABLE, QUEUE_VARIABLE = "FOSTER_PUBLIC", "FOSTER_QUEUE_LIMIT"
DATA_VARIABLE, ENCODERS_VARIABLE = "FOSTER_DATA", "FOSTER_ENCODERS"  # separated like $PATH
SAMPLE, MINILM = "sample", "minilm"
TOYS, FULL = "toys", "full"  # what visitors may launch
QUEUE_LIMIT, MOST_QUEUED = 10, 1000
HOUR_S = 3600.0

# A path may hold spaces; rather a word too much is left out than a folder told.
_FOLDERS = re.compile(r"(?<![\w./])~?/(?:[^\n/:;,'\"<>|]+/)+")


@dataclass(frozen=True)
class Toy:
    """The largest run that is still a toy: about a minute on one CPU core. Its seed is fixed, because every other one
    would train a full-data model of its own."""

    sequences: int = 10
    length: int = 10
    steps: int = 40
    students: int = 1
    seed: int = 0

    def refusal(self, spec: RunSpec) -> str:
        """Why a run is no toy, '' if it is one."""
        for name in ("sequences", "length", "students"):
            if getattr(spec, name) > getattr(self, name):
                return f"at most {getattr(self, name)} {name} are allowed here, not {getattr(spec, name)}"
        if spec.steps is None or spec.steps > self.steps:
            given = "as many as the rule gives" if spec.steps is None else spec.steps
            return f"at most {self.steps} distillation steps are allowed here, not {given}"
        if spec.seed != self.seed:
            return f"the seed is {self.seed} here, not {spec.seed}"
        if spec.report_test:
            return "test items are not reported here"
        if spec.tuned_layers:
            return "the text encoder does not learn here"
        return ""


@dataclass(frozen=True)
class Policy:
    """edits: a person may name, note and delete runs, bring and delete data, clear the cache. logs: logs and the
    server's folders are shown. apart: what visitors launch lies in a place of its own, and each rules over the own runs
    only; then the store's finished runs are shown and nothing of them can be changed. toy: no larger run may be
    launched, None for any size. data, encoders: what a run may use, None for anything. each, queue: how many runs of
    one visitor and of all together may work or wait at once; kept: how many of one visitor there may be. kept_s: how
    long a visitor's run is kept once it has ended. None stands for no limit.
    """

    edits: bool = True
    logs: bool = True
    apart: bool = False
    toy: Toy | None = None
    data: tuple[str, ...] | None = None
    encoders: tuple[str, ...] | None = None
    each: int | None = None
    kept: int | None = None
    queue: int | None = None
    kept_s: float | None = None

    @property
    def sentence(self) -> str:
        """The rules for a visitor, '' where there are none to tell."""
        if not self.apart:
            return ""
        if self.toy is not None:
            what = f"small runs on the sample, {self.each} at a time"
        else:
            what = f"runs of your own, {self.each} at a time"
        days = (self.kept_s or 0) / (24 * HOUR_S)
        kept = "a day" if days <= 1 else f"{days:.0f} days"
        return (
            f"You are a visitor here: look at everything and take it away, start {what}, and stop those. They are "
            f"deleted after {kept}; nothing else can be changed or uploaded."
        )

    def require_edits(self) -> None:
        if not self.edits:
            raise UserError("visitors cannot change what is kept here; install foster to have a store of your own")

    def refusal(self, spec: RunSpec) -> str:
        """Why a run may not be launched here, '' if it may."""
        for name, given, allowed in (("data set", spec.data, self.data), ("encoder", spec.encoder, self.encoders)):
            if allowed is not None and given not in allowed:
                return f"this {name} cannot be used here; choose one that Distil offers"
        if self.toy is not None and (reason := self.toy.refusal(spec)):
            return f"only small runs start here: {reason}; choose less, or install foster for larger ones"
        return ""

    def require(self, spec: RunSpec) -> None:
        """Raises UserError for a run that may not be launched here."""
        if reason := self.refusal(spec):
            raise UserError(reason)

    def tell(self, text: str) -> str:
        """A message, without the server's folders where those are nobody's business."""
        return text if self.logs else _FOLDERS.sub("…/", text)


OPEN = Policy()


def visiting(full: bool, queue: int, data: tuple[str, ...] = (), encoders: tuple[str, ...] = ()) -> Policy:
    """For strangers; full: a class that launches runs of any size on what the server was started with.

    Raises UserError for a queue without room and for lists that only a class can use.
    """
    if not 1 <= queue <= MOST_QUEUED:
        raise UserError(f"--queue-limit is {queue}; give a number of runs from 1 to {MOST_QUEUED}")
    if not full:
        return Policy(
            edits=False,
            logs=False,
            apart=True,
            toy=Toy(),
            data=(SAMPLE,),
            encoders=(MINILM,),
            each=min(2, queue),
            kept=10,
            queue=queue,
            kept_s=24 * HOUR_S,
        )
    return Policy(
        edits=False,
        logs=False,
        apart=True,
        data=(SAMPLE, *data),
        encoders=(MINILM, *encoders),
        each=min(4, queue),
        kept=40,
        queue=queue,
        kept_s=7 * 24 * HOUR_S,
    )


def current(environment: Mapping[str, str] = os.environ) -> Policy:
    """The policy that `foster app` left in the environment.

    Raises UserError for words that it never writes: a mistake there must not open the doors.
    """
    what = environment.get(PUBLIC_VARIABLE, "")
    if not what:
        return OPEN
    if what not in (TOYS, FULL):
        raise UserError(f"{PUBLIC_VARIABLE} is {what[:40]!r}; give {TOYS} or {FULL}, or start foster app --public")
    queue = environment.get(QUEUE_VARIABLE) or str(QUEUE_LIMIT)
    if not queue.isdecimal():
        raise UserError(f"{QUEUE_VARIABLE} is {queue[:40]!r}; give a whole number")
    lists = (listed(DATA_VARIABLE, environment), listed(ENCODERS_VARIABLE, environment))
    return visiting(what == FULL, int(queue), *lists)


def listed(variable: str, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The different entries of an environment variable, in their order."""
    return tuple(dict.fromkeys(filter(None, environment.get(variable, "").split(os.pathsep))))
