import re
import weakref

import jax
import numpy as np
import pytest

from diffvs_jax.audio.files import resample
from diffvs_jax.embedding import encoder
from diffvs_jax.embedding.encoder import Embedder, normalise
from diffvs_jax.embedding.hubert import Hubert
from diffvs_jax.embedding.mse import embedding_mse
from diffvs_jax.embedding.published import Published, to_params
from diffvs_jax.embedding.settings import HubertSettings
from diffvs_jax.errors import InputError
from tests.embedding import tiny

RATE = tiny.CONFIG["sample_rate"]
CHUNK = 20  # frames
HOP, FIELD = 8, 13  # samples
TOLERANCE = 2e-6


def published(layers):
    settings = HubertSettings.from_config(tiny.CONFIG | {"num_hidden_layers": layers})
    return Published("tiny", settings, to_params(tiny.arrays(layers), settings), RATE)


@pytest.fixture(scope="module")
def embedder():
    """Of the first of two layers."""
    return Embedder(published(2), layer=1, chunk_seconds=samples(CHUNK) / RATE, batch_size=2)


@pytest.fixture(scope="module")
def plain():
    """The network's states of a whole waveform at its only layer, without padding, chunks or batches."""
    own = published(1)

    @jax.jit
    def states(params, waveform):
        return Hubert(own.settings).apply({"params": params}, waveform[None], np.full(1, len(waveform))).last[0]

    return lambda waveform: np.asarray(states(own.params, normalise(waveform)))


def samples(frames):
    return (frames - 1) * HOP + FIELD


def noise(num_samples, channels=1):
    return np.random.default_rng(num_samples).standard_normal((num_samples, channels)).astype(np.float32) + 0.3


def test_a_short_track_is_what_the_network_makes_of_it_alone(embedder, plain):
    """Though the program takes a whole chunk: its padding is masked out of every mean, and rounding alone is left."""
    audio = noise(samples(7) + 3)
    (block,) = embedder(audio, RATE)
    assert block.shape == (7, 8) and block.dtype == np.float32
    np.testing.assert_allclose(block, plain(audio[:, 0]), atol=TOLERANCE)


def test_padding_is_masked_in_the_other_variant():
    settings = HubertSettings.from_config(tiny.CONFIG | {"feat_extract_norm": "layer", "do_stable_layer_norm": True})
    norm = {f"feature_extractor.conv_layers.1.layer_norm.{leaf}": np.ones(4) for leaf in ("weight", "bias")}
    params = to_params(tiny.arrays() | norm, settings)
    alone, whole = noise(samples(5))[:, 0], noise(samples(9))[:, 0]
    both = np.stack([np.pad(alone, (0, len(whole) - len(alone))), whole])
    run = jax.jit(lambda waveforms, counts: Hubert(settings).apply({"params": params}, waveforms, counts).last)
    padded = run(both, np.array([len(alone), len(whole)]))
    np.testing.assert_allclose(padded[0, :5], run(alone[None], np.array([len(alone)]))[0], atol=TOLERANCE)


def test_chunks_follow_each_other_and_the_last_ends_with_the_track(embedder, plain):
    frames = 2 * CHUNK + 7
    audio = noise(samples(frames) + HOP - 1)
    blocks = list(embedder(audio, RATE))
    assert [len(block) for block in blocks] == [CHUNK, CHUNK, 7]
    starts = [0, CHUNK, frames - CHUNK]
    for block, start in zip(blocks, starts, strict=True):
        chunk = audio[start * HOP :][: samples(CHUNK), 0]
        np.testing.assert_allclose(block, plain(chunk)[-len(block) :], atol=TOLERANCE)


def test_every_frame_counts_once():
    for size in range(1, 6):
        for frames in range(20):
            counted = []
            for first, seen in encoder.chunks(frames, size):
                assert first == 0 or first + size <= frames
                counted += range(first + seen, min(first + size, frames))
            assert counted == list(range(frames))


def test_one_program_for_all_lengths(embedder):
    list(embedder(noise(samples(3)), RATE))
    compiled = []

    def count(event, seconds, **_):
        compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        for frames in (1, 4, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 2):
            assert sum(map(len, embedder(noise(samples(frames)), RATE))) == frames
        assert compiled == []
        jax.jit(lambda x: x + frames)(1.0)
        assert compiled  # or the line above would hold whatever is compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


