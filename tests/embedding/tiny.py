"""A HuBERT of a few hundred numbers, under the names that published files have."""

import numpy as np

CONFIG = {
    "model_type": "mert_model",
    "sample_rate": 4000,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "conv_dim": [4, 4],
    "conv_kernel": [5, 3],
    "conv_stride": [4, 2],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "hidden_dropout": 0.1,
}
POSITIONS = "encoder.pos_conv_embed.conv"


def shapes(layers=1):
    """Of all that MERT's files hold; weight norm's names are the old ones."""
    found = {
        "masked_spec_embed": (8,),
        "feature_extractor.conv_layers.0.conv.weight": (4, 1, 5),
        "feature_extractor.conv_layers.0.layer_norm.weight": (4,),
        "feature_extractor.conv_layers.0.layer_norm.bias": (4,),
        "feature_extractor.conv_layers.1.conv.weight": (4, 4, 3),
        "feature_projection.layer_norm.weight": (4,),
        "feature_projection.layer_norm.bias": (4,),
        "feature_projection.projection.weight": (8, 4),
        "feature_projection.projection.bias": (8,),
        f"{POSITIONS}.bias": (8,),
        f"{POSITIONS}.weight_g": (1, 1, 4),
        f"{POSITIONS}.weight_v": (8, 4, 4),
        "encoder.layer_norm.weight": (8,),
        "encoder.layer_norm.bias": (8,),
    }
    for layer in range(layers):
        parts = {f"attention.{part}_proj": (8, 8) for part in "qkv"} | {"attention.out_proj": (8, 8)}
        parts |= {"feed_forward.intermediate_dense": (12, 8), "feed_forward.output_dense": (8, 12)}
        for part, shape in parts.items():
            found[f"encoder.layers.{layer}.{part}.weight"] = shape
            found[f"encoder.layers.{layer}.{part}.bias"] = shape[:1]
        for part in ("layer_norm", "final_layer_norm"):
            found |= {f"encoder.layers.{layer}.{part}.{leaf}": (8,) for leaf in ("weight", "bias")}
    return found


def arrays(layers=1, seed=0):
    rng = np.random.default_rng(seed)
    return {name: 0.5 * rng.standard_normal(shape, np.float32) for name, shape in shapes(layers).items()}


def mixed():
    """Tensors of every type and layout that the reader knows."""
    eighths = np.arange(12).reshape(3, 4) / 8
    return {
        "float32": eighths.astype(np.float32),
        "float16": eighths.astype(np.float16),
        "bfloat16": eighths.astype(np.float32),  # which holds these exactly, and numpy does not know it
        "int64": np.arange(3) - 1,
        "transposed": eighths.astype(np.float32).T,
        "part": eighths.astype(np.float32)[1:, ::2],
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 3), np.float32),
    }
