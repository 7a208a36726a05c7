"""What each command does; `foster.__main__` reads the arguments. Each returns the exit code."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foster.bundle import bundled_path
from foster.console import Progress, plain, report_table, runs_table, say, sequences_text
from foster.disk import taken_bytes
from foster.errors import UserError
from foster.launch import drain, ensure_drain, follow, launch, require_gpu, resume, work
from foster.policy import (
    DATA_VARIABLE,
    ENCODERS_VARIABLE,
    FULL,
    PUBLIC_VARIABLE,
    QUEUE_LIMIT,
    QUEUE_VARIABLE,
    TOYS,
    current,
    visiting,
)
from foster.run_files import to_json
from foster.run_label import read_label
from foster.runs import Run, RunState, RunStore, default_root
from foster.spec import RunSpec
from foster.visitors import store_under, tidy
from foster.words import plural
from foster.words import size as byte_size

FAILED, STOPPED, INTERRUPTED = 1, 3, 130


def app(arguments: Namespace) -> int:
    """Becomes the streamlit process, which ends quietly on Ctrl-C. Its config.toml lies beside app.py and is found."""
    if arguments.port is not None:
        _require_free(arguments.port)
    words = _visiting(arguments)
    _offer(DATA_VARIABLE, [_data_folder(folder) for folder in arguments.data])
    _offer(ENCODERS_VARIABLE, [_encoder(name) for name in arguments.encoder])
    os.environ.update(words)
    policy = current()
    root = open_store(arguments).root
    store = store_under(root, policy)
    tidy(store, policy)
    if any(status.state is RunState.QUEUED for _, status in store.survey()[0]):
        ensure_drain(store.root, arguments.command)
    os.environ["FOSTER_RUNS"] = str(root)
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(bundled_path("app.py"))]
    if arguments.port is not None:
        command += ["--server.port", str(arguments.port)]
    if not policy.edits:  # the page offers no upload; without this the server would still take one
        command += ["--server.maxUploadSize", "0"]
    sys.stderr.flush()
    arguments.become(command)
    return 0


def _visiting(arguments: Namespace) -> dict[str, str]:
    """What `foster.policy.current` reads in the app. Raises UserError for options that do not go together."""
    if not arguments.public:
        limited = arguments.queue_limit is not None
        for option, given in (("--allow-launch", arguments.allow_launch), ("--queue-limit", limited)):
            if given:
                raise UserError(f"{option} says what visitors may do; give it together with --public")
        return {PUBLIC_VARIABLE: "", QUEUE_VARIABLE: ""}
    if not arguments.allow_launch:
        for option, entries in (("--data", arguments.data), ("--encoder", arguments.encoder)):
            if entries:
                raise UserError(f"{option} has no use with --public, whose small runs are on the sample; "
                                "add --allow-launch or leave it out")  # fmt: skip
    limit = QUEUE_LIMIT if arguments.queue_limit is None else arguments.queue_limit
    visiting(arguments.allow_launch, limit)
    return {PUBLIC_VARIABLE: FULL if arguments.allow_launch else TOYS, QUEUE_VARIABLE: str(limit)}


def run(arguments: Namespace) -> int:
    spec = _spec(arguments)
    if spec.device == "cuda":
        require_gpu(arguments.has_gpu)
    from foster.formats import load_dataset  # pandas, and only here

    load_dataset(arguments.data)  # so that bad data is refused before there is a run
    store = open_store(arguments)
    # A shell starts background jobs with SIGINT ignored; asked for by name, it stops them too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = launch(store, spec, arguments.command, arguments.free)
    say(f"run {started.id} in {store.root}")
    again = f"foster resume {started.id}" + ("" if arguments.runs is None else f" --runs {arguments.runs}")
    try:
        status = follow(started, Progress(), arguments.command)
    except KeyboardInterrupt:
        return _interrupted(started, again)
    if status.state is RunState.STOPPED:
        say(f"run {started.id} was stopped and is kept; go on with: {again}")
        return STOPPED
    if status.state is not RunState.DONE:
        say(f"run {started.id} {status.state}: {status.error}")
        return FAILED
    report = started.report()
    if report is None:
        raise UserError(f"run {started.id} is done but left no report; {started.path / 'log.txt'} may say why")
    print(to_json(report) if arguments.json else report_table(report))
    return 0


def runs(arguments: Namespace) -> int:
    store = open_store(arguments)
    survey = store.survey()
    if arguments.json:
        listed = [
            {
                "run_id": run.id,
                "read_only": run.read_only,
                "label": asdict(read_label(run)),
                "bytes": taken_bytes(run.path),
                "spec": run.spec.to_json(),
                "status": status.to_json(),
            }
            for run, status in survey[0]
        ]
        print(to_json({"root": str(store.root), "runs": listed, "skipped": survey[1]}))
        return 0
    print(
        runs_table(survey) if survey[0] else f"no runs in {plain(store.root)} yet; foster run --data sample makes one"
    )
    for name, reason in survey[1].items():
        say(f"skipped {name}: {reason}")
    return 0


def show(arguments: Namespace) -> int:
    run = open_store(arguments).get(arguments.run)
    sequences = run.sequences()
    if sequences is None:
        raise UserError(
            f"run {run.id} has no sequences yet, it is {run.status().state}; foster runs shows how far it is"
        )
    rows = [{str(name): value for name, value in row.items()} for row in sequences.to_dict("records")]
    if arguments.json:
        print(to_json({"run_id": run.id, "spec": run.spec.to_json(), "sequences": rows}))
    else:
        print(sequences_text(run, rows))
    return 0


def export_run(arguments: Namespace) -> int:
    run = open_store(arguments).get(arguments.run)
    from foster.export import export, sha256  # pandas, and only here

    where, files = export(run, Path(arguments.to), arguments.zip)
    size = where.stat().st_size if arguments.zip else sum(map(len, files.values()))
    if arguments.json:
        listed = [{"name": name, "bytes": len(files[name]), "sha256": sha256(files[name])} for name in sorted(files)]
        print(to_json({"run_id": run.id, "to": str(where), "bytes": size, "files": listed}))
    else:
        print(
            f"run {run.id} is in {plain(where)}: {plural(len(files), 'file')}, {byte_size(size)}; begin with README.md"
        )
    return 0


def stop(arguments: Namespace) -> int:
    run = open_store(arguments).get(arguments.run)
    run.request_stop()
    stopped = run.status().state is RunState.STOPPED
    print(f"run {run.id} {'is stopped' if stopped else 'stops at its next step'} and is kept")
    return 0


def pause(arguments: Namespace) -> int:
    run = open_store(arguments).get(arguments.run)
    run.request_pause()
    print(f"run {run.id} pauses at its next step; go on with: foster resume {run.id}")
    return 0


def step(arguments: Namespace) -> int:
    """Waits until the step is taken; Ctrl-C ends the waiting only."""
    run = open_store(arguments).get(arguments.run)
    run.request_step()
    taken, status = False, run.status()
    while not status.is_terminal and not (taken and (status.paused or not run.pause_requested)):
        time.sleep(0.05)
        taken, status = not run.step_requested, run.status()  # in this order: the status is that of after the step
    if status.is_terminal:
        print(f"run {run.id} is {status.state}" + (f": {status.error}" if status.error else ""))
        return 0 if status.state is RunState.DONE else STOPPED if status.state is RunState.STOPPED else FAILED
    now = "waits again" if run.pause_requested else "goes on, because somebody resumed it"
    print(f"run {run.id} took one step and {now}: {status.message}")
    return 0


def resume_run(arguments: Namespace) -> int:
    run = resume(open_store(arguments), arguments.run, arguments.command)
    print(f"run {run.id} goes on; foster runs shows how far it is")
    return 0


def bench(arguments: Namespace) -> int:
    from foster.bench import run as measure

    out = _to_be_written(arguments.out)
    found = measure(arguments.name, arguments.quick, say, **arguments.options(arguments))
    if out is not None:
        out.write_text(to_json(found.value) + "\n", encoding="utf-8")
    print(to_json(found.value) if arguments.json else found.text)
    return 0


def headline_options(arguments: Namespace) -> dict[str, Any]:
    distillations, students = arguments.seeds
    return {
        "root": open_store(arguments).root,
        "data": [_data(name) for name in arguments.data],
        "spec": _measured_spec(arguments, students, report_test=True),
        "distillations": distillations,
        "minutes": _minutes(arguments),
        "execute": arguments.execute,
    }


def _to_be_written(name: str | None) -> Path | None:
    """Said before minutes of measuring, not after. Raises UserError for a file that cannot be written."""
    if name is None:
        return None
    file = Path(name).expanduser()
    if file.is_dir() or not file.parent.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UserError(f"{file} cannot be written; give a file in a folder that is there and may be written")
    return file


def sweep_options(arguments: Namespace) -> dict[str, Any]:
    if arguments.over == "sequences" and arguments.sequences is not None:
        raise UserError(f"--sequences is {arguments.sequences}, but it is what is varied; give --values instead")
    out, svg = _to_be_written(arguments.out), _to_be_written(arguments.svg)
    if svg is not None and out is not None and out.resolve() == svg.resolve():
        raise UserError(f"--out and --svg are both {svg}; give two files")
    return {
        "root": open_store(arguments).root,
        "data": [_data(name) for name in arguments.data],
        "spec": _measured_spec(arguments, arguments.students, arguments.report_test),
        "over": arguments.over,
        "values": arguments.values,
        "minutes": _minutes(arguments),
        "svg": svg,
        "execute": arguments.execute,
    }


def transfer_options(arguments: Namespace) -> dict[str, Any]:
    return ablations_options(arguments) | {"execute": arguments.execute}


def ablations_options(arguments: Namespace) -> dict[str, Any]:
    return {
        "root": open_store(arguments).root,
        "data": None if arguments.data is None else _data(arguments.data),
        "spec": _measured_spec(arguments, arguments.students, arguments.report_test),
        "minutes": _minutes(arguments),
    }


def _measured_spec(arguments: Namespace, students: int, report_test: bool) -> RunSpec:
    """Of a benchmark's runs, but for their data and seed."""
    return RunSpec(
        sequences=RunSpec.sequences if arguments.sequences is None else arguments.sequences,
        length=arguments.length,
        students=students,
        encoder=_encoder(arguments.encoder),
        tuned_layers=arguments.tuned_layers,
        device=arguments.device,
        report_test=report_test,
    )


