"""The lessons' computations, cached by plain scalars and taking turns: a class that opens a lesson at once computes it
once. Nothing here loads torch before the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from foster.ui.engine import turn

if TYPE_CHECKING:
    from foster.lessons.budget import Budget
    from foster.lessons.first_order import TwoGradients
    from foster.lessons.judging import Judged
    from foster.lessons.recommending import Learned, NewBooks
    from foster.lessons.regularising import Together
    from foster.lessons.subsets import Drawn

SEED = 0


@st.cache_data(max_entries=8, show_spinner=False)
def learned(broken: str) -> tuple[Learned, NewBooks]:
    with turn():
        from foster.lessons.recommending import Broken, learn, new_books

        return learn(SEED, Broken(broken)), new_books(SEED, Broken(broken))


@st.cache_data(max_entries=16, show_spinner=False)
def spent(sequences: int, labels: bool) -> Budget:
    with turn():
        from foster.lessons.budget import spend

        return spend(SEED, sequences, labels)


@st.cache_data(max_entries=32, show_spinner=False)
def drawn(size: int, keep: bool, correct: bool) -> Drawn:
    with turn():
        from foster.lessons.subsets import SubsetPlan, draw_many

        return draw_many(SubsetPlan(SEED, size=size, keep=keep, correct=correct))


@st.cache_data(max_entries=64, show_spinner=False)
def compared(inner: int, apart: int, dropout: bool) -> TwoGradients:
    with turn():
        from foster.lessons.first_order import compare

        return compare(SEED, inner, apart, dropout)


@st.cache_data(max_entries=8, show_spinner=False)
def together(weight: float) -> Together:
    with turn():
        from foster.lessons.regularising import stand_together

        return stand_together(SEED, weight)


@st.cache_data(max_entries=8, show_spinner=False)
def judged(students: int, warm: bool) -> Judged:
    with turn():
        from foster.lessons.judging import judge

        return judge(SEED, students, warm)
