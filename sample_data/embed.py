"""Embed the sample catalogue: items.csv → embeddings.safetensors (key "embeddings", [V, 384], half precision).

    python sample_data/embed.py

Needs foster[offline] (or a model hub). To be run again whenever items.csv changes: its text is what is embedded.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from foster.encoder import TextEncoder
from foster.formats import load_dataset


def main() -> None:
    folder = Path(__file__).resolve().parent
    texts = load_dataset(str(folder)).catalog.texts
    table = TextEncoder.named("minilm").encode(texts, torch.device("cpu"))
    save_file({"embeddings": table.half()}, folder / "embeddings.safetensors")
    print(f"{table.shape[0]} texts, {table.shape[1]} numbers each")


if __name__ == "__main__":
    main()
