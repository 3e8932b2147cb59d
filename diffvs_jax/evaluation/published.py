"""Scores that others published. Data only: nothing here was measured with this code."""

from typing import NamedTuple

MUSDB = "MUSDB18-HQ"
MUSDB_AND_MOISES = "MUSDB18-HQ + MoisesDB, 235 h"
TEST_TRACKS = 50
"""Of MUSDB18-HQ, on which all figures below were measured."""

PAPER_URL = "https://arxiv.org/abs/2604.01120"
"""Diff-VS: Efficient Audio-Aware Diffusion U-Net for Vocals Separation, ICASSP 2026."""

PAPER = "the Diff-VS paper's own"
CITED = "as the Diff-VS paper gives it"


class Published(NamedTuple):
    """cSDR of vocals in dB: museval's median over seconds, then median over the 50 test tracks of MUSDB18-HQ."""

    name: str
    kind: str
    training_data: str
    parameters: float
    csdr: float
    source: str


class PublishedEmbedding(NamedTuple):
    """Mean squared error of MERT's layer 12 between true and estimated vocals; lower is better."""

    name: str
    mse: float
    source: str


CSDR = (
    Published("Diff-VS", "generative", MUSDB, 57e6, 10.12, PAPER),
    Published("Diff-VS", "generative", MUSDB_AND_MOISES, 57e6, 10.88, PAPER),
    Published("SGMSVS, 45 steps", "generative", MUSDB, 65e6, 8.63, CITED),
    Published("SCNet-L", "discriminative", MUSDB, 42e6, 10.86, CITED),
    Published("SCNet-L", "discriminative", MUSDB_AND_MOISES, 42e6, 11.11, CITED),
    Published("BS-RoFormer-6L", "discriminative", MUSDB, 72e6, 10.66, CITED),
    Published("BSRNN", "discriminative", MUSDB, 37e6, 10.01, CITED),
    Published("TFC-TDF v3", "discriminative", MUSDB, 70e6, 9.59, CITED),
    Published("HDemucs", "discriminative", MUSDB, 42e6, 8.13, CITED),
)

EMBEDDING = (
    PublishedEmbedding("Mel-RoFormer", 0.071, CITED),
    PublishedEmbedding("Diff-VS v2, 54 M", 0.083, PAPER),
    PublishedEmbedding("SGMSVS", 0.089, CITED),
    PublishedEmbedding("SCNet-L", 0.096, CITED),
)
