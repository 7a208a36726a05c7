"""From tensors to titles: what a person reads is what the set says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cycle_world import N_ITEMS, cycle_log, random_features
from torch import Generator, Tensor

from foster.catalog import Catalog
from foster.decode import harden, neighbour_table, row_of, sequence_table, snapshot_table, top_rows
from foster.interactions import Interactions
from foster.label_basis import LabelBasis
from foster.synthetic import SyntheticSequences

CATALOG = Catalog(tuple("abcdef"), tuple(f"Title <b>{x}</b>" for x in "ABCDEF"))
BASIS = 10 * torch.eye(6)  # a query is its own logits, so labels can be planted


def planted(labels: list[list[int]], readings: tuple[int, ...] = (0, 1)) -> SyntheticSequences:
    """Labels one-hot in the query, the same in every reading, which read one item everywhere."""
    queries = torch.eye(6)[torch.tensor(labels)]
    items = torch.cat([torch.full(queries.shape[:2], item) for item in readings])
    return SyntheticSequences(
        len(labels), items, queries.repeat(len(readings), 1, 1), LabelBasis.linear(torch.eye(6), 6)
    )


def test_a_hard_sequence_opens_with_its_input_and_follows_its_labels() -> None:
    assert harden(planted([[3, 1, 5, 2]]), BASIS).tolist() == [[0, 3, 1, 5]]


def test_only_labels_of_the_first_reading_are_shown() -> None:
    one = planted([[3, 1, 5, 2]])
    both = replace(one, queries=torch.cat([one.own, planted([[4, 4, 4, 4]]).own]))
    assert torch.equal(harden(both, BASIS), harden(one, BASIS))
    assert snapshot_table(both, BASIS).equals(snapshot_table(one, BASIS))
    assert sequence_table(both, harden(both, BASIS), BASIS, CATALOG).equals(
        sequence_table(one, harden(one, BASIS), BASIS, CATALOG)
    )


def test_a_label_that_was_taken_gives_way_to_the_next_likeliest() -> None:
    synthetic = planted([[3, 3, 3]])
    synthetic.queries[:, 1, 4] = 0.5
    assert harden(synthetic, BASIS).tolist() == [[0, 3, 4]]


def test_a_sequence_longer_than_the_catalogue_may_repeat() -> None:
    hard = harden(planted([[1, 2, 3, 4, 5, 2, 2, 2]]), BASIS)[0].tolist()
    assert sorted(hard[:6]) == [0, 1, 2, 3, 4, 5]
    assert hard[6:] == [2, 2]


def test_the_table_reads_rows_and_labels() -> None:
    synthetic = planted([[3, 1], [2, 5]], (0, 4, 2, 4))
    table = sequence_table(synthetic, harden(synthetic, BASIS), BASIS, CATALOG)
    assert table[["sequence", "position"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert table.item_id.tolist() == ["a"] * 4
    assert table.title[0] == "Title <b>A</b>"  # plain text; escaping is the page's business
    assert table.label_title.tolist() == [f"Title <b>{x}</b>" for x in "DBCF"]
    assert table.hard_item_id.tolist() == ["a", "d", "a", "c"]
    for row in table.itertuples():
        assert row.confidence == 0.25
        found = [(entry["item_id"], entry["weight"]) for entry in row.alternatives]
        assert found == [("a", 0.25), ("e", 0.5), ("c", 0.25)], "the first reading's, then by share"
        assert sum(entry["weight"] for entry in row.labels) == pytest.approx(1, abs=1e-5)  # six items: all shown


def test_a_row_leaves_out_readings_that_have_ended() -> None:
    items, shares = row_of(torch.tensor([3, -1, 3, 5]))
    assert items.tolist() == [3, 5]
    assert shares.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_top_rows_never_ask_for_more_than_the_catalogue_holds() -> None:
    items, weights = top_rows(planted([[3, 1]]), BASIS, 10)
    assert items.shape == weights.shape == (1, 2, 6)
    assert items[0, :, 0].tolist() == [3, 1]


def test_a_snapshot_holds_every_position_in_order() -> None:
    table = snapshot_table(planted([[3, 1], [2, 5]]), BASIS)
    assert table[["sequence", "position"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert [int(row[0]) for row in table["items"]] == [3, 1, 2, 5]
    assert all(abs(float(row.sum()) - 1) < 1e-4 for row in table.weights)
    assert [row.tolist() for row in table.input_items] == [[0, 1]] * 4
    assert [row.tolist() for row in table.input_weights] == [[0.5, 0.5]] * 4


def jaccard_of(hard: Tensor, log: Interactions) -> list[float]:
    best = []
    for sequence in hard.tolist():
        sets = [set(log.sequence(u).tolist()) for u in range(log.n_users)]
        best.append(max(len(s & set(sequence)) / len(s | set(sequence)) for s in sets))
    return best


def test_neighbours_equal_the_naive_jaccard_index_even_with_repeats() -> None:
    log = Interactions(np.array([0, 1, 1, 0, 2, 3, 4, 5, 4]), np.array([0, 4, 6, 9]), ("x", "y", "z"))
    hard = torch.tensor([[0, 1, 2], [4, 4, 5], [3, 2, 3]])
    table = neighbour_table(hard, log, torch.eye(6))
    assert table.overlap.tolist() == pytest.approx(jaccard_of(hard, log))
    assert table.nearest_user.tolist() == ["x", "z", "y"]
    assert table.repetition.tolist() == pytest.approx([0, 1 / 3, 1 / 3])
    assert table.diversity.tolist() == pytest.approx([1, 1 - 2 / 6, 1 - 2 / 6])  # two of six ordered pairs are equal


def test_a_copied_reader_is_nearest_to_himself() -> None:
    log = cycle_log()
    copied = torch.from_numpy(log.sequence(2).astype("int64")).unsqueeze(0)
    table = neighbour_table(copied, log, random_features())
    assert table.overlap[0] == 1
    assert table.repetition[0] == 0


def test_hard_sequences_of_drawn_labels_hold_no_item_twice() -> None:
    draw = Generator().manual_seed(2)
    items = torch.stack([torch.randperm(N_ITEMS, generator=draw)[:5] for _ in range(3)])
    queries, projection = 0.5 * torch.randn(3, 5, 6, generator=draw), torch.randn(6, 16, generator=draw)
    drawn = SyntheticSequences(3, items, queries, LabelBasis.linear(projection, 6))
    hard = harden(drawn, drawn.basis(random_features()))
    assert hard.shape == (3, 5)
    assert all(len(set(row)) == 5 for row in hard.tolist())
