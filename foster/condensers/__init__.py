"""Ways to condense a log besides the FOSTER loop: what its result is compared with, and where it starts from."""

from foster.condensers.selection import random_real, real_readings, uniform_items, weighted_items
from foster.condensers.teacher_labels import (
    arranged_by_teacher,
    label_projection,
    teacher_log_labels,
    teacher_walk,
    with_teacher_labels,
)
from foster.condensers.themes import gathered_by_theme, joined

__all__ = [
    "arranged_by_teacher",
    "gathered_by_theme",
    "joined",
    "label_projection",
    "random_real",
    "real_readings",
    "teacher_log_labels",
    "teacher_walk",
    "uniform_items",
    "weighted_items",
    "with_teacher_labels",
]
