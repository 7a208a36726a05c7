"""What experts say: labels of given sequences, an order of given items, walks of their own.

Teacher labels, what experts would predict after every prefix, are the strongest simple control of the feasibility study
and the start of the FOSTER loop; walks are plain sequences.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial

import torch
from torch import Generator, Tensor

from foster.label_basis import fit_basis, fit_queries
from foster.parallel import side_by_side
from foster.recommender import SequentialRecommender
from foster.stored_form import Form
from foster.synthetic import UNUSED, SyntheticSequences, as_readings, in_sessions
from foster.training import mix
from foster.tuning import Texts, public

FITTED = 1500  # positions whose labels choose the basis


@torch.no_grad()
def teacher_log_labels(
    teachers: list[SequentialRecommender], texts: Texts, items: Tensor, session: int | None = None
) -> Tensor:
    """log of the teachers' mean next-item distribution after each prefix of items [M, L] (-1 unused), or of each of
    their sessions: [M, L, V]."""
    readings, length = items.shape
    items = in_sessions(items, session, fill=UNUSED)
    weights = (items >= 0).float().unsqueeze(-1)
    mean: Tensor | None = None
    for teacher in teachers:
        table = teacher.item_table(texts)
        p = teacher.logits(teacher(mix(table, items.clamp(min=0).unsqueeze(-1), weights)), table).softmax(-1)
        mean = p if mean is None else mean + p
    assert mean is not None
    return as_readings((mean / len(teachers)).clamp(min=1e-30).log(), readings, length)


@torch.no_grad()
def arranged_by_teacher(
    teacher: SequentialRecommender,
    texts: Texts,
    items: Tensor,
    sequences: int,
    generator: Generator,
    each_block: Callable[[], None] = lambda: None,
) -> Tensor:
    """The given items [N·L], each as often as it is given, as N `sequences` [N, L]: they open with the first N, then
    each in turn goes on with an item that is drawn from the teacher's distribution after the prefix, among those left;
    none that it holds, while others are left.

    So the set holds what it is meant to hold, in an order that a history might have. generator: on the CPU;
    each_block is called after some sequences have gone on by an item and may raise to stop.
    """
    arranged, left = items[:sequences, None].cpu(), items[sequences:].cpu()
    table = teacher.item_table(texts)
    while len(left):
        ones = torch.ones(*arranged.shape, 1, device=table.device)
        hidden = teacher(mix(table, arranged.to(table.device).unsqueeze(-1), ones))[:, -1]
        open_to, taken = table[left.to(table.device)], torch.zeros(len(left), dtype=torch.bool)
        following = []
        for rows, states in zip(arranged.split(64), hidden.split(64), strict=True):
            scores = teacher.logits(states, open_to).cpu()  # [64, what is left]
            for row, likes in zip(rows, scores, strict=True):
                held = torch.isin(left, row) & ~taken
                barred = taken if bool((held | taken).all()) else held | taken
                place = torch.multinomial(likes.masked_fill(barred, -torch.inf).softmax(-1), 1, generator=generator)
                taken[place] = True
                following.append(left[place])
            each_block()
        arranged, left = torch.cat([arranged, torch.stack(following)], 1), left[~taken]
    return arranged.to(texts.device)


@torch.no_grad()
def teacher_walk(
    teachers: list[SequentialRecommender],
    texts: Texts,
    first: Tensor,
    length: int,
    often: Tensor,
    balance: float,
    each_block: Callable[[], None] = lambda: None,
) -> Tensor:
    """Sequences [M, L] that open with `first` [M] and each in turn go on with an item that the teachers find likely
    after the prefix and that the set still owes: no item twice in one (unless L > V), and

        argmax_i  mean_t log p_t(i | prefix) + balance · (log(1 + n_i) − log(1 + m_i))

    with n_i how `often` [V] an item stands in the training log and m_i how often in the sequences up to here. Without a
    balance they end where a few items lead to each other. Works in blocks of sequences, so nothing of size M·V is held.
    each_block is called before a block goes on by an item and may raise to stop.
    """
    tables = [teacher.item_table(texts) for teacher in teachers]
    held = torch.bincount(first, minlength=len(texts))
    known = often.to(held.device).log1p()
    owed = balance * (known - held.log1p())
    sequences = first.unsqueeze(1)
    for _ in range(length - 1):
        following = []
        for block in sequences.split(64):
            each_block()
            ones = torch.ones(*block.shape, 1, device=held.device)
            likely = torch.zeros(len(block), len(texts), device=held.device)
            for teacher, table in zip(teachers, tables, strict=True):
                states = teacher(mix(table, block.unsqueeze(-1), ones))[:, -1]
                likely += teacher.logits(states, table).log_softmax(-1) / len(teachers)
            if block.shape[1] < len(texts):
                likely.scatter_(1, block, -torch.inf)
            for scores in likely:  # one after the other, so that each knows what those before it have taken
                item = (scores + owed).argmax()
                held[item] += 1
                owed[item] = balance * (known[item] - held[item].log1p())
                following.append(item)
        sequences = torch.cat([sequences, torch.stack(following).unsqueeze(1)], 1)
    return sequences


@torch.no_grad()
def label_projection(teacher: SequentialRecommender, texts: Texts, width: int) -> Tensor:
    """P [w, D_text], the w = `width` directions of the text features in which the teacher tells items apart most.

    With W the teacher's projection and e [V, D] its item table: P = V_r W, V_r the leading right singular
    directions of the table (only a start to fit from where the teacher has an adapter or an encoder of its own).
    The sign of a direction is fixed by its largest entry.
    """
    table = teacher.item_table(texts).double()
    _, directions = torch.linalg.eigh((table.T @ table).cpu())  # ascending
    leading = directions.flip(1)[:, :width].T
    signs = leading.gather(1, leading.abs().argmax(1, keepdim=True)).sign()
    weight = teacher.projection.weight
    return (leading * signs).to(weight.device, weight.dtype) @ weight


def with_teacher_labels(
    items: Tensor,
    sequences: int,
    teachers: list[SequentialRecommender],
    texts: Texts,
    form: Form,
    generator: Generator,
    fit: int | None = None,
    each_step: Callable[[], None] = lambda: None,
) -> SyntheticSequences:
    """Readings items [A·M, L] (-1 unused) of M `sequences` with the teachers' labels in the given form, not rounded
    (its count of readings is that of `items`, whatever it says).

    The basis begins as the first teacher's, brought nearest to the labels of about FITTED of the positions in `fit`
    steps (None: as many as `fit_basis` says). Works in blocks of readings, side by side, so nothing of size A·M·L·V is
    held. generator: on the CPU; each_step is called often and may raise to stop.
    """
    each_step()
    some = items[: max(1, FITTED // items.shape[1])]
    known = teacher_log_labels(teachers, texts, some, form.session)[some >= 0]
    leading = label_projection(teachers[0], texts, form.width)
    maps = fit_basis(
        leading, known, public(texts), form.rank, form.hidden, generator, fit, bits=form.bits, each_step=each_step
    )
    basis = maps.rows(public(texts))
    blocks = items.split(4)
    seeds = torch.randint(2**62, (len(blocks),), generator=generator).tolist()  # whichever block is fitted first

    def fitted(block: Tensor, seed: int) -> Tensor:
        each_step()
        labels = teacher_log_labels(teachers, texts, block, form.session)
        found = fit_queries(labels.flatten(0, 1), basis, Generator().manual_seed(seed))
        return found.view(*block.shape, -1)

    jobs = (partial(fitted, *each) for each in zip(blocks, seeds, strict=True))
    with closing(side_by_side(jobs, texts.device)) as queries:
        return SyntheticSequences(sequences, items, torch.cat(list(queries)), maps, form.bits, form.session)
