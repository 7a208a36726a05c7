"""The Take away panel: a finished run as files, each made only when its button is pressed."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from foster.runs import Run, RunState, RunStatus
from foster.ui.markup import show, tag

CSV, PARQUET, HTML, ZIP = "text/csv", "application/vnd.apache.parquet", "text/html", "application/zip"


def takeaway(run: Run, status: RunStatus) -> None:
    show(tag("h2", "Take away"))
    if status.state is not RunState.DONE:
        show(tag("p", "The files of a run can be taken away once it is finished.", class_="hint"))
        return
    everything, report, sequences = st.columns(3, gap="large")
    with everything:
        _offer("Everything", "Tables, RecBole files, the soft form, a dataset card, the report and checksums.")
        _button(run, "Download the zip", f"foster-{run.id}.zip", ZIP, _zip, primary=True)
    with report:
        _offer("The report", "Numbers, charts, titles and map in one page that opens anywhere, and prints.")
        _button(run, "Download the report", f"foster-{run.id}.html", HTML, _report)
    with sequences:
        _offer("The sequences", "The hard form with ids and titles: CSV for a spreadsheet, Parquet for a program.")
        with st.container(horizontal=True, gap="small"):
            _button(run, "CSV", f"foster-{run.id}.csv", CSV, lambda run: _table(run, "sequences.csv"))
            _button(run, "Parquet", f"foster-{run.id}.parquet", PARQUET, lambda run: _table(run, "sequences.parquet"))


def _offer(name: str, text: str) -> None:
    show(tag("div", tag("h3", name), tag("p", text, class_="hint"), class_="offer"))


def _button(run: Run, label: str, name: str, mime: str, make: Callable[[Run], bytes], primary: bool = False) -> None:
    st.download_button(
        label,
        lambda: make(run),
        file_name=name,
        mime=mime,
        key=f"take-{name}",
        on_click="ignore",
        icon=":material/download:",
        type="primary" if primary else "secondary",
    )


def _zip(run: Run) -> bytes:
    from foster.export import zip_of

    return zip_of(run)


def _report(run: Run) -> bytes:
    from foster.exporters.finished import read_finished
    from foster.exporters.report import report

    return report(read_finished(run))["report.html"]


def _table(run: Run, name: str) -> bytes:
    from foster.exporters.finished import read_finished
    from foster.exporters.tables import tables

    return tables(read_finished(run))[name]
