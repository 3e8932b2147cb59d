import numpy as np

from diffvs_jax.metrics import bss_eval
from diffvs_jax.metrics.sdr import framewise_sdr
from tests.metrics import benchmark


def test_the_benchmark_says_how_many_times_as_long_museval_takes(monkeypatch):
    def museval(references, estimates, rate):  # its filters take seconds
        return bss_eval.BssEval(*[np.asarray(framewise_sdr(references, estimates, rate)) + 0.5] * 4)

    monkeypatch.setattr(benchmark, "museval_frames", museval)
    header, _, theirs, *ours = benchmark.compare(3.0, 2000, 1).splitlines()
    assert header.split()[-3:] == ["SDR", "differs,", "dB"]
    assert theirs.startswith("museval") and len(ours) == 4
    for line in ours:
        compiling, seconds, ratio, off = map(float, line.split()[-4:])
        assert compiling >= 0 and seconds > 0 and ratio >= 0 and off == 0.5
