"""A text encoder of three layers and sixteen numbers a text, made on the spot: BERT's form, random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from foster.encoder import TextEncoder

LAYERS, WIDTH = 3, 16
WORDS = ("book", *map(str, range(40)), "of", "the", "long")


def tiny_encoder(folder: Path) -> TextEncoder:
    """Of a folder as the hub has them."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    BertTokenizer(str(vocabulary)).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=5 + len(WORDS),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertModel(shape)
        with torch.no_grad():  # BERT's own start is so small that all texts are alike
            for weight in model.parameters():
                if weight.ndim == 2:
                    weight.mul_(10)
        model.save_pretrained(folder, safe_serialization=True)
    return TextEncoder.named(str(folder))
