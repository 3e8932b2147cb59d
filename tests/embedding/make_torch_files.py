"""How the files in ``assets`` were made, with PyTorch 2.13: ``python -m tests.embedding.make_torch_files``."""

import collections
import json
from pathlib import Path

import torch

from tests.embedding import tiny

ASSETS = Path(__file__).parent / "assets"


def state_dict(tensors):
    """As a module's: with metadata, which is saved, too."""
    state = collections.OrderedDict(tensors)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def mixed():
    tensors = {name: torch.tensor(values) for name, values in tiny.mixed().items()}
    whole = tensors["float32"]  # whose storage two others share
    return tensors | {"bfloat16": whole.bfloat16(), "transposed": whole.t(), "part": whole[1:, ::2]}


def main():
    (ASSETS / "tiny").mkdir(parents=True, exist_ok=True)
    torch.save(state_dict(mixed()), ASSETS / "mixed.bin")
    weights = {f"hubert.{name}": torch.tensor(values) for name, values in tiny.arrays().items()}
    torch.save(state_dict(weights), ASSETS / "tiny" / "pytorch_model.bin")
    (ASSETS / "tiny" / "config.json").write_text(json.dumps(tiny.CONFIG, indent=2) + "\n")


if __name__ == "__main__":
    main()
