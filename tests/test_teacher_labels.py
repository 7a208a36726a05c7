"""What a teacher adds to sequences: arrangements, walks, labels after every position of every reading."""

from __future__ import annotations

import pytest
import torch
from cycle_world import N_ITEMS, cycle_windows, random_features
from torch import Generator, Tensor

from foster.condensers import (
    arranged_by_teacher,
    gathered_by_theme,
    teacher_log_labels,
    teacher_walk,
    with_teacher_labels,
)
from foster.parallel import use_one_thread
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.stored_form import Form
from foster.trajectory import ExpertConfig, ExpertTrajectory, train_expert

CPU = torch.device("cpu")
SHAPE = RecommenderConfig(width=16, max_length=8, dropout=0.1)
FEATURES = random_features()


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> ExpertTrajectory:
    folder = tmp_path_factory.mktemp("expert")
    short = ExpertConfig(learning_rate=1e-2, batch_size=20, patience=1, check_every=100)
    scores = iter([0.1, 0.2, 0.3, 0.0])
    list(train_expert(folder, SHAPE, short, FEATURES, cycle_windows(), lambda _: next(scores), seed=0))
    found = ExpertTrajectory.open(folder, SHAPE, FEATURES)
    assert found is not None
    return found


def test_an_arrangement_holds_the_given_items_as_often_as_they_are_given(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    items = torch.tensor([3, 9, 4, 4, 10, 5, 11, 20])
    made = arranged_by_teacher(teacher, FEATURES, items, 2, Generator().manual_seed(0))
    assert made.shape == (2, 4)
    assert made[:, 0].tolist() == [3, 9]
    assert sorted(made.flatten().tolist()) == sorted(items.tolist())
    again = arranged_by_teacher(teacher, FEATURES, items, 2, Generator().manual_seed(0))
    assert torch.equal(made, again)


def test_an_arrangement_goes_on_as_its_teacher_would(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    items = torch.tensor([3, 13, 7, 15, 5, 16, 4, 14, 6, 17])  # two stretches of the cycle, out of order
    made = arranged_by_teacher(teacher, FEATURES, items, 2, Generator().manual_seed(0))
    assert made.tolist() == [[3, 4, 5, 6, 7], [13, 14, 15, 16, 17]]


def test_no_sequence_holds_an_item_twice_while_others_are_left(expert: ExpertTrajectory) -> None:
    fresh = build_recommender(16, SHAPE, Generator().manual_seed(0))  # likes most what it has just read
    items = torch.arange(N_ITEMS).repeat(3)
    made = arranged_by_teacher(
        fresh, FEATURES, items[torch.randperm(72, generator=Generator().manual_seed(1))], 9, Generator()
    )
    assert made.flatten().bincount(minlength=N_ITEMS).tolist() == [3] * N_ITEMS
    repeated = sum(8 - len(set(row)) for row in made.tolist())
    assert repeated <= 2  # the last places take what is left
    same = arranged_by_teacher(fresh, FEATURES, torch.zeros(6, dtype=torch.int64), 2, Generator())
    assert same.tolist() == [[0, 0, 0]] * 2


def test_one_sequence_of_one_item_is_arranged(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    assert arranged_by_teacher(teacher, FEATURES[:1], torch.tensor([0]), 1, Generator()).tolist() == [[0]]


EVEN = torch.ones(N_ITEMS, dtype=torch.int64)


def walk(teachers: list[SequentialRecommender], first: list[int], length: int, often: Tensor, balance: float) -> Tensor:
    return teacher_walk(teachers, FEATURES[: len(often)], torch.tensor(first), length, often, balance)


def test_a_walk_goes_where_its_teacher_finds_likeliest(expert: ExpertTrajectory) -> None:
    walked = walk([expert.load(expert.best, CPU)], [3, 20], 7, EVEN, 0.0)
    assert walked.tolist() == [[3, 4, 5, 6, 7, 8, 9], [20, 21, 22, 23, 0, 1, 2]]  # round the cycle


def test_a_walk_holds_no_item_twice_until_it_has_them_all(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    (walked,) = walk([teacher], [2], 7, EVEN[:5], 0.0).tolist()
    assert sorted(walked[:5]) == [0, 1, 2, 3, 4]
    assert len(walked) == 7
    assert walk([teacher], [4], 1, EVEN, 1.0).tolist() == [[4]]
    assert walk([teacher], [0], 3, EVEN[:1], 1.0).tolist() == [[0, 0, 0]]


def test_a_walk_with_a_balance_owes_each_item_its_share_of_the_log(expert: ExpertTrajectory) -> None:
    """Planted: eight items have ten times the events; with a large balance only what the set still owes counts."""
    teacher = expert.load(expert.best, CPU)
    often = torch.full((N_ITEMS,), 9)
    often[::3] = 99
    first = list(range(0, N_ITEMS, 2))
    walks = (walk([teacher], first, 5, often, balance) for balance in (0.0, 50.0))
    free, owed = (walked.flatten().bincount(minlength=N_ITEMS) for walked in walks)
    ideal = 60 * often / often.sum()
    assert float((owed - ideal).abs().sum()) < 0.6 * float((free - ideal).abs().sum())
    assert int(owed[::3].min()) > int(owed[often == 9].max())


def test_a_walk_of_several_teachers_is_the_literal_argmax_of_their_mean(expert: ExpertTrajectory) -> None:
    teachers = [expert.load(expert.best, CPU), build_recommender(16, SHAPE, Generator().manual_seed(0))]
    often, balance = torch.arange(N_ITEMS), 0.7
    expected = [[5], [11], [5]]
    for _ in range(4):
        prefixes = [list(row) for row in expected]
        for row, prefix in zip(expected, prefixes, strict=True):
            said = [teacher_log_labels([each], FEATURES, torch.tensor([prefix]))[0, -1] for each in teachers]
            held = [sum(other.count(item) for other in expected) for item in range(N_ITEMS)]
            score = (said[0] + said[1]) / 2 + balance * ((1 + often).log() - (1 + torch.tensor(held)).log())
            score[prefix] = -torch.inf
            row.append(int(score.argmax()))
    assert walk(teachers, [5, 11, 5], 5, often, balance).tolist() == expected


def test_a_walk_stops_between_two_positions(expert: ExpertTrajectory) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teacher_walk([expert.load(expert.best, CPU)], FEATURES, torch.tensor([1]), 3, EVEN, 1.0, stop)


def test_teacher_labels_of_a_reading_are_those_of_its_items(expert: ExpertTrajectory) -> None:
    teacher = expert.load(expert.best, CPU)
    items = torch.tensor([[3, 4, 5, 9], [8, 2, -1, -1], [5, 3, 9, 4], [7, 8, 9, -1]])
    made = with_teacher_labels(items, 2, [teacher], FEATURES, Form(2, 16, 16, 32), Generator())
    batch = made.batch(made.basis(FEATURES))
    assert made.shape == (2, 4)
    assert batch.targets[3, 3:].sum() == 0
    asked = teacher_log_labels([teacher], FEATURES, items)
    apart = (asked.exp() * (asked - batch.targets.clamp(min=1e-30).log())).sum(-1)
    assert float(apart[items >= 0].max()) < 0.6
    assert torch.equal(batch.targets[2].argmax(-1), asked[2].argmax(-1))


# before anything, in the 50 steps of its first queries, in three of the basis, in the blocks that follow
@pytest.mark.parametrize("after", [1, 30, 53, 56])
def test_fitting_labels_stops_where_it_is_asked_to(
    expert: ExpertTrajectory, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    steps = 0

    def stop() -> None:
        nonlocal steps
        steps += 1
        if steps == after:
            raise KeyboardInterrupt

    items = torch.randint(N_ITEMS, (16, 4), generator=Generator().manual_seed(0))  # four blocks
    teachers, form = [expert.load(expert.best, CPU)], Form(8, 16, 16, 32)
    with pytest.raises(KeyboardInterrupt):
        with_teacher_labels(items, 2, teachers, FEATURES, form, Generator(), fit=3, each_step=stop)
    assert steps == after


def test_labels_of_a_large_catalogue_are_the_same_on_any_number_of_cores(
    expert: ExpertTrajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(cores: str) -> Tensor:
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        many = FEATURES.repeat(180, 1)  # 4,320 items, so blocks are fitted on draws
        items = torch.randint(len(many), (12, 4), generator=Generator().manual_seed(0))
        draw, form = Generator().manual_seed(1), Form(6, 8, 8, 16)
        use_one_thread()
        return with_teacher_labels(items, 2, [expert.load(expert.best, CPU)], many, form, draw, fit=3).queries

    alone, together = found("1"), found("3")
    assert torch.equal(alone, together)
    assert torch.equal(alone, found("1"))


def test_readings_of_one_theme_are_gathered_and_none_is_lost() -> None:
    themes = torch.nn.functional.one_hot(torch.arange(N_ITEMS) // 8, 3).float()  # three shelves of eight items
    items = torch.tensor([[0, 1], [8, 9], [16, 17], [18, 19], [2, 3], [10, 11], [12, 20], [21, 22], [4, 5]])
    found = gathered_by_theme(items, 3, themes)
    assert torch.equal(found[:3], items[:3])
    assert found[3:6].tolist() == [[2, 3], [10, 11], [18, 19]]
    assert found[6:].tolist() == [[4, 5], [12, 20], [21, 22]]
    assert torch.equal(gathered_by_theme(items[:3], 3, themes), items[:3])
