"""Runs of visitors: they lie in a folder of their own under the store, know who launched them, are few, and are taken
away some time after they have ended. The store's own runs are only looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from foster.errors import UserError
from foster.policy import Policy
from foster.removal import remove_run
from foster.run_files import SCHEMA, FileLock, read_json, write_json, writing
from foster.runs import Run, RunStatus, RunStore
from foster.spec import RunSpec
from foster.words import plural

FOLDER, OWNER, LOCK = ".visitors", "owner.json", "visitors.lock"

Launch = Callable[[RunStore, RunSpec], Run]
Resume = Callable[[RunStore, str], Run]


def store_under(root: Path, policy: Policy) -> RunStore:
    """What a page shows of the runs under `root`, and where it launches new ones."""
    return RunStore(root / FOLDER, beside=root) if policy.apart else RunStore(root)


def owner_of(run: Run) -> str | None:
    """Who launched a visitor's run; None where that is not known, and then it is nobody's."""
    with suppress(UserError):
        owner = read_json(run.path / OWNER).get("owner")
        return owner if isinstance(owner, str) else None
    return None


def refusal(policy: Policy, visitor: str, run: Run) -> str:
    """Why this visitor may not stop, pause or resume a run, '' if that is allowed."""
    if not policy.apart or (not run.read_only and owner_of(run) == visitor):
        return ""
    if run.read_only:
        return "This run is finished and here to be looked at."
    return "Another visitor started this run, and only they can stop, pause or resume it."


def require_control(policy: Policy, visitor: str, run: Run) -> None:
    """Raises UserError with the reason of `refusal`."""
    if reason := refusal(policy, visitor, run):
        raise UserError(f"{reason[0].lower()}{reason[1:-1]}; start one of your own on Distil")


def start(
    store: RunStore,
    policy: Policy,
    visitor: str,
    specs: Sequence[RunSpec],
    again: Sequence[str],
    launch: Launch,
    resume: Resume,
) -> list[Run]:
    """Launches runs and lets others (`again`, run ids) go on: all of them, or none with a UserError for visitors.

    Two visitors who press at the same time are looked at one after the other, so limits hold.
    """
    if not policy.apart:
        return [resume(store, run_id) for run_id in again] + [launch(store, spec) for spec in specs]
    for spec in specs:
        policy.require(spec)
    with _alone(store):
        tidy(store, policy)
        going_on = [store.get(run_id) for run_id in again]
        for run in going_on:
            require_control(policy, visitor, run)
            policy.require(run.spec)
        survey = store.survey()[0]
        paused = [run for run in going_on if not run.status().is_terminal]
        _require_room(policy, visitor, survey, len(specs) + len(going_on) - len(paused), len(specs))
        if len(specs) + len(going_on) > len(paused):
            _end_pauses(survey)
        resumed = [resume(store, run.id) for run in going_on]
        return resumed + [_owned(launch(store, spec), visitor) for spec in specs]


def pause(store: RunStore, policy: Policy, visitor: str, run: Run) -> None:
    """The queue waits behind a paused run, so visitors pause only while nobody waits. Raises UserError."""
    require_control(policy, visitor, run)
    if not policy.apart:
        run.request_pause()
        return
    with _alone(store):
        if any(other.id != run.id for other, _ in _active(store.survey()[0])):
            raise UserError("other runs wait behind this one, so it cannot be paused now; stop it and resume it later")
        run.request_pause()


def tidy(store: RunStore, policy: Policy, now: float | None = None) -> int:
    """Takes away visitors' runs that ended long enough ago; how many."""
    if not policy.apart or policy.kept_s is None:
        return 0
    limit, removed = (time.time() if now is None else now) - policy.kept_s, 0
    for run, status in store.survey()[0]:
        if not run.read_only and status.is_terminal and _last_seen(status) < limit:
            with suppress(UserError):  # somebody resumes it at this moment
                remove_run(store, run.id)
                removed += 1
    return removed


def _require_room(policy: Policy, visitor: str, survey: Sequence[tuple[Run, RunStatus]], more: int, new: int) -> None:
    active = _active(survey)
    mine = [run for run, _ in survey if not run.read_only and owner_of(run) == visitor]
    at_once = sum(run.id in {each.id for each in mine} for run, _ in active)
    if policy.each is not None and at_once + more > policy.each:
        raise UserError(
            f"you have {plural(at_once, 'run')} at work or waiting and ask for {more} more; "
            f"{plural(policy.each, 'run')} at a time is the limit, so wait for one to end or stop one"
        )
    if policy.kept is not None and new and len(mine) + new > policy.kept:
        raise UserError(
            f"you have started {plural(len(mine), 'run')}, and {policy.kept} are kept for each visitor; "
            "come back when the first of them have been taken away"
        )
    if policy.queue is not None and len(active) + more > policy.queue:
        raise UserError(
            f"{plural(len(active), 'run')} of all visitors work or wait, and {policy.queue} is the limit; "
            "try again in some minutes"
        )


def _active(survey: Sequence[tuple[Run, RunStatus]]) -> list[tuple[Run, RunStatus]]:
    return [(run, status) for run, status in survey if not run.read_only and not status.is_terminal]


def _end_pauses(survey: Sequence[tuple[Run, RunStatus]]) -> None:
    """Somebody is about to wait, so nobody pauses any more."""
    for run, _ in _active(survey):
        if run.pause_requested:
            with suppress(UserError):  # it has just ended
                run.request_resume()


def _last_seen(status: RunStatus) -> float:
    return max(status.created, status.started or 0.0, status.heartbeat, status.finished or 0.0)


def _owned(run: Run, visitor: str) -> Run:
    write_json(run.path / OWNER, {"schema": SCHEMA, "owner": visitor})
    return run


@contextmanager
def _alone(store: RunStore) -> Iterator[None]:
    lock = FileLock(store.root / LOCK)
    with writing(lock.path):
        store.root.mkdir(parents=True, exist_ok=True)
        held = lock.acquire(patience=10.0)
    if not held:
        raise UserError("many visitors start runs at this moment; try again")
    try:
        yield
    finally:
        lock.release()
