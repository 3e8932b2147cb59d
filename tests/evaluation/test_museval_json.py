"""What museval itself makes of our files, in a process where it finds neither musdb nor ffmpeg."""

import json
import subprocess
import sys

import numpy as np
import pytest

from diffvs_jax.evaluation.museval_json import save_museval

MUSEVAL = """
import json, sys, types
sys.modules["musdb"] = types.ModuleType("musdb")  # it wants ffmpeg
from museval.aggregate import EvalStore, MethodStore, TrackStore
folder, = sys.argv[1:]
results = EvalStore()
results.add_eval_dir(folder)
methods = MethodStore()
methods.add_eval_dir(folder)
own = TrackStore("own")
own.add_target("vocals", {name: [1.0, float("nan"), 2.5, float("inf")] for name in ("SDR", "SIR", "SAR", "ISR")})
own.validate()
theirs = own.scores["targets"][0]["frames"]
print(json.dumps({
    "frames": results.agg_frames_scores().dropna().reset_index().values.tolist(),
    "tracks": results.agg_frames_tracks_scores().dropna().reset_index().values.tolist(),
    "methods": sorted(set(methods.df["method"])),
    "text": repr(results),
    "keys": [sorted(own.scores), sorted(theirs[0]), sorted(theirs[0]["metrics"])],
    "values": [float(frame["metrics"]["SDR"]) for frame in theirs],
    "times": [[frame["time"], frame["duration"]] for frame in theirs],
}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Files of two tracks, and what museval reads in them."""
    folder = tmp_path_factory.mktemp("scores") / "seed_0"
    stems = ("vocals", "instrumental")
    for track, offset in (("A - song", 0.0), ("B/another", 10.0)):
        sdr = np.array([1.0, np.nan, 2.5, np.inf]) + offset
        frames = {"sdr_vocals": sdr, "sdr_instrumental": sdr + 1, "sir_vocals": sdr * 2, "lsd_vocals": sdr}
        save_museval(folder / "test" / f"{track}.json", stems, frames)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MUSEVAL, str(folder)], capture_output=True, text=True, check=False
    )
    if "No module named 'museval'" in done.stderr:
        pytest.skip("museval is not installed")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_museval_aggregates_our_files(read):
    _, museval = read
    expected = {("A - song", "vocals", "SDR"): 1.75, ("another", "vocals", "SDR"): 11.75}
    found = {tuple(row[:3]): row[3] for row in museval["frames"]}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value)
    assert found["A - song", "accompaniment", "SDR"] == pytest.approx(2.75)
    assert found["A - song", "vocals", "SIR"] == pytest.approx(3.5)
    assert {tuple(row[:2]): row[2] for row in museval["tracks"]}["vocals", "SDR"] == pytest.approx(6.75)
    assert museval["methods"] == ["seed_0"]
    assert "vocals" in museval["text"] and "SDR:   6.750" in museval["text"]


def test_a_file_has_the_form_of_musevals_own(read):
    folder, museval = read
    content = json.loads((folder / "test" / "A - song.json").read_text())
    frames = content["targets"][0]["frames"]
    assert [sorted(content), sorted(frames[0]), sorted(frames[0]["metrics"])] == museval["keys"]
    np.testing.assert_array_equal([frame["metrics"]["SDR"] for frame in frames], museval["values"])
    assert [[frame["time"], frame["duration"]] for frame in frames] == museval["times"]
    assert np.isnan(frames[0]["metrics"]["ISR"])  # not computed
