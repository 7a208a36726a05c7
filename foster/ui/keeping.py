"""The Runs page's content: what is stored, every run with what it came to, one of them open, and the shared cache."""

from __future__ import annotations

import streamlit as st

from foster.cache import Pruned, prune
from foster.disk import taken_bytes
from foster.errors import UserError
from foster.run_label import RunLabel, read_label
from foster.runs import Run, RunState, RunStatus, RunStore
from foster.ui import address, guard, load, words
from foster.ui.managing import SAID, act, manage, tell
from foster.ui.markup import Markup, plain, show, tag
from foster.ui.scores import METRIC, of_full, split_of
from foster.ui.state import Selection, data_name, lesson_name
from foster.ui.states import TITLES, note
from foster.ui.storage import sizes
from foster.ui.titles import stats

A_PAGE = 10


def runs(selection: Selection) -> None:
    if selection.problem:
        note("The runs cannot be read", selection.problem, kind="bad")
        return
    tell()
    if selection.policy.edits:
        _overview(selection)
    if not selection.runs:
        note("No run yet", "Runs that you start on Distil are listed here.")
        st.page_link("pages/distil.py", label="Distil something", icon=":material/science:", query_params={})
    else:
        _listing(selection)
    if selection.policy.edits:
        _cache(selection.store)


def _overview(selection: Selection) -> None:
    ours, cached, free = sizes(str(selection.store.root))
    own = [run for run, _ in selection.runs if not run.read_only]
    shipped = len(selection.runs) - len(own)
    show(
        stats(
            [
                ("Runs", words.count(len(own)), f"of yours, and {shipped} shipped with the sample"),
                ("They take", words.size(ours), "on disk"),
                ("The cache takes", words.size(cached), "embeddings, experts and controls, shared by runs"),
                ("Free", words.size(free), "on that disk; a run is refused below 1 GB"),
            ]
        )
    )
    if problems := selection.store.problems():
        names = ", ".join(plain(name, 40) for name in list(problems)[:5])
        listed = f"{words.plural(len(problems), 'folder')} in the store cannot be read as a run: {names}."
        show(tag("p", f"{listed} On a terminal, foster runs says why.", class_="hint"))


def _listing(selection: Selection) -> None:
    query = address.search("q", "Search the runs", placeholder="Name, note, data or id", width=420)
    labels = {run.id: read_label(run) for run, _ in selection.runs}
    found = [(run, status) for run, status in selection.runs if _matches(query, run, labels[run.id])]
    if query:
        said = f"{words.plural(len(found), 'run')} of {words.count(len(labels))} with “{query}”."
        show(tag("p", said, role="status", class_="say"))
    asked = address.asked("run")
    last = max(1, -(-len(found) // A_PAGE))
    here = next((i for i, (run, _) in enumerate(found) if run.id == asked), 0) // A_PAGE + 1
    page = here
    if last > 1:
        control = address.segments if last <= 12 else address.scrubber
        page = control("page", "Rows", list(range(1, last + 1)), here, label_visibility="collapsed")
    for run, status in found[(page - 1) * A_PAGE : page * A_PAGE]:
        _row(selection.store, run, status, labels[run.id], run.id == asked)


def _matches(query: str, run: Run, label: RunLabel) -> bool:
    texts = (label.name, label.note, data_name(run.spec.data), run.id)
    return not query or any(query.casefold() in text.casefold() for text in texts)


def _row(store: RunStore, run: Run, status: RunStatus, label: RunLabel, opened: bool) -> None:
    what = "Name, stop, take away or delete" if guard.policy().edits else "Take away or stop"
    with st.container(key=f"kept-{run.id}", gap="small"):
        told, worth, act = st.columns([6, 3, 3], gap="medium", vertical_alignment="center")
        with told:
            show(_told(run, status, label))
        with worth:
            show(_worth(run))
        with act, st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.page_link(
                "pages/distil.py" if not status.is_terminal else "pages/sequences.py",
                label="Open",
                icon=":material/arrow_forward:",
                query_params={"run": run.id},
            )
            st.button(
                "Close" if opened else "Manage",
                key=f"manage-{run.id}",
                type="tertiary",
                icon=":material/unfold_less:" if opened else ":material/unfold_more:",
                on_click=address.put,
                kwargs={"run": None if opened else run.id},
                help=f"{'Close' if opened else what} run {run.id}",
            )
        if opened:
            manage(store, run, status, label)


def _told(run: Run, status: RunStatus, label: RunLabel) -> Markup:
    spec = run.spec
    what = f"{plain(data_name(spec.data), 60)}, {spec.sequences} × {spec.length}, γ\u00a0{spec.regularisation:g}"
    state = "Paused" if status.paused else TITLES[status.state]
    if status.state is RunState.RUNNING:
        state += f", {words.share(status.fraction)}"
    name = lesson_name(run) or label.name
    facts = [what if name else "", f"started {words.moment(status.created)}", words.size(taken_bytes(run.path))]
    first = tag(
        "p",
        tag("strong", tag("bdi", plain(name or what, 90))),
        tag("span", state, class_=f"chip {status.state}"),
        tag("span", "shipped", class_="chip") if run.shipped else None,
        tag("span", "yours", class_="chip") if guard.is_mine(run) else None,
        class_="row-head",
    )
    noted = tag("p", tag("bdi", plain(label.note, 200)), class_="noted") if label.note else None
    return tag("div", first, noted, tag("p", " · ".join(filter(None, facts)), tag("br"), run.id, class_="hint"))


def _worth(run: Run) -> Markup:
    """The headline: Recall@10 of students of the soft form."""
    try:
        report = load.report(run)
    except UserError:
        return tag("p", "its report is damaged", class_="hint")
    split, rows = split_of(report or {})
    summary = (rows.get("soft") or {}).get(METRIC)
    if not summary:
        status = run.status()
        return tag("p", "no result" if status.is_terminal else "no result yet", class_="hint")
    share = of_full(rows, "soft")
    beside = f", {words.share(share)} of everything" if share is not None else ""
    lines = (
        tag("p", tag("strong", words.measure(summary))),
        tag("p", f"Recall@10, {split}, soft{beside}", class_="hint"),
    )
    return tag("div", *lines, class_="worth")


def _cache(store: RunStore) -> None:
    show(tag("h2", "Cache"))
    show(
        tag(
            "p",
            "Text embeddings, trained experts and students on controls are kept so that the next run on the same data "
            "has them at once. What is removed is made again when it is wanted.",
            class_="hint",
        )
    )
    with st.container(horizontal=True, gap="small"):
        for everything, name, icon in (
            (False, "Remove what no run needs", ":material/mop:"),
            (True, "Empty the cache", ":material/delete_sweep:"),
        ):
            st.button(name, key=f"prune-{everything}", icon=icon, on_click=_prune, args=(store, everything))


def _prune(store: RunStore, everything: bool) -> None:
    pruned: list[Pruned] = []
    act(lambda: guard.edit(lambda: pruned.append(prune(store, everything))), "")
    if pruned:
        st.session_state[SAID] = ("Done", _pruned(pruned[0]), "good")


def _pruned(pruned: Pruned) -> str:
    if pruned.silent:
        return (
            f"All was kept, for the sake of {words.plural(len(pruned.silent), 'run')} without a list of what they need "
            "of it. Delete those first, or empty the cache."
        )
    return f"{words.plural(pruned.entries, 'entry', 'entries')} removed, {words.size(pruned.freed)} freed."
