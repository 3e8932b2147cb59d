"""The house's own rules: who imports whom, and every config key means something."""

import ast
import importlib
from pathlib import Path

import pytest

from configs import base
from diffvs_jax.audio.representation import SignalPath
from diffvs_jax.inference.separator import separation_plan
from diffvs_jax.model.denoiser import abstract_params
from diffvs_jax.training.optimizer import learning_rate
from tests.nano import leaves

HOUSE = Path(__file__).parent.parent
SOURCES = sorted((HOUSE / "diffvs_jax").rglob("*.py"))
CONFIGS = sorted((HOUSE / "configs").rglob("*.py"))
COMMANDS = {"train", "audition", "separate", "evaluate", "export", "benchmark", "report"}
COMMANDS |= {"data.check", "data.prepare", "data.benchmark"}

# What each room may import besides itself, errors.py and whole.py; "audio.files" opens that one module.
MAY_IMPORT = {
    "audio": set(),
    "diffusion": set(),
    "library": {"audio", "inference"},
    "metrics": {"audio.stft"},
    "embedding": {"audio"},
    "model": {"diffusion"},
    "data": {"audio.files", "audio.decoding", "audio.segments", "audio.wav", "audio.endings", "audio.ogg", "table"},
    "training": {"model", "diffusion", "audio", "data", "compilation", "profiling.chips", "profiling.cost"},
    "inference": {"model", "diffusion", "audio", "compilation"},
    "evaluation": {"inference", "model", "diffusion", "metrics", "embedding", "data", "audio", "table"},
    "profiling": {"inference", "model", "diffusion", "audio", "compilation", "table"},
    "cli": set(),
    "compilation": set(),
    "errors": set(),
    "table": set(),
    "whole": set(),
    "__init__": {"inference"},
}
FLAX = {"flax"}
JAX = {"jax", "jaxlib", "flax", "optax", "orbax"}


def imports(path):
    """Full names of everything a file imports anywhere; ``from a import b`` counts as ``a.b``."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(path):
    """The folder of a module in the package, or the module's own name when it lies at the top."""
    return path.relative_to(HOUSE / "diffvs_jax").with_suffix("").parts[0]


def is_command(path):
    return ".".join(path.relative_to(HOUSE / "diffvs_jax").with_suffix("").parts) in COMMANDS


def our_imports(path):
    """Imports of the package's modules, as paths below it such as ``audio.files.load``."""
    return {name.removeprefix("diffvs_jax.") for name in imports(path) if name.startswith("diffvs_jax.")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_stay_within_the_rules(path):
    if room(path) in COMMANDS:
        return
    allowed = {
        room(path),
        "errors",
        "whole",
        "__version__",
        *MAY_IMPORT[room(path)],
        *(["cli"] if is_command(path) else []),
    }
    for name in our_imports(path):
        prefixes = {name, name.split(".")[0], ".".join(name.split(".")[:2])}
        assert prefixes & allowed, f"{path} imports {name}"


def test_nobody_imports_a_command():
    for path in SOURCES:
        names = our_imports(path)
        assert not {".".join(name.split(".")[:depth]) for name in names for depth in (1, 2)} & COMMANDS, path


def test_only_commands_import_the_command_line():
    for path in SOURCES:
        uses = any(name.split(".")[0] == "cli" for name in our_imports(path))
        assert not uses or is_command(path), path


def test_only_networks_import_flax_and_data_never_imports_jax():
    third_party = {path: {name.split(".")[0] for name in imports(path)} for path in SOURCES}
    assert {room(path) for path, names in third_party.items() if names & FLAX} == {"model", "embedding"}
    assert not [path for path, names in third_party.items() if room(path) in {"data", "errors"} and names & JAX]


def test_the_import_rules_can_be_broken(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("def late():\n    from diffvs_jax.training import loop\n    import flax.linen as nn\n")
    assert imports(module) == {"diffvs_jax.training.loop", "flax.linen"}
    assert our_imports(module) == {"training.loop"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_import_ml_collections_and_each_other_alone(path):
    assert {name.split(".")[0] for name in imports(path)} <= {"ml_collections", "configs"}


# Names that a section goes by where it is not written as "config.SECTION".
ALIASES = {
    "": {"config", "_config"},
    "audio": {"path", "_path", "self"},  # representation.SignalPath has a field for each key
    "model": {"settings", "s", "self"},  # unet.UNetSettings has a field for each key
    "sampler": {"sampler", "s"},
    "data": {"config"},  # pipeline.py is given the section alone
    "data.augment": {"a"},  # augmentation.Augmentation has a field for each key
    "data.synthetic": {"songs"},
}


def attribute_reads():
    """Pairs (name before the dot, attribute) of all attributes that the package reads."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", None)
                yield name, node.attr


def test_every_config_key_is_read():
    reads = set(attribute_reads())
    for key, _ in leaves(base.get_config()):
        section, _, leaf = key.rpartition(".")
        names = {section.rpartition(".")[2], *ALIASES.get(section, set())}
        assert any((name, leaf) in reads for name in names), f"nothing reads {key}"


def config_name(path):
    """Such as "ablations.alpha_1"."""
    return ".".join(path.relative_to(HOUSE / "configs").with_suffix("").parts)


def every_config(test):
    return pytest.mark.parametrize("name", [config_name(path) for path in CONFIGS])(test)


@every_config
def test_a_config_has_the_keys_and_types_of_base(name):
    config = dict(leaves(importlib.import_module(f"configs.{name}").get_config()))
    expected = dict(leaves(base.get_config()))
    assert config.keys() == expected.keys()
    for key, value in config.items():
        assert type(value) is type(expected[key]), key


@every_config
def test_a_config_builds(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    assert config.name == name.split(".")[-1]
    path = SignalPath.from_config(config)
    separation_plan(config)
    learning_rate(config.train)
    params = abstract_params(config)
    head = params["head"]["kernel"].shape[-1]
    assert head == len(config.data.targets) * path.condition_channels


def test_no_two_test_files_have_one_name():
    """pytest cannot import both, as no test folder is a package of its own."""
    names = [path.name for path in (HOUSE / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
