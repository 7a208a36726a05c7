"""The queue and its workers: a run is a process of its own, so closed tabs, Ctrl-C and crashes elsewhere touch nothing.

A launch puts a run on disk and makes sure that one *drain* process works the root's queue, one run at a time, each in
a *worker* process of its own. Two locks say who lives: ROOT/queue.lock is held by the drain, ROOT/<run>/lock by the
worker. A paused run keeps its place, so the queue waits behind it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foster.bundle import PACKAGE, is_checkout
from foster.disk import Free, free_bytes, require_room
from foster.errors import UserError
from foster.run_files import FileLock, is_held, writing
from foster.runs import Run, RunState, RunStatus, RunStore, RunWriter, Stopped
from foster.spec import RunSpec

# `-P`: the folder a process is started in must not lend it modules.
COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "foster")
QUEUE_LOCK, DRAIN_LOG = "queue.lock", "drain.log"

Execute = Callable[[RunSpec, RunWriter, Path], Any]


def require_gpu(has_gpu: Callable[[], bool] | None = None) -> None:
    """Raises UserError without a CUDA device; has_gpu: None asks torch, which is imported for nothing else here."""
    if has_gpu is None:
        import torch

        has_gpu = torch.cuda.is_available
    if not has_gpu():
        raise UserError("device is cuda, but torch finds no CUDA device on this machine; choose auto or cpu")


def launch(store: RunStore, spec: RunSpec, command: Sequence[str] = COMMAND, free: Free = free_bytes) -> Run:
    """Queues a run and returns at once. `command` starts foster; `free` reads the room on the disk of a folder.

    Raises UserError when there is too little room or the root cannot be written.
    """
    require_room(store.root, free)
    run = store.create(spec)
    ensure_drain(store.root, command)
    return run


def resume(store: RunStore, run_id: str, command: Sequence[str] = COMMAND) -> Run:
    """Ends a pause, or queues a stopped, failed or lost run again, to go on from its last checkpoint.

    Raises UserError for a run that is done, that runs already, or that is shipped with the sample.
    """
    run = store.get(run_id)
    run.require_own("resume")
    state = run.status().state
    if state is RunState.DONE:
        raise UserError(f"cannot resume run {run.id}: it is done; start a new one")
    if state is RunState.RUNNING and not run.pause_requested:
        raise UserError(f"cannot resume run {run.id}: it is running and not paused")
    if state in (RunState.RUNNING, RunState.QUEUED):
        run.request_resume()
    else:
        requeue(run)
    ensure_drain(store.root, command)
    return run


def requeue(run: Run) -> None:
    """Marks a run that has ended, however it did, as waiting to go on. Raises UserError while somebody works on it."""
    with RunWriter(run.path) as writer:
        if writer.current.state is not RunState.QUEUED:  # another resume may have been faster
            writer.finish(RunState.QUEUED, message="", started=None)


def ensure_drain(root: Path, command: Sequence[str] = COMMAND) -> bool:
    """Starts a drain unless one holds the queue's lock; True if it started one.

    Two callers at once may start two: one of them gets the lock, the other ends. Call it after the run is on disk;
    `drain` says why no wake-up is lost then.
    """
    if is_held(root / QUEUE_LOCK):
        return False
    log = root / DRAIN_LOG
    with writing(log), log.open("ab") as output:
        process = _start([*command, "_drain", "--runs", str(root)], root, output)
    # Reaped here, or a long-lived app would collect zombies.
    threading.Thread(target=process.wait, daemon=True).start()
    return True


def drain(root: Path, command: Sequence[str] = COMMAND) -> None:
    """Works the queue, oldest first, and returns when it is empty or when another drain holds its lock.

    No wake-up is lost: a launch first writes its run and then looks at the lock. If it finds the lock held, the
    holder has yet to release it, and after releasing it looks at the queue once more (the `while` below), where the
    run is. If that look finds the lock taken again, then by a drain that has its own last look still before it.
    """
    store = RunStore(root, bundled=None)
    lock = FileLock(store.root / QUEUE_LOCK)
    given_up: set[str] = set()  # runs whose worker cannot even start; without this they would be tried for ever
    while _next_queued(store, given_up):
        with writing(lock.path):
            mine = lock.acquire(patience=1.0)
        if not mine:
            return
        try:
            while run := _next_queued(store, given_up):
                # The worker of a killed drain lives on; one run at a time is also true then.
                while _is_any_running(store):
                    time.sleep(0.2)
                if run.status().state is RunState.QUEUED and not _run_worker(run, store.root, command):
                    given_up.add(run.id)
        finally:
            lock.release()


def work(root: Path, run_id: str, execute: Execute | None = None) -> None:
    """Runs one queued run in this process, to its end: done, failed or stopped is written, never raised.

    `execute` defaults to `foster.pipeline.execute`; its import takes seconds, so the status says running before.
    Raises UserError when the run is unknown, held by another process, or cannot be written.
    """
    store = RunStore(root, bundled=None)
    run = store.get(run_id)
    with RunWriter(run.path) as writer:
        if writer.current.state is not RunState.QUEUED:
            return  # stopped while it waited for its turn
        writer.status(state=RunState.RUNNING, started=time.time(), finished=None, error=None, pid=os.getpid())
        try:
            writer.checkpoint()
            (execute or _pipeline())(run.spec, writer, store.cache)
        except (Stopped, KeyboardInterrupt):
            writer.finish(RunState.STOPPED)
        except UserError as error:
            writer.finish(RunState.FAILED, error=str(error))
        except Exception as error:  # a crash of the engine is the run's result; whoever follows reads it there
            writer.log(traceback.format_exc())
            writer.finish(RunState.FAILED, error=_one_line(error))
        else:
            writer.finish(RunState.DONE, fraction=1.0)


def follow(
    run: Run,
    on_progress: Callable[[RunStatus], object] = lambda status: None,
    command: Sequence[str] = COMMAND,
    poll_s: float = 0.2,
    patience_s: float = 5.0,
) -> RunStatus:
    """Blocks until the run is done, failed, stopped or lost; `on_progress` sees the status at every look.

    A queued run whose drain has died gets a new one every `patience_s` seconds; after three that ended without taking
    up the run a UserError names their log.
    """
    root = run.path.parent
    started, next_look = 0, time.monotonic() + patience_s
    while True:
        status = run.status()
        on_progress(status)
        if status.is_terminal:
            return status
        if status.state is RunState.QUEUED and time.monotonic() >= next_look:
            if started == 3 and not is_held(root / QUEUE_LOCK):
                raise UserError(f"run {run.id} is queued, but no worker starts; {root / DRAIN_LOG} says why")
            started += ensure_drain(root, command)
            next_look = time.monotonic() + patience_s
        time.sleep(poll_s)


def _pipeline() -> Execute:
    from foster.pipeline import execute

    return execute


def _next_queued(store: RunStore, given_up: set[str]) -> Run | None:
    """The oldest, or None."""
    for run, status in reversed(store.survey()[0]):
        if status.state is RunState.QUEUED and run.id not in given_up:
            return run
    return None


def _is_any_running(store: RunStore) -> bool:
    return any(status.state is RunState.RUNNING for _, status in store.survey()[0])


def _run_worker(run: Run, root: Path, command: Sequence[str]) -> bool:
    """One worker, from start to end; False if it died before it took the run up and that could not be written down.

    What the interpreter and its libraries say goes to the run's own log.
    """
    try:
        before = run.status()
        with writing(run.path / "log.txt"), (run.path / "log.txt").open("ab") as log:
            code = _start([*command, "_work", run.id, "--runs", str(root)], root, log).wait()
            if code == 0:
                return True
            reason = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit code {code}"
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} the worker ended with {reason}\n".encode())
        # Untouched: it never began. Queued but touched: it began, was killed, and was resumed by a person already.
        if run.status() != before:  # not even locked, or who looks just now would find it running
            return True
        with RunWriter(run.path) as writer:
            if writer.current == before:
                error = f"the worker ended with {reason} before it began; see the run's log"
                writer.finish(RunState.FAILED, error=error)
    except UserError as problem:
        print(problem, file=sys.stderr, flush=True)  # the drain's log
        return False
    return True


def patient(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that computes: its threads sleep while they wait for each other, for spinning ones
    starve everything else on a machine with few cores. With GNU's OpenMP they spin for some microseconds first: being
    woken takes longer. Whoever chose OMP_WAIT_POLICY keeps it. Torch reads it when it is imported."""
    if "OMP_WAIT_POLICY" in environment:
        return dict(environment)
    return {"GOMP_SPINCOUNT": "1000", **environment, "OMP_WAIT_POLICY": "PASSIVE"}


def _start(command: Sequence[str], folder: Path, output: Any) -> subprocess.Popen[bytes]:
    """A process that outlives this one: a session of its own (Ctrl-C in a terminal does not reach it), no input."""
    environment = patient(os.environ)
    if is_checkout():
        paths = [environment.get("PYTHONPATH", ""), str(PACKAGE.parent)]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _one_line(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first[:300]}; the run's log has the details".replace(": ;", ";")
