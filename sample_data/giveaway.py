"""Is the sample too easy? Test Recall@10 of simple recommenders beside a model trained on everything.

    python sample_data/giveaway.py [--folder DIR] [--length 20] [--seeds 3]

Full ranking over all books, history masked, leave-one-out; the full-data model is stopped by patience on validation
Recall@10. Nothing in here distils: the table is a property of the data alone. About ten minutes a seed on one
shared CPU core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foster.encoder import load_embeddings, public_features
from foster.evaluate import Part, Protocol, Scorer, bigram_scorer, model_scorer, popular_scorer, zero_shot_scorer
from foster.formats import load_dataset
from foster.interactions import Interactions
from foster.metrics import recall_at
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender
from foster.training import RealWindows, Recipe, Trainer

WINDOW = 50
CPU = torch.device("cpu")
LIMITS = {"bigram": 70, "popular": 40, "zero-shot, mean": 60, "zero-shot, last": 60, "untrained": 40, "random": 50}


def recall(protocol: Protocol, scorer: Scorer, part: Part) -> float:
    return recall_at(protocol.ranks(scorer, part), 10)


def new_model(features: Tensor, seed: int, dropout: float) -> SequentialRecommender:
    config = RecommenderConfig(max_length=WINDOW, dropout=dropout)
    return build_recommender(features.shape[1], config, torch.Generator().manual_seed(seed))


def train_full(features: Tensor, protocol: Protocol, seed: int, patience: int = 5) -> SequentialRecommender:
    """Trained on all users, 2 epochs between validations; the best validated weights are kept."""
    model = new_model(features, seed, dropout=0.2)
    recipe = Recipe(learning_rate=2e-3, weight_decay=0.01, dropout=0.2, warmup=50, decay="constant")
    trainer = Trainer(model, features, recipe, torch.Generator().manual_seed(seed))
    order = torch.Generator().manual_seed(seed)
    windows = RealWindows(protocol.split.train, WINDOW, CPU)
    best, kept, waited = -1.0, model.state_dict(), 0
    while waited < patience:
        for _ in range(2):
            for users in torch.randperm(len(windows), generator=order).split(128):
                trainer.step(windows.batch(users, order))
        now = recall(protocol, model_scorer(model, features), "valid")
        waited += 1
        if now > best:
            best, waited = now, 0
            kept = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model


def train_random(features: Tensor, protocol: Protocol, sequences: int, length: int, seed: int) -> SequentialRecommender:
    """Trained on the last `length` events of a few random users; steps chosen on validation, as kindly as can be."""
    train = protocol.split.train
    long_enough = np.flatnonzero(train.lengths >= length)
    chosen = np.random.default_rng(seed).choice(long_enough, sequences, replace=False)
    items = np.concatenate([train.sequence(int(user))[-length:] for user in chosen])
    log = Interactions(items, np.arange(sequences + 1) * length, tuple(map(str, range(sequences))))
    model = new_model(features, 100 + seed, dropout=0.1)
    trainer = Trainer(model, features, Recipe(steps=300, dropout=0.1), torch.Generator().manual_seed(seed))
    order = torch.Generator().manual_seed(seed)
    windows = RealWindows(log, WINDOW, CPU)
    best, kept = -1.0, model.state_dict()
    for step in range(1, 301):
        trainer.step(windows.draw(sequences, order))
        if step % 20 == 0:
            now = recall(protocol, model_scorer(model, features), "valid")
            if now > best:
                best, kept = now, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    return model


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

    protocol = Protocol(split, len(data.catalog))
    rules = {
        "popular": popular_scorer(split, len(data.catalog)),
        "bigram": bigram_scorer(split, len(data.catalog)),
        "zero-shot, mean": zero_shot_scorer(features, recent=1_000),
        "zero-shot, last": zero_shot_scorer(features, recent=1),
    }
    found = {name: [recall(protocol, scorer, "test")] for name, scorer in rules.items()}
    for seed in range(arguments.seeds):
        models = {
            "full": train_full(features, protocol, seed),
            "untrained": new_model(features, seed, dropout=0.0),
            "random": train_random(features, protocol, 20, arguments.length, seed),
        }
        for name, model in models.items():
            found.setdefault(name, []).append(recall(protocol, model_scorer(model, features), "test"))
    full = float(np.mean(found["full"]))
    print("| | test Recall@10 | of full | limit |\n|---|---:|---:|---:|")
    for name, values in found.items():
        limit = f"{LIMITS[name]} %" if name in LIMITS else ""
        print(f"| {name} | {np.mean(values):.3f} | {100 * np.mean(values) / full:.0f} % | {limit} |")


if __name__ == "__main__":
    main()