def _minutes(arguments: Namespace) -> float:
    if not 0 < arguments.minutes <= 10_000:
        raise UserError(f"--minutes is {arguments.minutes:g}; give a number above 0, at most 10000")
    return float(arguments.minutes)


def cost_options(arguments: Namespace) -> dict[str, Any]:
    if not arguments.limit_mb > 0:
        raise UserError(f"--limit-mb is {arguments.limit_mb:g}; give a number above 0")
    from foster.pipeline import choose_device

    return {"device": choose_device(RunSpec(device=arguments.device).device).type, "limit_mb": arguments.limit_mb}


def drain_queue(arguments: Namespace) -> int:
    drain(open_store(arguments).root, arguments.command)
    return 0


def work_on(arguments: Namespace) -> int:
    work(open_store(arguments).root, arguments.run, arguments.execute)
    return 0


def _spec(arguments: Namespace) -> RunSpec:
    return RunSpec(
        data=_data(arguments.data),
        method=arguments.method,
        sequences=arguments.sequences,
        length=arguments.length,
        regularisation=arguments.regularisation,
        steps=arguments.steps,
        students=arguments.students,
        seed=arguments.seed,
        encoder=_encoder(arguments.encoder),
        tuned_layers=arguments.tuned_layers,
        device=arguments.device,
        report_test=arguments.report_test,
    )


