"""Diff-VS as published: 57.23 M parameters, 44.1 kHz stereo, 6-second chunks, seven Heun steps.

Comments end in where a value comes from: P the paper, L the literature it builds on, C our choice.
Every other config is this one with a few keys changed.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    c = ConfigDict()
    c.name = "base"  # the default workdir is runs/NAME
    c.seed = 0
    c.init_from = ""  # a run, a step or an export whose weights to begin with; a workdir with a checkpoint goes first
    c.init_optimizer = False  # begin with that run's optimiser state, and what its weights are an average of
    c.compilation_cache = True  # keep compiled programs in ~/.cache/diffvs_jax, for the next run

    c.audio = ConfigDict()
    c.audio.sample_rate = 44_100  # Hz; files of any other rate are resampled in and back out. C
    c.audio.num_channels = 2  # C
    c.audio.n_fft = 4096  # L
    c.audio.hop_length = 1024  # L
    c.audio.num_frames = 256  # frames per chunk: 255 hops = 5.92 s. L
    c.audio.num_bands = 4  # equal contiguous bands stacked into channels. L
    c.audio.peak_norm = True  # divide by the mixture chunk's peak. P
    c.audio.peak_floor = 1e-4  # a quieter chunk separates to silence without the network. C
    c.audio.alpha = 0.667  # exponent of the amplitude transform; 1 is off. L
    c.audio.amplitude_scale = 1.0  # factor of the amplitude transform; band norm cancels it. C
    c.audio.epsilon = 1e-12  # added to |z|^2. C
    c.audio.band_norm = "dataset"  # "dataset", "chunk" or "none" (one constant for all bands). P

    c.edm = ConfigDict()
    c.edm.sigma_data = 0.5  # standard deviation of the normalised targets. L
    c.edm.p_mean = -1.2  # training noise: ln sigma ~ N(p_mean, p_std^2). L
    c.edm.p_std = 1.2  # L

    c.model = ConfigDict()
    c.model.channels = 128
    c.model.channel_mult = (1, 2, 2, 2)  # width per level; each level halves the frequency axis
    c.model.num_blocks = 3  # per encoder level; the decoder has one more
    c.model.attention_levels = (2,)  # here and in the first block of the bottleneck
    c.model.attention = "dual_path"  # RoFormers along time, then frequency; or "pixel", DDPM++'s. P
    c.model.attention_backend = "auto"  # "xla", "cudnn" (GPU, bf16), or "auto": cudnn where it runs
    c.model.num_heads = 8
    c.model.head_dim = 32
    c.model.ffn_multiplier = 4
    c.model.resampling = "frequency"  # time keeps its frames; or "both", as in DDPM++. P
    c.model.embedding = "positional"  # of the noise level: sinusoids; or "fourier", random features. P
    c.model.fourier_scale = 16.0  # of those random features. L
    c.model.stem_size = 3  # kernel of the first and last convolution. L
    c.model.dropout = 0.0  # 0 ... 0.13. L
    c.model.dtype = "auto"  # of activations: "bfloat16", "float32", or "auto": bfloat16, but float32 on a CPU;
    # parameters, optimiser state, norms, softmax, rotary embedding and sampler are float32 always. C
    c.model.remat = "block"  # recompute in the backward pass: "block" all but blocks' inputs, "selective" all but
    # the outputs of convolutions and dense layers, "none" nothing. C

    c.sampler = ConfigDict()
    c.sampler.name = "heun"  # P; or "stochastic_heun", "euler", "dpmpp_2m"
    c.sampler.num_steps = 7  # P
    c.sampler.sigma_min = 0.002  # L
    c.sampler.sigma_max = 80.0  # L
    c.sampler.rho = 7.0  # L; the paper tunes it
    c.sampler.num_samples = 1  # seeded samples whose mean is the estimate. C
    c.sampler.s_churn = 0.0  # of stochastic_heun: noise added over all steps. L
    c.sampler.s_t_min = 0.0  # ... in steps with sigma from here. L
    c.sampler.s_t_max = 1e9  # ... to here. L
    c.sampler.s_noise = 1.0  # ... times this. L
    c.sampler.loop = "auto"  # "unrolled": all steps in one program, P; "scanned": over one network body, which
    # compiles several times faster; "auto": scanned on a CPU, else unrolled

    c.separation = ConfigDict()
    c.separation.step_frames = 128  # frames between chunks of a long track. C
    c.separation.taper_frames = 2  # frames dropped at each chunk edge. C
    c.separation.batch_size = 0  # chunks that the network sees at once on a device, fewer where memory runs out;
    # 0: 2 on a CPU, 16 on an accelerator
    c.separation.joint = True  # solve overlapping chunks jointly, so that there is no seam; else each alone. C
    c.separation.joint_chunks = 24  # at a time, over all devices; a longer track is cut, with some overlap. C
    c.separation.context_chunks = 1  # of that overlap on either side of a cut. C
    c.separation.sum_to_mixture = False  # spread what targets that are the whole music lack of it evenly over them

    c.data = ConfigDict()
    c.data.root = ""  # data set folders, comma-separated, each [KIND:]FOLDER with KIND musdb, moisesdb, stems or pools
    # where it cannot be told by what lies there; empty: procedural songs
    c.data.weights = ()  # share of examples from each of those folders; (): every track is visited equally often
    c.data.valid_tracks = ()  # tracks held out as split "valid"; (): in MUSDB18 the musdb package's 14. L
    c.data.rename_stems = ()  # "FROM=TO" for stems that go by other names; equal names are summed
    c.data.strict = False  # stop at a track that cannot be used, instead of naming it and going on
    c.data.targets = ("vocals",)  # stems to separate, in order; the rest is one stem. P
    c.data.remix_probability = 0.75  # each stem from a song of its own. L
    c.data.match_bandwidth = True  # all stems of an example end at the frequency where one's recording does. C
    c.data.vocal_active_tries = 0  # redraw a chunk whose targets are silent, at most so often. C
    c.data.num_workers = 0  # processes that read songs; 0: threads of this one
    c.data.num_threads = 8  # reading threads, where there are no such processes
    c.data.prefetch = 4  # batches read ahead, by every process
    c.data.stats_batches = 64  # training batches measured for the band statistics; kept beside the data

    # What is done to the stems of an example, in numpy; the mixture is their sum afterwards. Probabilities are per
    # stem and example, or per example where it says "all stems"; ranges are (lowest, highest). Milliseconds are
    # what six stereo seconds at 44.1 kHz take on one CPU core; gains, swaps and flips together take half of one.
    c.data.augment = ConfigDict()
    c.data.augment.gain_range = (0.25, 1.25)  # factor of a stem's amplitude. L
    c.data.augment.channel_swap_probability = 0.5  # L
    c.data.augment.sign_flip_probability = 0.5  # L
    c.data.augment.drop_target_probability = 0.1  # chunks without the targets. L
    c.data.augment.mono_probability = 0.0  # all stems; 0.5 ms a stem. C
    c.data.augment.equaliser_probability = 0.0  # two shelves and two bells; 5 ms. C
    c.data.augment.equaliser_decibels = 6.0  # each up or down by at most so much. C
    c.data.augment.compression_probability = 0.0  # 3 ms. C
    c.data.augment.compression_ratio = (2.0, 6.0)  # decibels in per decibel out. C
    c.data.augment.compression_decibels = (6.0, 20.0)  # of the threshold below the stem's peak. C
    c.data.augment.soft_clip_probability = 0.0  # 0.5 ms. C
    c.data.augment.soft_clip_decibels = (0.0, 12.0)  # of drive above the stem's peak. C
    c.data.augment.reverb_probability = 0.0  # of a synthetic room; 15 ms. C
    c.data.augment.reverb_seconds = (0.2, 1.5)  # in which it dies away by 60 dB. C
    c.data.augment.reverb_decibels = (-20.0, -6.0)  # energy of the tail relative to the direct sound. C
    c.data.augment.shift_probability = 0.0  # pitch and tempo of all stems, by a phase vocoder; 150 ms a stem. C
    c.data.augment.shift_semitones = (-2.0, 2.0)  # C
    c.data.augment.shift_tempo = (0.85, 1.0)  # factor of speed; above 1 a chunk has no audio to take. C
    c.data.augment.band_limit_probability = 0.0  # all stems end at one frequency; 4 ms a stem. C
    c.data.augment.band_limit_hz = (4000.0, 16_000.0)  # C

    c.data.synthetic = ConfigDict()  # procedural songs, rendered once into the workdir when data.root is empty
    c.data.synthetic.num_train_songs = 96
    c.data.synthetic.num_valid_songs = 4
    c.data.synthetic.num_test_songs = 8
    c.data.synthetic.seconds = 10.0
    c.data.synthetic.seed = 0
    c.data.synthetic.soundfont = ""  # a General MIDI .sf2 for part of the accompaniment; needs fluidsynth; "": none

    c.train = ConfigDict()
    c.train.batch_size = 16  # chunks per step, over all devices. C
    c.train.accumulate_steps = 1  # parts of a batch whose gradients are computed in turn, for less memory. C
    c.train.mesh = (-1, 1)  # devices along (data, fsdp): fsdp of them share one copy of the state; -1: all the others
    c.train.num_steps = 500_000
    c.train.max_minutes = 0.0  # stop (and save) after this long even so; 0: never
    c.train.learning_rate = 2e-4  # AdamW. C
    c.train.schedule = "cosine"  # after the warm-up: "cosine" to zero, or "constant". C
    c.train.warmup_steps = 5000  # C
    c.train.beta1 = 0.9  # C
    c.train.beta2 = 0.999  # C
    c.train.weight_decay = 0.01  # C
    c.train.clip_norm = 1.0  # C
    c.train.ema_rates = (0.9999, 0.999)  # per step; the first separates. L
    c.train.ema_rampup = 0.05  # an EMA's half-life is at most this share of the steps so far. L
    c.train.max_skipped_steps = 0  # steps without a finite loss and gradient to pass over before stopping
    c.train.log_every_steps = 100
    c.train.validate_every_steps = 5000  # and at the last step; 0: never
    c.train.checkpoint_every_steps = 2000
    c.train.checkpoint_every_minutes = 10.0  # since the last one; 0: by steps alone
    c.train.keep_checkpoints = 2  # the newest; the best in validation is kept beside them

    c.validation = ConfigDict()  # while training: what the first EMA makes of fixed chunks of the split "valid"
    c.validation.num_tracks = 14  # at most; from the first
    c.validation.chunks_per_track = 4  # evenly spaced; separated in batches of separation.batch_size
    c.validation.num_examples = 3  # of those chunks to see and hear in TensorBoard, each of a track of its own

    c.demo = ConfigDict()  # at the end of training: a few test songs and the packaged excerpt, scored and drawn
    c.demo.num_songs = 8  # test songs to score; 0: no demo
    c.demo.seconds = 10.0  # of each
    return c
