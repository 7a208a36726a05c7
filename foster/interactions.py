"""Who took what, in which order: the interaction log and its leave-one-out split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

MIN_EVENTS = 3  # a user needs one event to train on, one to validate and one to test


@dataclass(frozen=True, eq=False)
class Interactions:
    """N events of n_users users, grouped by user, oldest first; the arrays are read-only copies.

    items: int32 [N], catalogue rows. offsets: int64 [n_users + 1]; user u owns items[offsets[u] : offsets[u + 1]],
    at least one event. user_ids: n_users unique strings.

    Raises ValueError where that does not hold.
    """

    items: np.ndarray
    offsets: np.ndarray
    user_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", _frozen(self.items, np.int32))
        object.__setattr__(self, "offsets", _frozen(self.offsets, np.int64))
        if not self.user_ids or len(set(self.user_ids)) != len(self.user_ids):
            raise ValueError("needs at least one user, and user ids must be unique")
        if len(self.offsets) != len(self.user_ids) + 1:
            raise ValueError(
                f"{len(self.user_ids)} users need {len(self.user_ids) + 1} offsets, not {self.offsets.size}"
            )
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.items) or (self.lengths < 1).any():
            raise ValueError("offsets must rise from 0 to the number of events, with at least one event a user")
        if (self.items < 0).any():
            raise ValueError("items are catalogue rows, so they cannot be negative")

    @classmethod
    def from_events(cls, users: Sequence[str] | pd.Series, items: np.ndarray, times: np.ndarray) -> Interactions:
        """Group N events (ids [N], rows [N], times [N]) by user and sort each user's by time.

        Users keep the order of their first event in the input, events of equal time keep their order in it.
        Raises ValueError for no events, lengths that differ and times that are not finite.
        """
        times = np.asarray(times)
        if not len(users) == len(items) == len(times):
            raise ValueError(f"{len(users)} users, {len(items)} items and {len(times)} times are not one event list")
        if not np.isfinite(times).all():
            raise ValueError("times must be finite")
        codes, user_ids = pd.factorize(pd.Index(users))
        order = np.lexsort((times, codes))  # stable
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(user_ids)))])
        return cls(np.asarray(items)[order], offsets, tuple(user_ids))

    def __len__(self) -> int:
        """N, the number of events."""
        return len(self.items)

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [n_users], the number of events of each user."""
        return np.diff(self.offsets)

    @property
    def users(self) -> np.ndarray:
        """int64 [N], the user number of each event."""
        return np.repeat(np.arange(self.n_users), self.lengths)

    def sequence(self, user: int) -> np.ndarray:
        """int32 [lengths[user]], a read-only view. Raises IndexError unless 0 ≤ user < n_users."""
        if not 0 <= user < self.n_users:
            raise IndexError(f"user {user} of {self.n_users}")
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def of_at_least(self, events: int) -> Interactions | None:
        """Of the users with so many events, None where there is none."""
        kept = self.lengths >= events
        if not kept.any():
            return None
        offsets = np.concatenate([[0], np.cumsum(self.lengths[kept])])
        users = tuple(user for user, keep in zip(self.user_ids, kept, strict=True) if keep)
        return Interactions(self.items[np.repeat(kept, self.lengths)], offsets, users)

    @cached_property
    def has_repeats(self) -> bool:
        """Whether any user took one item twice."""
        pairs = self.users * (int(self.items.max()) + 1) + self.items
        return bool((np.diff(np.sort(pairs)) == 0).any())

    def leave_one_out(self) -> Split:
        """Each user's last event to test on, the one before to validate on, the others to train on.

        Raises ValueError if a user has fewer than 3 events.
        """
        if self.lengths.min() < MIN_EVENTS:
            user = self.user_ids[int(self.lengths.argmin())]
            raise ValueError(f"user {user!r} has fewer than {MIN_EVENTS} events")
        last = self.offsets[1:] - 1
        held_out = np.zeros(len(self), dtype=bool)
        held_out[last] = held_out[last - 1] = True
        offsets = self.offsets - 2 * np.arange(self.n_users + 1)
        train = Interactions(self.items[~held_out], offsets, self.user_ids)

        seen = self.items == np.repeat(self.items[last], self.lengths)
        seen[last] = False
        repeated = np.logical_or.reduceat(seen, self.offsets[:-1])
        return Split(
            train=train,
            valid=_frozen(self.items[last - 1], np.int32),
            test=_frozen(self.items[last], np.int32),
            mask_history=not train.has_repeats,
            repeat_share=float(repeated.mean()),
        )


@dataclass(frozen=True, eq=False)
class Split:
    """What `Interactions.leave_one_out` makes; user u is the same user in all of it.

    train: every user's events but the last two. valid, test: int32 [n_users], the second last and the last item.
    mask_history: whether evaluation leaves out what a user already took: only where the training log holds no
    repeats, because elsewhere taking an item again is a right answer. repeat_share: share of users, 0 to 1, whose
    test item is among their earlier events (training and validation).
    """

    train: Interactions
    valid: np.ndarray
    test: np.ndarray
    mask_history: bool
    repeat_share: float

    @property
    def usual_history(self) -> int:
        """Events of the mean training history, rounded up to tens."""
        return 10 * -(-len(self.train.items) // (10 * self.train.n_users))


def _frozen(values: np.ndarray, dtype: type[np.signedinteger]) -> np.ndarray:
    given = np.asarray(values)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(f"needs a vector of whole numbers, not {given.dtype} {list(given.shape)}")
    copy = given.astype(dtype)
    if not np.array_equal(copy, given):
        raise ValueError(f"values do not fit {np.dtype(dtype)}")
    copy.setflags(write=False)
    return copy
