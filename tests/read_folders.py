"""What tests of folders ask of a data set that was read, and of one that was refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from foster.errors import UserError
from foster.formats import Dataset, load_dataset


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    """user id → item ids, the form in which answers are planted."""
    log = dataset.interactions
    return {user: [dataset.catalog.ids[item] for item in log.sequence(u)] for u, user in enumerate(log.user_ids)}


def refusal(folder: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        load_dataset(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message
