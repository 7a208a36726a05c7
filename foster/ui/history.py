"""What earlier runs tell about the next one."""

from __future__ import annotations

from foster.errors import UserError
from foster.runs import RunState
from foster.spec import RunSpec
from foster.ui import load, words
from foster.ui.state import Selection

LOOKED_AT = 20


def known(selection: Selection, spec: RunSpec) -> tuple[int | None, str | None]:
    """(bytes of the training log, how long it took) from the newest finished run on the same data; the time from the
    one with the budget nearest to `spec`'s."""
    finished = [run for run, status in selection.runs if status.state is RunState.DONE and run.spec.data == spec.data]
    reports = []
    for run in finished[:LOOKED_AT]:
        try:
            report = load.report(run)
        except UserError:  # a damaged report says nothing about the next run
            continue
        if report is not None:
            reports.append((abs(run.spec.sequences * run.spec.length - spec.sequences * spec.length), run, report))
    if not reports:
        return None, None
    log = next((int(size) for _, _, report in reports if (size := (report.get("stored_bytes") or {}).get("log"))), None)
    _, run, report = min(reports, key=lambda each: each[0])
    seconds = sum((report.get("seconds") or {}).values())
    if not seconds:
        return log, None
    budget, device = f"{run.spec.sequences} × {run.spec.length}", words.device(report.get("device"))
    return log, f"An earlier run of {budget} took {words.duration(seconds)} on {device}."
