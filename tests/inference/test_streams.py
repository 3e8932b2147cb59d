"""Streams, libraries, threads, devices and memory: the same stems whichever way the chunks go."""

import threading
import tracemalloc

import numpy as np
import pytest

from diffvs_jax.errors import InputError
from diffvs_jax.inference.track import Track
from tests.helpers import RATE, random_separator
from tests.inference.songs import music
from tests.nano import get_config


def small_config(**separation):
    """Three blocks: compiles in a second."""
    config = get_config()
    config.model.channel_mult = (1,)
    config.separation.update(separation)
    return config


@pytest.fixture(scope="module", params=["joint", "alone"])
def separator(request):
    return random_separator(small_config(joint=request.param == "joint"))


def blocks_of(audio, size):
    return (audio[start : start + size] for start in range(0, len(audio), size))


def join(blocks):
    return np.concatenate([block["vocals"] for block in blocks])


def assert_same(result, expected):
    np.testing.assert_allclose(result, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 2), (11_025, 3)])
@pytest.mark.parametrize("size", [1, 700, 10_000])
def test_a_stream_gives_what_the_array_does(separator, size, rate, channels):
    audio = music(1500 if size == 1 else 5000, channels)
    blocks = list(separator.stream(blocks_of(audio, size), rate))
    assert len(blocks) > 1
    np.testing.assert_array_equal(join(blocks), separator(audio, rate)["vocals"])
    np.testing.assert_allclose(sum(np.concatenate([b[k] for b in blocks]) for k in blocks[0]), audio, atol=1e-5)


def test_a_stream_asks_for_no_more_than_a_few_calls_ahead(separator):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 512
            yield music(512)

    stream = separator.stream(endless(), RATE)
    done = sum(len(next(stream)["vocals"]) for _ in range(100))
    stream.close()
    assert read - done < 8 * 16 * 512  # six calls of sixteen chunks at most


def test_memory_does_not_grow_with_the_track(separator):
    def peak(seconds):
        blocks = (music(RATE) for _ in range(seconds))
        tracemalloc.start()
        for _ in separator.stream(blocks, RATE):
            pass
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    peak(4)
    short, long = peak(6)[0], peak(18)[0]
    assert long < 1.5 * short, (short, long)


def songs():
    """Names, audio and rates."""
    yield from [("long", music(9000), RATE), ("mono", music(2000, 1, seed=1), RATE), ("tiny", music(3, seed=2), 44_100)]
    yield from [("quiet", np.zeros((3000, 2), np.float32), RATE), ("wide", music(3000, 5, seed=3), 6000)]


def test_a_library_is_separated_as_each_song_alone(separator):
    tracks = (Track(blocks_of(audio, 999), rate, name) for name, audio, rate in songs())
    results = {track.name: join(stems) for track, stems in separator.separate_tracks(tracks)}
    assert list(results) == [name for name, _, _ in songs()]
    for name, audio, rate in songs():
        assert results[name].shape == audio.shape
        assert_same(results[name], separator(audio, rate)["vocals"])