def open_store(arguments: Namespace) -> RunStore:
    return RunStore(default_root() if arguments.runs is None else Path(arguments.runs))


def _data(name: str) -> str:
    """A folder made absolute, because the worker has another working directory."""
    return os.path.abspath(os.path.expanduser(name)) if name != "sample" and name.strip() else name


def _encoder(name: str) -> str:
    """A folder made absolute, a name as it is."""
    if name != "minilm" and os.path.isdir(os.path.expanduser(name)):
        return os.path.abspath(os.path.expanduser(name))
    return name


def _data_folder(folder: str) -> str:
    """Absolute. Raises UserError where there is no data in a format that foster knows; it is not read yet."""
    from foster.formats import find_format  # pandas, and only here

    return str(find_format(folder)[0].resolve())


def _offer(variable: str, entries: list[str]) -> None:
    """Leaves a list for the app, whose pages offer nothing else; what the environment names already stays."""
    for entry in entries:
        if os.pathsep in entry or not entry.strip():
            raise UserError(f"{entry!r} cannot be offered in the app; give a name or folder without {os.pathsep!r}")
    if entries:
        before = filter(None, os.environ.get(variable, "").split(os.pathsep))
        os.environ[variable] = os.pathsep.join(dict.fromkeys([*entries, *before]))


def _interrupted(run: Run, again: str) -> int:
    """Asks the run to stop and waits until it has; a second Ctrl-C stops the waiting only."""
    try:
        try:
            run.request_stop()
            say(f"stopping run {run.id} at its next step …")
        except UserError:
            if not run.status().is_terminal:  # otherwise it ended just now, and that is fine
                raise
        state = follow(run).state
    except KeyboardInterrupt:
        say(f"run {run.id} stops in the background and is kept; go on with: {again}")
        return INTERRUPTED
    if state is RunState.DONE:
        say(f"run {run.id} had just finished; see it with: foster show {run.id}")
    else:
        say(f"run {run.id} is {state} and is kept; go on with: {again}")
    return INTERRUPTED


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}; choose another with --port") from None