def test_chunks_are_made_as_they_are_asked_for(embedder, monkeypatch):
    """So neither a device nor the host ever holds the states of a whole track."""
    program, calls = embedder._program, []
    monkeypatch.setattr(embedder, "_program", lambda *inputs: calls.append(inputs[1].shape) or program(*inputs))
    audio = noise(samples(9 * CHUNK))
    blocks = embedder(audio, RATE)
    made, batches = [], []
    for block in blocks:
        made.append(len(calls))
        assert block.shape == (CHUNK, 8)
        batches.append(weakref.ref(block.base))
        assert len({id(batch()) for batch in batches if batch() is not None}) <= 2
    assert made == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert set(calls) == {(2, samples(CHUNK))}


def test_channels_are_averaged_and_resampled(embedder):
    audio = noise(3000, channels=2)
    got = np.concatenate(list(embedder(audio, 2 * RATE)))
    mono = resample(audio.mean(axis=1, keepdims=True), 2 * RATE, RATE)
    np.testing.assert_allclose(got, np.concatenate(list(embedder(mono, RATE))), atol=TOLERANCE)
    assert len(got) == (1500 - FIELD) // HOP + 1


def test_loudness_does_not_matter_and_silence_is_finite(embedder):
    audio = noise(samples(CHUNK))
    (block,) = embedder(audio, RATE)
    (quiet,) = embedder(0.01 * audio - 0.2, RATE)
    np.testing.assert_allclose(quiet, block, atol=2e-3)  # 1e-7 beside a variance of 1e-4
    assert np.isfinite(next(iter(embedder(0 * audio, RATE)))).all()


def test_a_track_without_a_frame(embedder):
    for count in (0, FIELD - 1):
        audio = noise(count, channels=2)
        assert list(embedder(audio, RATE)) == [] and list(embedder(audio, 44_100)) == []
        assert np.isnan(embedding_mse(embedder, audio, audio, RATE))


def test_the_embedding_mse_of_tracks(embedder, plain):
    reference, estimate = noise(samples(CHUNK)), noise(samples(CHUNK) + 1)[1:]
    expected = np.mean((plain(reference[:, 0]).astype(np.float64) - plain(estimate[:, 0])) ** 2)
    assert embedding_mse(embedder, reference, estimate, RATE) == pytest.approx(expected, rel=1e-4)


def test_full_precision_wherever_an_accelerator_would_shorten_it(embedder):
    shapes = (np.zeros((2, samples(CHUNK)), np.float32), np.zeros(2, np.int32))
    text = embedder._program.lower(embedder._params, *shapes).as_text()
    products = [line for line in text.splitlines() if re.search(r"stablehlo\.(dot_general|convolution)", line)]
    assert len(products) >= 3 + 1 + 6 + 2  # convolutions, projection, dense layers, attention
    assert all(line.count("HIGHEST") == 2 for line in products)


def test_parameters_are_arguments_of_the_program(embedder):
    shapes = (np.zeros((2, samples(CHUNK)), np.float32), np.zeros(2, np.int32))
    lowered = embedder._program.lower(embedder._params, *shapes)
    assert lowered.in_tree.num_leaves == len(jax.tree.leaves(embedder._params)) + 2
    (main,) = (line for line in lowered.as_text().splitlines() if "@main" in line)
    assert "tensor<8x12xf32>" in main


def test_the_layer_is_the_twelfth_or_the_last_or_the_one_asked_for():
    def layer(there, **wanted):
        settings = HubertSettings.from_config(tiny.CONFIG | {"num_hidden_layers": there})
        return Embedder(Published("tiny", settings, {}, RATE), **wanted).layer

    assert (layer(1), layer(14), layer(14, layer=14)) == (1, 12, 14)
    with pytest.raises(InputError, match="layer 15: tiny has layers up to 14"):
        layer(14, layer=15)


def test_chunks_without_a_frame_are_refused():
    with pytest.raises(InputError, match=r"chunks of 0.003 s are too short for a frame, which takes 0.003 s"):
        Embedder(published(1), chunk_seconds=0.003)
