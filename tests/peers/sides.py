"""The separators that the benchmark compares, with random weights: speed and memory do not depend on them."""

import importlib
import importlib.metadata
import os
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from diffvs_jax.audio import chunking
from diffvs_jax.errors import InputError
from tests.pytorch.sides import num_threads

RATE = 44_100  # Hz, of the song
DEMUCS_OVERLAP = 0.25  # of a segment; demucs' own default


class Side(NamedTuple):
    """A separator, ready to run."""

    description: str  # package, versions and how it cuts a song
    num_parameters: int
    chunk_samples: int  # the longest song that is one chunk
    num_chunks: Callable[[int], int]  # of a song of so many samples
    separate: Callable[[np.ndarray], np.ndarray]  # [samples, 2] at RATE to [stems, samples, 2]


def build(name: str, one_by_one: bool = False) -> Side:
    """Imports, weights and compilation of a peer, or of a config file of ours.

    Args:
      name: a key of ``PEERS``, or such as "configs/small.py".
      one_by_one: our network sees one chunk at a time; peers' always do.

    Raises:
      ModuleNotFoundError: the peer's package is not installed.
    """
    if name in PEERS:
        return PEERS[name]()
    check_name(name)
    config = importlib.import_module(name.removesuffix(".py").replace("/", ".")).get_config()
    if one_by_one:
        config.separation.batch_size = 1
    return diffvs(config)


def check_name(name: str) -> None:
    """Raises ``InputError`` for what ``build`` does not know."""
    if name not in PEERS and not (name.endswith(".py") and os.path.isfile(name)):
        raise InputError(f"--sides={name}: choose from {', '.join(PEERS)}, or name a config file")


def diffvs(config: Any) -> Side:
    """Ours, compiled anew: nothing comes out of a cache."""
    import jax

    from diffvs_jax.audio.representation import BandStats
    from diffvs_jax.inference.separator import Separator, separation_plan
    from diffvs_jax.model.denoiser import build_network, init_params

    network = build_network(config)
    params = jax.jit(lambda: init_params(network, config, jax.random.key(0)))()
    separator = Separator(params, BandStats.ones(len(config.data.targets), config.audio.num_bands), config)
    separator.compile()
    _, plan = separation_plan(config)
    rate, sampler = config.audio.sample_rate, config.sampler
    way = f"jointly {config.separation.joint_chunks} at a time" if config.separation.joint else "each alone"
    return Side(
        f"{config.name}, {sampler.num_steps} steps of {sampler.name}, chunks of {plan.length / rate:.2f} s every "
        f"{plan.step / rate:.2f} s solved {way}; jax {jax.__version__}",
        sum(leaf.size for leaf in jax.tree.leaves(params)),
        (plan.length - 2 * plan.taper) * RATE // rate,
        lambda samples: chunking.num_chunks(-(-samples * rate // RATE), plan),
        lambda song: np.stack(list(separator(song, RATE).values())),
    )


def htdemucs(**settings: Any) -> Side:
    """The network of ``htdemucs``, run as demucs runs it, without random shifts.

    What differs from the class's defaults is among what ``demucs/grids/mmi.py`` trained, and is what the released
    checkpoint 955717e8 was built with; the segment is in demucs' README, too. ``shifts=1``, the default of demucs'
    command, is also one pass, over up to half a second more.
    """
    import torch
    from demucs.apply import apply_model
    from demucs.htdemucs import HTDemucs

    torch.set_num_threads(num_threads())
    released = {"dconv_mode": 3, "bottom_channels": 512, "t_layers": 5, "t_dropout": 0.02, "segment": Fraction(39, 5)}
    model = HTDemucs(["drums", "bass", "other", "vocals"], **(released | settings)).eval()
    stride = int((1 - DEMUCS_OVERLAP) * int(RATE * model.segment))

    @torch.inference_mode()
    def separate(song: np.ndarray) -> np.ndarray:
        wave = torch.from_numpy(song.T.copy())
        level = wave.mean(0)  # demucs' command brings songs to one loudness, too
        mean, std = level.mean(), level.std() + 1e-8
        stems = apply_model(model, (wave - mean)[None] / std, shifts=0, split=True, overlap=DEMUCS_OVERLAP)
        return (stems[0] * std + mean).transpose(1, 2).numpy()

    return Side(
        f"demucs {importlib.metadata.version('demucs')}, shifts=0, chunks of {float(model.segment):.2f} s every "
        f"{stride / RATE:.2f} s; PyTorch {torch.__version__}",
        _count(model),
        stride,  # what is left of a longer song becomes another chunk, however short
        lambda samples: -(-samples // stride),
        separate,
    )


def bs_roformer(chunk_samples: int = 352_800, **settings: Any) -> Side:
    """The vocals model whose weights are public, in chunks that overlap by half.

    Sizes, chunk and overlap are those of ``configs/viperx/model_bs_roformer_ep_317_sdr_12.9755.yaml`` in
    ZFTurbo/Music-Source-Separation-Training. It is older than the package's hyper-connections, so they are off.
    The package has no loop over a song: ``diffvs_jax.audio.chunking`` cross-fades its chunks as it does ours.
    """
    import torch
    from bs_roformer import BSRoformer

    torch.set_num_threads(num_threads())
    published = {"dim": 512, "depth": 12, "time_transformer_depth": 1, "freq_transformer_depth": 1}
    published |= {"stft_hop_length": 441, "num_residual_streams": 1}
    model = BSRoformer(**(published | settings), stereo=True).eval()
    plan = chunking.ChunkPlan(chunk_samples, chunk_samples // 2, 0)

    @torch.inference_mode()
    def separate_chunk(chunk: np.ndarray) -> np.ndarray:
        vocals = model(torch.from_numpy(chunk.T.copy())[None])[0].T.numpy()
        return np.pad(vocals, ((0, chunk_samples - len(vocals)), (0, 0)))  # istft ends at the last whole hop

    def separate(song: np.ndarray) -> np.ndarray:
        estimates = ((separate_chunk(chunk.audio), chunk.final) for chunk in chunking.split([song], plan))
        return np.concatenate(list(chunking.overlap_add(estimates, plan)))[None]

    return Side(
        f"BS-RoFormer {importlib.metadata.version('BS-RoFormer')}, chunks of {chunk_samples / RATE:.2f} s every "
        f"{plan.step / RATE:.2f} s; PyTorch {torch.__version__}",
        _count(model),
        chunk_samples,
        lambda samples: chunking.num_chunks(samples, plan),
        separate,
    )


def _count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


PEERS = {"HTDemucs": htdemucs, "BS-RoFormer": bs_roformer}
