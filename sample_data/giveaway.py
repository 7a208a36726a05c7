"""Is the sample too easy? Test Recall@10 of simple recommenders beside a model trained on everything.

    python sample_data/giveaway.py [--folder DIR] [--length 20] [--seeds 3]

Full ranking over all books, history masked, leave-one-out; the full-data model is stopped by patience on validation
Recall@10. Nothing in here distils: the table is a property of the data alone. About five minutes on one CPU core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foster.encoder import load_embeddings, public_features
from foster.formats import load_dataset
from foster.interactions import Interactions, Split
from foster.metrics import ranks_of, recall_at
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.training import RealWindows, Recipe, Trainer

WINDOW = 50
CPU = torch.device("cpu")
LIMITS = {"bigram": 70, "popular": 40, "zero-shot, mean": 60, "zero-shot, last": 60, "untrained": 40, "random": 50}


def recall(scores: np.ndarray, split: Split, test: bool) -> float:
    """Recall@10 of scores [n_users, V]; test: of the last item, else of the second last."""
    scores = scores.astype(np.float64)
    for user in range(split.train.n_users):
        scores[user, history(split, user, test)] = -np.inf
    return recall_at(ranks_of(scores, split.test if test else split.valid), 10)


def history(split: Split, user: int, test: bool) -> np.ndarray:
    before = split.train.sequence(user)
    return np.append(before, split.valid[user]) if test else before


@torch.inference_mode()
def model_scores(model: SequentialRecommender, features: Tensor, split: Split, test: bool) -> np.ndarray:
    """Next-item logits [n_users, V] after each user's last 50 books."""
    table = model.item_table(features)
    rows = [history(split, user, test)[-WINDOW:] for user in range(split.train.n_users)]
    inputs = torch.zeros(len(rows), WINDOW, table.shape[1])
    for user, row in enumerate(rows):
        inputs[user, : len(row)] = table[torch.from_numpy(row.astype(np.int64))]
    last = torch.tensor([len(row) - 1 for row in rows])
    states = torch.cat([model(block) for block in inputs.split(256)])
    return model.logits(states[torch.arange(len(rows)), last], table).numpy()


def new_model(features: Tensor, seed: int, dropout: float) -> SequentialRecommender:
    config = RecommenderConfig(max_length=WINDOW, dropout=dropout)
    return build_recommender(features.shape[1], config, torch.Generator().manual_seed(seed))


def train_full(features: Tensor, split: Split, seed: int, patience: int = 5) -> SequentialRecommender:
    """Trained on all users, 2 epochs between validations; the best validated weights are kept."""
    model = new_model(features, seed, dropout=0.2)
    recipe = Recipe(learning_rate=2e-3, weight_decay=0.01, dropout=0.2, warmup=50, decay="constant")
    trainer = Trainer(model, features, recipe, torch.Generator().manual_seed(seed))
    order = torch.Generator().manual_seed(seed)
    windows = RealWindows(split.train, WINDOW, CPU)
    best, kept, waited = -1.0, model.state_dict(), 0
    while waited < patience:
        for _ in range(2):
            for batch in windows.epoch(128, order):
                trainer.step(batch)
        now = recall(model_scores(model, features, split, test=False), split, test=False)
        waited += 1
        if now > best:
            best, waited = now, 0
            kept = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model


def train_random(features: Tensor, split: Split, sequences: int, length: int, seed: int) -> SequentialRecommender:
    """Trained on the last `length` events of a few random users; steps chosen on validation, as kindly as can be."""
    lengths = split.train.lengths
    long_enough = np.flatnonzero(lengths >= length)
    chosen = np.random.default_rng(seed).choice(long_enough, sequences, replace=False)
    items = np.concatenate([split.train.sequence(int(user))[-length:] for user in chosen])
    log = Interactions(items, np.arange(sequences + 1) * length, tuple(map(str, range(sequences))))
    model = new_model(features, 100 + seed, dropout=0.1)
    trainer = Trainer(model, features, Recipe(steps=300, dropout=0.1), torch.Generator().manual_seed(seed))
    order = torch.Generator().manual_seed(seed)
    windows = RealWindows(log, WINDOW, CPU)
    best, kept = -1.0, model.state_dict()
    for step in range(1, 301):
        trainer.step(windows.draw(sequences, order))
        if step % 20 == 0:
            now = recall(model_scores(model, features, split, test=False), split, test=False)
            if now > best:
                best, kept = now, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model


def simple_scores(features: Tensor, split: Split) -> dict[str, np.ndarray]:
    """Scores [n_users, V] of the rules that are not trained."""
    train, v = split.train, len(features)
    counts = np.bincount(train.items, minlength=v).astype(np.float64)
    follows = np.zeros((v, v))
    same_user = train.users[1:] == train.users[:-1]
    np.add.at(follows, (train.items[:-1][same_user], train.items[1:][same_user]), 1)
    text = features.numpy()
    means = np.stack([text[history(split, user, test=True)].mean(0) for user in range(train.n_users)])
    return {
        "popular": np.tile(counts, (train.n_users, 1)),
        # popularity settles what never followed
        "bigram": follows[split.valid] + counts / (10 * counts.max()),
        "zero-shot, mean": means @ text.T,
        "zero-shot, last": text[split.valid] @ text.T,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Print how far simple recommenders get on the sample.")
    parser.add_argument("--folder", default=str(Path(__file__).resolve().parent))
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset(arguments.folder)
    split = data.interactions.leave_one_out()
    embeddings = load_embeddings(Path(arguments.folder) / "embeddings.safetensors", len(data.catalog))
    features = public_features(embeddings)

    found = {name: [recall(scores, split, test=True)] for name, scores in simple_scores(features, split).items()}
    for seed in range(arguments.seeds):
        models = {
            "full": train_full(features, split, seed),
            "untrained": new_model(features, seed, dropout=0.0),
            "random": train_random(features, split, 20, arguments.length, seed),
        }
        for name, model in models.items():
            found.setdefault(name, []).append(recall(model_scores(model, features, split, test=True), split, test=True))
    full = float(np.mean(found["full"]))
    print(f"{'':16} {'Recall@10':>9} {'of full':>8} {'limit':>6}")
    for name, values in found.items():
        limit = f"{LIMITS[name]} %" if name in LIMITS else ""
        print(f"{name:16} {np.mean(values):9.4f} {100 * np.mean(values) / full:6.1f} % {limit:>6}")


if __name__ == "__main__":
    main()
