"""Shows scores: ``python -m diffvs_jax.report SCORES [--compare=OTHER_SCORES] [--output=FILE]``.

SCORES is a folder that evaluate wrote. ``SCORES/report.html`` is one file that opens from disk, with nothing beside
it: tables, plots, and the worst and the best seconds to listen to. ``--compare`` holds it against another folder of
scores, track by track.
"""

from pathlib import Path

from absl import flags

from diffvs_jax import cli
from diffvs_jax.errors import InputError
from diffvs_jax.evaluation.report.page import write_report

_COMPARE = flags.DEFINE_string("compare", None, "Another folder of scores, to be held against SCORES.")
_OUTPUT = flags.DEFINE_string("output", None, "The HTML file; SCORES/report.html without.")


def main(arguments: list[str]) -> None:
    """Writes the report."""
    if len(arguments) != 1:
        raise InputError(f"{len(arguments)} folders of scores; name one, and another with --compare=FOLDER")
    folders = [Path(path) for path in (arguments[0], _COMPARE.value) if path]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give one that evaluate's --output named")
    output = Path(_OUTPUT.value) if _OUTPUT.value else None
    if output and output.is_dir():
        raise InputError(f"--output={output}: is a folder; name a file in it, such as {output / 'report.html'}")
    cli.say(str(write_report(folders[0], folders[1] if _COMPARE.value else None, output)))


if __name__ == "__main__":
    cli.run(main)
