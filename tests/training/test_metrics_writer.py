import io
import json
import resource
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from diffvs_jax.training.metrics_writer import MetricsWriter

RATE = 8000


def lines(workdir):
    return (workdir / "metrics.jsonl").read_text().splitlines()


def steps(workdir):
    return [json.loads(line)["step"] for line in lines(workdir)]


def events(workdir):
    """What TensorBoard itself reads of a run."""
    return EventAccumulator(str(workdir / "tensorboard")).Reload()


def write_steps(workdir, numbers, **settings):
    with MetricsWriter(workdir, **settings) as writer:
        for step in numbers:
            writer.scalars(step, {"loss": 1 / step})


def test_numbers_are_read_back(tmp_path):
    workdir = tmp_path / "new" / "run"
    with MetricsWriter(workdir) as writer:
        writer.scalars(2, {"loss": np.float32(0.25), "validation/csdr": 3})
        writer.scalars(4, {"loss": 0.125})
        assert len(lines(workdir)) == 2  # before it is closed
        assert [event.step for event in events(workdir).Scalars("loss")] == [2, 4]
    assert [json.loads(line) for line in lines(workdir)] == [
        {"step": 2, "loss": 0.25, "validation/csdr": 3.0},
        {"step": 4, "loss": 0.125},
    ]
    read = events(workdir)
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [(2, 0.25), (4, 0.125)]
    assert [(event.step, event.value) for event in read.Scalars("validation/csdr")] == [(2, 3.0)]


def test_numbers_that_json_lacks_are_null(tmp_path):
    with MetricsWriter(tmp_path) as writer:
        writer.scalars(1, {"a": float("nan"), "b": -np.inf, "c": 1.0})
    assert lines(tmp_path) == ['{"step": 1, "a": null, "b": null, "c": 1.0}']


def test_a_picture_is_read_back_pixel_by_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    with MetricsWriter(tmp_path) as writer:
        writer.image(7, "validation/song", pixels)
    (image,) = events(tmp_path).Images("validation/song")
    assert (image.step, image.height, image.width) == (7, 20, 30)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image.encoded_image_string))), pixels)


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_read_back_as_it_was_and_clipped_above_full_scale(tmp_path, channels, capsys):
    samples = np.random.default_rng(0).uniform(-1, 1, (500, channels)).astype(np.float32)
    samples[:3, 0] = (2.0, -3.0, np.nan)
    with MetricsWriter(tmp_path) as writer:
        writer.audio(7, "validation/song", samples, RATE)
    (audio,) = events(tmp_path).Audio("validation/song")
    read, rate = soundfile.read(io.BytesIO(audio.encoded_audio_string), always_2d=True)
    assert (audio.step, audio.sample_rate, rate, audio.length_frames) == (7, RATE, RATE, 500)
    samples[:3, 0] = (1.0, -1.0, 0.0)
    np.testing.assert_allclose(read, samples, atol=2**-15)
    assert capsys.readouterr().out == ""


def test_going_on_drops_what_came_after(tmp_path):
    write_steps(tmp_path, range(1, 8))
    write_steps(tmp_path, (4, 5, 6), last_step=3)
    write_steps(tmp_path, (6, 7), last_step=5)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6, 7]
    assert [event.step for event in events(tmp_path).Scalars("loss")] == [1, 2, 3, 4, 5, 6, 7]
    write_steps(tmp_path, [1])  # from the start
    assert steps(tmp_path) == [1]
    assert [event.step for event in events(tmp_path).Scalars("loss")] == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "tensorboard"]


def test_nothing_to_drop_leaves_the_file_alone(tmp_path):
    write_steps(tmp_path, (1, 2))
    before = (tmp_path / "metrics.jsonl").stat()
    write_steps(tmp_path, (), last_step=2)
    after = (tmp_path / "metrics.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "spoiled", ['{"step": 2, "lo', '{"step": 2', "\x00\x00", "[2]", '{"loss": 1}', '{"step": null}', "ÿ"]
)
def test_lines_that_are_no_points_are_dropped_wherever_they_are(tmp_path, spoiled):
    for place in (1, 2):
        write_steps(tmp_path, (1, 2))
        text = lines(tmp_path)
        text.insert(place, spoiled)
        (tmp_path / "metrics.jsonl").write_bytes("\n".join(text).encode("latin-1"))
        write_steps(tmp_path, [3], last_step=2)
        assert steps(tmp_path) == [1, 2, 3]


def test_a_process_that_is_not_to_write_writes_nothing(tmp_path):
    with MetricsWriter(tmp_path / "run", enabled=False) as writer:
        writer.scalars(1, {"loss": 1.0})
        writer.image(1, "a", np.zeros((2, 2, 3), np.uint8))
        writer.audio(1, "a", np.zeros((2, 1)), RATE)
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboardx_there_is_the_curve_and_a_hint(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "diffvs_jax.training.event_file", raising=False)
    log = []
    with MetricsWriter(tmp_path, log=log.append) as writer:
        writer.scalars(1, {"loss": 1.0})
        writer.image(1, "a", np.zeros((2, 2, 3), np.uint8))
        writer.audio(1, "a", np.zeros((2, 1)), RATE)
    assert steps(tmp_path) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert len(log) == 1 and "pip install tensorboardX" in log[0]


@pytest.fixture
def small_disk():
    """Files may not grow beyond 100 kB: what a full disk does to whoever writes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_is_named(tmp_path, small_disk):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    with pytest.raises(OSError, match=str(tmp_path)), MetricsWriter(tmp_path) as writer:
        writer.image(1, "noise", noise)
    with pytest.raises(OSError, match=str(tmp_path)), MetricsWriter(tmp_path) as writer:
        writer.scalars(1, {str(number): number for number in range(20_000)})
    write_steps(tmp_path, [1])  # half a line was left
    assert steps(tmp_path) == [1]
