import dataclasses

import numpy as np
import pytest

from diffvs_jax.embedding.settings import HubertSettings
from diffvs_jax.errors import InputError
from tests.embedding import tiny


def test_absent_keys_are_merts():
    settings = HubertSettings.from_config({"model_type": "mert_model"})
    assert settings == HubertSettings()
    assert (settings.hop, settings.field) == (320, 400)  # 75 frames a second at 24 kHz
    assert settings.num_frames(240_000) == 749


def test_a_config_is_read_whole():
    given = {
        "hidden_size": 6,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 7,
        "conv_dim": [5, 4],
        "conv_kernel": [3, 2],
        "conv_stride": [2, 1],
        "conv_bias": True,
        "feat_extract_norm": "layer",
        "feat_proj_layer_norm": False,
        "do_stable_layer_norm": True,
        "num_conv_pos_embeddings": 9,
        "num_conv_pos_embedding_groups": 3,
        "layer_norm_eps": 1e-6,
    }
    settings = dataclasses.asdict(HubertSettings.from_config(given | {"hidden_act": "gelu", "attention_relax": -1.0}))
    assert {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()} == given


def test_frames_are_counted_as_convolutions_make_them():
    settings = HubertSettings.from_config(tiny.CONFIG)
    for samples in range(60):
        x = np.zeros(samples)
        for kernel, stride in zip(settings.conv_kernel, settings.conv_stride, strict=True):
            x = x[: max(0, len(x) - kernel + 1) : stride]
        assert settings.num_frames(samples) == len(x)
    assert settings.num_frames(settings.field) == 1 and settings.num_frames(settings.field - 1) == 0
    assert settings.num_frames(settings.field + settings.hop) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "wavlm"}, "model_type 'wavlm' is not built; give weights of type hubert or mert_model"),
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt True is not built"),
        ({"deepnorm": True}, "deepnorm True is not built"),
        ({"attention_relax": 32.0}, r"attention_relax 32\.0 is not built"),
        ({"attention_relax": None}, "attention_relax None is not built"),
        ({"conv_pos_batch_norm": True}, "conv_pos_batch_norm True is not built"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' is not built; 'gelu' is"),
        ({"feat_extract_activation": "gelu_new"}, "feat_extract_activation 'gelu_new' is not built"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm 'batch' is not built"),
        ({"num_attention_heads": 3}, "num_attention_heads 3 does not divide hidden_size 8"),
        ({"num_conv_pos_embedding_groups": 5}, "num_conv_pos_embedding_groups 5 does not divide hidden_size 8"),
        ({"conv_dim": [4]}, "one number per convolution, got 1, 2 and 2"),
        ({"conv_stride": [4, 0]}, r"conv_stride \[4, 0\]: a list of whole numbers above zero is wanted"),
        ({"hidden_size": "8"}, "hidden_size '8': a whole number above zero is wanted"),
        ({"conv_bias": 1}, "conv_bias 1: bool is wanted"),
        ({"layer_norm_eps": 0}, "layer_norm_eps 0: a number above zero is wanted"),
    ],
)
def test_what_is_not_built_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        HubertSettings.from_config(tiny.CONFIG | change)
