"""HuBERT and the embedding MSE against Transformers' HubertModel."""

import json
import re

import jax
import numpy as np
import pytest

from diffvs_jax.embedding.encoder import normalise
from diffvs_jax.embedding.hubert import Hubert
from diffvs_jax.embedding.mse import embedding_mse
from diffvs_jax.embedding.published import to_params
from diffvs_jax.embedding.settings import HubertSettings
from tests.parity.golden import OURS, assert_near, each

STATES = r"float32: NUMBER\*max\(1,max\|value\|\)"


@pytest.fixture(scope="module")
def states_of():
    """A function from golden numbers to what our encoder makes of their input, once each."""
    made = {}

    def states(golden):
        if golden.name not in made:
            settings = HubertSettings.from_config(golden.facts["config"])
            params, x = to_params(golden.under("param/"), settings), golden["input_values"]
            with jax.default_matmul_precision("highest"):
                run = jax.jit(lambda params: Hubert(settings).apply({"params": params}, x, np.full(len(x), x.shape[1])))
                made[golden.name] = jax.tree.map(np.asarray, run(params))
        return made[golden.name]

    return states


@each("golden", "hubert*")
def test_input(golden):
    got = np.stack([normalise(waveform) for waveform in golden["waveform"]])
    assert_near(got, golden["input_values"], golden.tolerance(STATES))


@each("golden", "hubert*")
def test_convolutions_and_projection(golden, states_of):
    states = states_of(golden)
    assert states.features.shape[1] == golden.facts["frames"]
    assert_near(states.features.swapaxes(1, 2), golden["conv_features"], golden.tolerance("conv_features NUMBER"))
    assert_near(states.projected, golden["projected"], golden.tolerance(STATES))


@each("golden", "hubert*")
def test_every_hidden_state(golden, states_of):
    states, tolerance = states_of(golden), golden.tolerance(STATES)
    for kind in ("layer_output_", "hidden_states_"):
        expected = golden.under(kind)
        assert len(states.hidden) == len(expected)
        for index, values in expected.items():
            assert_near(states.hidden[int(index)], values, tolerance)
    assert_near(states.last, golden["last_hidden_state"], tolerance)
    same = re.search(r"last_hidden_state equals hidden_states\[-1\]: (\w+)", golden.facts["stable_hidden_states"])[1]
    assert np.array_equal(states.last, states.hidden[-1]) == (same == "True")


@each("golden", "hubert*")
def test_embedding_mse(golden, states_of):
    blocks = {index: states_of(golden).hidden[-1][index] for index in (0, 1)}
    rate = golden.facts["sampling_rate"]
    got = embedding_mse(lambda audio, rate: blocks[int(audio[0, 0])], np.zeros((1, 1)), np.ones((1, 1)), rate)
    assert got == pytest.approx(golden["embedding_mse_f64"], rel=golden.tolerance("embedding_mse_f64 rtol NUMBER"))


def test_the_two_kinds_are_there():
    """Ours must hold either norm and either place of it, or half of the encoder is not compared."""
    kinds = [json.loads(path.read_text())["config"] for path in OURS.glob("hubert*.json")]
    assert {config["feat_extract_norm"] for config in kinds} == {"group", "layer"}
    assert {config["do_stable_layer_norm"] for config in kinds} == {False, True}
    assert {config["num_conv_pos_embeddings"] % 2 for config in kinds} == {0, 1}
