"""What earlier runs tell about the next one."""

from __future__ import annotations

from foster.errors import UserError
from foster.runs import RunState
from foster.ui import load
from foster.ui.forecast import Earlier
from foster.ui.state import Selection

LOOKED_AT = 20


def earlier(selection: Selection) -> list[Earlier]:
    """The newest finished runs that say how long they took, the shipped demo among them; lessons are too unusual."""
    finished = [run for run, status in selection.runs if status.state is RunState.DONE and not run.is_lesson]
    shipped = [run for run in finished if run.shipped]
    found = []
    for run in [*finished[:LOOKED_AT], *(run for run in shipped if run not in finished[:LOOKED_AT])]:
        try:
            report = load.report(run)
        except UserError:  # a damaged report says nothing about the next run
            continue
        steps = next(reversed(run.snapshots()), None)  # the last one shows the last step
        if report is not None and (told := Earlier.of(run.spec, report, steps)) is not None:
            found.append(told)
    return found
