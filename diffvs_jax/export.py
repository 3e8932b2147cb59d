"""Exports a model: ``python -m diffvs_jax.export --checkpoint=DIR --output=DIR``.

Writes what separation needs and nothing that only training does, in up to three formats, and a
``README.md`` that says what the model is. ``separate`` and ``evaluate`` take the folder as
``--checkpoint``; the ``jax`` format runs without this package.
"""

from absl import flags

from diffvs_jax import cli
from diffvs_jax.inference.export_folder import FORMATS, write_export
from diffvs_jax.inference.model_card import Choices, recorded_scores
from diffvs_jax.model import tensor_file, weights

_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "A training run's workdir, or one of its steps.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; it must not exist yet.", required=True)
_FORMATS = flags.DEFINE_list("formats", list(FORMATS), f"What to write: some of {', '.join(FORMATS)}.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", tensor_file.DTYPES, "Type of parameters in the safetensors file.")
_LICENSE = flags.DEFINE_string("license", "unknown", "The weights' licence, such as cc-by-nc-4.0, for the model card.")
_SET = flags.DEFINE_multi_string("set", [], "Another setting than the model's own: --set=sampler.num_steps=4.")


def main(arguments: list[str]) -> None:
    """Reads the newest checkpoint and writes the model alone."""
    cli.no_arguments(arguments)
    folder = weights.find(_CHECKPOINT.value).absolute()
    model = weights.load(folder)
    cli.change_settings(model.config, _SET.value)
    # Of other settings nothing was scored.
    scores = {} if _SET.value else recorded_scores(folder, model.step) or model.scores
    choices = Choices(_FORMATS.value, _DTYPE.value, _LICENSE.value, _SET.value)
    write_export(_OUTPUT.value, model._replace(scores=scores), choices)
    cli.say(f"{_OUTPUT.value}: step {model.step}, targets {', '.join(model.config.data.targets)}")


if __name__ == "__main__":
    cli.run(main)
