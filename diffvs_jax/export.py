"""Exports a model: ``python -m diffvs_jax.export --checkpoint=DIR --output=DIR``.

Writes the averaged parameters, the config and the band statistics, and nothing that only
training needs. ``separate`` and ``evaluate`` take the folder as ``--checkpoint``.
"""

from absl import flags

from diffvs_jax import cli
from diffvs_jax.model import weights

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A training run's workdir, or one of its steps.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; it must not exist yet.", required=True)


def main(arguments: list[str]) -> None:
    """Reads the newest checkpoint and writes the model alone."""
    cli.no_arguments(arguments)
    model = weights.load(_CHECKPOINT.value)
    weights.export(_OUTPUT.value, model)
    cli.say(f"{_OUTPUT.value}: step {model.step}, targets {', '.join(model.config.data.targets)}")


if __name__ == "__main__":
    cli.run(main)