def test_short_songs_share_calls(separator, monkeypatch):
    used = []
    run = separator._solver.run
    monkeypatch.setattr(separator._solver, "run", lambda chunks, *rest: used.append(len(chunks)) or run(chunks, *rest))
    tracks = [Track([music(700, seed=seed)], RATE, seed) for seed in range(20)]  # a chunk each
    for _, stems in separator.separate_tracks(tracks):
        join(stems)
    slots = separator._solver.slots
    assert used == [slots] * (20 // slots) + [20 % slots] * (20 % slots > 0)


def test_what_is_wrong_with_one_track_leaves_the_others(separator):
    def breaks():
        yield music(3000)
        raise InputError("the file ends here")

    nan = music(3000)
    nan[2500] = np.nan
    bad = {"breaks": breaks(), "nan": [music(999), nan], "empty": [], "wide": [music(9), music(9, 1)]}
    good = music(2500, seed=7)
    tracks = [Track(blocks, RATE, name) for name, blocks in bad.items()]
    tracks = [track for bad_one in tracks for track in (Track([good], RATE, "good"), bad_one)]
    errors = {}
    for track, stems in separator.separate_tracks(tracks):
        if track.name == "good":
            assert_same(join(stems), separator(good, RATE)["vocals"])
            continue
        with pytest.raises(InputError) as error:
            join(stems)
        errors[track.name] = str(error.value)
    assert errors == {
        "breaks": "the file ends here",
        "nan": "audio holds 2 NaN or infinite samples, the first at sample 3499",
        "empty": "audio has no samples; nothing to separate",
        "wide": "a block has 1 channels, those before it have 2",
    }


def test_stems_that_are_asked_for_too_late_are_refused(separator):
    tracks = [Track([music(9000)], RATE), Track([music(700)], RATE)]
    results = separator.separate_tracks(tracks)
    _, first = next(results)
    next(first)
    next(results)
    with pytest.raises(InputError, match="must be taken before the next track"):
        join(first)


def test_blocks_may_come_in_one_buffer_that_is_filled_again(separator):
    def refilled():
        buffer = np.zeros((512, 2), np.float32)
        for start in range(0, 5120, 512):
            buffer[:] = audio[start : start + 512]
            yield buffer

    audio = music(5120)
    assert_same(join(separator.stream(refilled(), RATE)), separator(audio, RATE)["vocals"])


@pytest.mark.parametrize("together", [4, 24])
def test_neither_other_songs_nor_the_batch_size_change_a_song(together):
    """With silences in it, so that its runs are short and several of them share a call."""
    song = music(512 * 40)
    for start in range(4000, len(song), 9000):
        song[start : start + 5000] = 0
    config = small_config(joint_chunks=together, batch_size=1)
    alone = random_separator(config)(song, RATE)["vocals"]
    for batch_size in (1, 16):
        other = random_separator(small_config(joint_chunks=together, batch_size=batch_size))
        tracks = [Track([music(1500)], RATE, "other"), Track([song], RATE, "song")]
        results = {track.name: join(stems) for track, stems in other.separate_tracks(tracks)}
        np.testing.assert_allclose(results["song"], alone, atol=1e-5 * np.abs(alone).max())


@pytest.mark.parametrize(
    "sigmas", [[], "x", [np.nan, 0], [3, 1, 0, 0], [1, 2, 0], [3, 2, 1], [1.0], [0.0], [[1, 0]], [1e99, 1, 0]], ids=str
)
def test_noise_levels_that_cannot_be_are_refused(separator, sigmas):
    with pytest.raises(InputError, match="give at least two noise levels, falling to zero"):
        separator(music(700), RATE, sigmas=sigmas)


def test_a_track_that_nobody_wants_is_left_and_read_no_further(separator):
    read = []

    def endless():
        while True:
            read.append(None)
            yield music(512)

    good = music(2500)
    results = []
    for track, stems in separator.separate_tracks([Track(endless(), RATE, "endless"), Track([good], RATE, "good")]):
        if track.name == "endless":
            next(stems)
        else:
            results.append(join(stems))
    assert_same(results[0], separator(good, RATE)["vocals"])
    assert len(read) < 200


def test_an_error_of_the_tracks_themselves_comes_out(separator):
    def tracks():
        yield Track([music(500)], RATE)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk is gone"):
        for _, stems in separator.separate_tracks(tracks()):
            join(stems)


def test_threads_share_one_separator(separator):
    inputs = [music(2000 + 500 * number, seed=number) for number in range(4)]
    expected = [separator(audio, RATE)["vocals"] for audio in inputs]
    results = [None] * len(inputs)

    def work(number):
        results[number] = separator(inputs[number], RATE)["vocals"]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, own in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, own)


def test_a_long_track_cut_into_several_calls_is_nearly_as_if_solved_at_once():
    audio = music(512 * 30)
    at_once = random_separator(small_config(joint_chunks=32))(audio, RATE)["vocals"]
    cut = random_separator(small_config(joint_chunks=8, context_chunks=1))(audio, RATE)["vocals"]
    more = random_separator(small_config(joint_chunks=16, context_chunks=4))(audio, RATE)["vocals"]
    errors = [np.std(estimate - at_once) / np.std(at_once) for estimate in (cut, more)]
    assert errors[1] < errors[0] < 0.5
