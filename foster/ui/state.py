"""Which run a page shows: a typed value read from the URL and the disk, never kept in the session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from foster.errors import UserError
from foster.markup import plain
from foster.policy import OPEN, Policy
from foster.run_label import read_label
from foster.runs import Run, RunState, RunStatus, RunStore
from foster.ui import address, guard, words


class Prefer(StrEnum):
    """What a page shows when the URL names no run."""

    FINISHED = "finished"  # the shipped demo run, else the newest finished one, else the newest
    ACTIVE = "active"  # the run that is being worked on, else none


@dataclass(frozen=True)
class Selection:
    """page: the script that is shown. runs: what is listed of the store, newest first but lessons right after the demo,
    with the statuses seen in one look. unknown: a run id that the URL asks for and the store does not have. problem:
    why the store cannot be read. uploads: whether a person may bring data and delete it again. policy: what else they
    may do."""

    page: str
    store: RunStore
    runs: tuple[tuple[Run, RunStatus], ...]
    run: Run | None
    status: RunStatus | None
    unknown: str | None = None
    problem: str | None = None
    uploads: bool = True
    policy: Policy = OPEN

    @property
    def demo(self) -> Run | None:
        return _demo(self.runs)

    @property
    def active(self) -> tuple[tuple[Run, RunStatus], ...]:
        """Runs that are running or queued, in the order they are worked on."""
        found = [(run, status) for run, status in self.runs if not status.is_terminal]
        return tuple(sorted(found, key=lambda each: (each[1].state is RunState.QUEUED, each[1].created)))


def select(page: str, prefer: Prefer) -> Selection:
    """The URL's run, else the preferred one."""
    store, policy = guard.store(), guard.policy()
    empty = Selection(page, store, (), None, None, uploads=policy.edits, policy=policy)
    try:
        found = tuple(store.survey()[0])
    except UserError as error:
        return replace(empty, problem=str(error))
    selection = replace(empty, runs=_ordered([each for each in found if _is_listed(*each)]))
    asked = address.asked("run")
    if asked is None:
        run, status = _preferred(selection.runs, prefer) or (None, None)
        return replace(selection, run=run, status=status)
    for run, status in found:
        if run.id == asked:
            return replace(selection, run=run, status=status)
    return replace(selection, unknown=asked)


def _ordered(runs: list[tuple[Run, RunStatus]]) -> tuple[tuple[Run, RunStatus], ...]:
    """Lessons stand after the demo that they are held against, at the end if there is none; by their names."""
    lessons = sorted((each for each in runs if each[0].is_lesson), key=lambda each: each[0].id)
    others = [each for each in runs if not each[0].is_lesson]
    demo = _demo(tuple(others))
    place = next((place for place, each in enumerate(others, start=1) if each[0] == demo), len(others))
    return (*others[:place], *lessons, *others[place:])


def _is_listed(run: Run, status: RunStatus) -> bool:
    """What other visitors launched is listed while it works or waits; later it opens by its address only."""
    return run.read_only or not status.is_terminal or not guard.refusal(run)


def _preferred(runs: tuple[tuple[Run, RunStatus], ...], prefer: Prefer) -> tuple[Run, RunStatus] | None:
    if prefer is Prefer.ACTIVE:
        active = [each for each in runs if not each[1].is_terminal]
        order = {run.id: (bool(guard.refusal(run)), status.state is RunState.QUEUED) for run, status in active}
        return min(active, key=lambda each: (*order[each[0].id], each[1].created), default=None)
    demo = _demo(runs)
    finished = [each for each in runs if each[1].state is RunState.DONE]
    shown = [each for each in runs if each[0] == demo] or finished or list(runs)
    return shown[0] if shown else None


def _demo(runs: tuple[tuple[Run, RunStatus], ...]) -> Run | None:
    shipped = (run for run, status in runs if run.shipped and not run.is_lesson and status.state is RunState.DONE)
    return next(shipped, None)


def data_name(source: str) -> str:
    """What a person calls the data: no page shows a path of the server."""
    return "sample books" if source == "sample" else Path(source).name or "data"


def simulated(source: str) -> str:
    """What to remember of the data, '' for what people did."""
    return "The books are real, the readers are simulated." if source == "sample" else ""


def lesson_name(run: Run) -> str:
    """What a shipped lesson is called; '' for any other run."""
    return f"Lesson: {run.id.removeprefix('lesson-').replace('-', ' ')}" if run.is_lesson else ""


def label(run: Run, status: RunStatus) -> str:
    """A run in one line of plain text."""
    spec = run.spec
    asked = f"{data_name(spec.data)}, {spec.sequences} × {spec.length}, γ\u00a0{spec.regularisation:g}"
    if name := lesson_name(run):
        return f"{name} · {asked}"
    if run.shipped:
        return f"Demo: {asked}"
    if name := plain(read_label(run).name, 60):
        asked = f"{name} · {asked}"
    now = "paused" if status.paused else status.state
    # that a run has finished goes without saying, and the header has no room for it
    return f"{asked}{'' if status.state is RunState.DONE else f' · {now}'} · {words.moment(status.created)}"
