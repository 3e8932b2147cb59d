"""Runs commands in one process, which starts JAX once: a test sends arguments, line by line, as JSON.

Every line ``["separate", "song.wav", ...]`` runs ``python -m diffvs_jax.separate song.wav ...`` and is
answered by one line: ``{"code": exit code, "out": standard output, "err": standard error}``.
"""

import contextlib
import io
import json
import runpy
import sys
import traceback

from absl import app, flags


def run(command: str, *arguments: str) -> dict:
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [command, *arguments]
    code = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(f"diffvs_jax.{command}", run_name="__main__")
        except SystemExit as leaving:
            code = leaving.code
        except BaseException:
            traceback.print_exc()
            code = 1
    for flag in list(flags.FLAGS.flags_by_module_dict().get(command, [])):  # every command defines its own
        delattr(flags.FLAGS, flag.name)
    for name in [name for name in flags.FLAGS if name.startswith("config.")]:
        delattr(flags.FLAGS, name)
    return {"code": code or 0, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    app.define_help_flags()
    answers = sys.stdout
    for line in sys.stdin:
        print(json.dumps(run(*json.loads(line))), file=answers, flush=True)
