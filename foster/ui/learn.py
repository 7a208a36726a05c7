"""The Learn page: one lesson at a time, its experiment, its question, its formula; plain or for a class."""

from __future__ import annotations

import streamlit as st

from foster.ui import address
from foster.ui.experiments import EXPERIMENTS
from foster.ui.frame import heading
from foster.ui.markup import Markup, show, tag
from foster.ui.states import note
from foster.ui.syllabus import LESSONS, Lesson
from foster.ui.titles import stats

NUMBERS = tuple(range(1, len(LESSONS) + 1))
OF_ONE_LESSON = ("dial", "broken")
PROJECTED = 17  # pixels of a chart's text in front of a class


def lessons() -> None:
    """The lesson that the address asks for, else the first."""
    presenting = address.asked("present") == "1"
    if presenting:
        show(tag("span", class_="presenting", hidden="hidden"), width="content")
    else:
        heading("How it works", "Six steps, each computed here and now in a world of 24 books. Predict, then break it.")
    asked = address.asked("lesson")
    if asked is not None and asked not in map(str, NUMBERS):
        note(
            "There is no such step", f"The address asks for {asked[:60]!r}; there are steps 1 to 6. This is the first."
        )
    with st.container(key="lesson-head", horizontal=True, vertical_alignment="center", gap="medium"):
        number = address.segments(
            "lesson",
            "Step",
            NUMBERS,
            1,
            format_func=lambda each: f"{each} · {LESSONS[each - 1].short}",
            clears=OF_ONE_LESSON,
            label_visibility="collapsed",
        )
        st.space("stretch")
        st.button(
            "Leave" if presenting else "Present",
            icon=":material/fullscreen_exit:" if presenting else ":material/fullscreen:",
            key="present",
            on_click=address.put,
            kwargs={"present": None if presenting else "1"},
        )
    lesson = LESSONS[number - 1]
    story, bench = st.columns([5, 7], gap="large")
    with story:
        title = tag("h2", lesson.title)
        show(tag("div", tag("p", f"Step {number} of 6", class_="hint"), title, *_paragraphs(lesson), class_="lesson"))
        _question(number, lesson)
    with bench:
        _experiment(number, lesson, presenting)
    st.space("small")
    formula, names = st.columns([5, 7], gap="large")
    with formula, st.container(key="lesson-formula"):
        show(tag("h3", "In a formula"))
        st.latex(lesson.formula)
    with names:
        show(tag("div", tag("h3", "In foster's code"), _code(lesson)))
    _onward(number)
    if not presenting:
        show(tag("div", tag("h3", "To read"), _references(lesson), class_="lesson-reading"))


def _paragraphs(lesson: Lesson) -> list[Markup]:
    return [tag("p", paragraph, class_="say") for paragraph in lesson.story]


def _experiment(number: int, lesson: Lesson, presenting: bool) -> None:
    label, options, default = lesson.dial
    switches = dict(lesson.switches)
    with st.container(key="lesson-bench", gap="small"):
        with st.container(key="lesson-controls", horizontal=True, gap="large"):
            dial = address.pick("dial", options, default)  # type: ignore[type-var]
            address.segments("dial", label, options, default)  # type: ignore[type-var]
            broken = address.segments(
                "broken", "What is broken", tuple(switches), "nothing", format_func=switches.__getitem__
            )
        with st.spinner("Computing, a second or two …"):
            shown = EXPERIMENTS[number - 1][0](dial, broken)
        show(tag("p", shown.say, role="status", class_="say finding" if broken == "nothing" else "say finding broken"))
        show(stats(shown.figures))
        if presenting:
            shown.chart.figure.update_layout(font_size=PROJECTED)
            shown.chart.figure.update_annotations(font_size=PROJECTED)
        st.plotly_chart(
            shown.chart.figure,
            key=f"lesson-{number}-{presenting}",
            alt=shown.chart.alt,
            config={"displayModeBar": False},
        )
        if shown.extra is not None:
            show(shown.extra)


def _question(number: int, lesson: Lesson) -> None:
    """Predict first; what is revealed comes from the numbers of the experiment."""
    key, question = f"guess-{number}", lesson.question
    with st.container(key="lesson-question", gap="small"):
        guess = st.radio(
            f"**Predict.** {question.asks}", question.options, index=None, key=key, persist_state="session"
        )
        st.button(
            "Reveal", key=f"reveal-{number}", type="primary", disabled=guess is None, on_click=_reveal, args=(number,)
        )
        if st.session_state.get(f"revealed-{number}") is None or guess is None:
            return
        answer = EXPERIMENTS[number - 1][1]()
        right = question.options[answer.right]
        verdict = "As you said" if guess == right else "Not so"
        why = f"{answer.why} Revealing has set the experiment to show it."
        note(f"{verdict}: {right[0].lower()}{right[1:]}", why, "good" if guess == right else "plain")


def _reveal(number: int) -> None:
    st.session_state[f"revealed-{number}"] = True
    lesson = LESSONS[number - 1]
    dial, broken = lesson.question.looks
    address.put(dial=None if dial == lesson.dial[2] else dial, broken=None if broken == "nothing" else broken)


def _code(lesson: Lesson) -> Markup:
    rows = [
        tag("tr", tag("th", *_symbol(symbol), scope="row"), tag("td", tag("code", name)), tag("td", meaning))
        for symbol, name, meaning in lesson.code
    ]
    return tag("div", tag("table", tag("tbody", *rows), class_="settings names"), class_="scroll", tabindex="0",
               role="region", aria_label="Names in the code")  # fmt: skip


def _symbol(written: str) -> list[Markup | str]:
    """`L_D` with its index below the line."""
    base, _, index = written.partition("_")
    return [base, tag("sub", index)] if index else [base]


def _references(lesson: Lesson) -> Markup:
    return tag(
        "ul", *(tag("li", tag("a", text, href=url, target="_blank", rel="noreferrer")) for text, url in lesson.read)
    )


def _onward(number: int) -> None:
    with st.container(key="lesson-onward", horizontal=True, gap="medium", vertical_alignment="center"):
        for name, step, icon in (("Previous", number - 1, "arrow_back"), ("Next", number + 1, "arrow_forward")):
            if step > len(LESSONS):
                continue  # the way on is a run of one's own
            st.button(
                f"{name}: {LESSONS[step - 1].short}" if step in NUMBERS else name,
                key=name.lower(),
                icon=f":material/{icon}:",
                icon_position="left" if name == "Previous" else "right",
                disabled=step not in NUMBERS,
                on_click=address.put,
                kwargs={"lesson": None if step == 1 else step, **dict.fromkeys(OF_ONE_LESSON)},
            )
            if name == "Previous":
                st.space("stretch")
        if number == len(LESSONS):
            st.page_link("pages/distil.py", label="Distil a log", icon=":material/science:",
                         query_params=address.carried(lesson=None, **dict.fromkeys(OF_ONE_LESSON)))  # fmt: skip
