"""Train a model in a run folder, or go on with a run that was stopped."""

from absl import flags

from keras_cfebm.cli.config import DEFAULT_PRESET, config_from_flags
from keras_cfebm.cli.config_flags import CONFIG_FLAGS
from keras_cfebm.configs.run_config import RunConfig
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.runs.train import train


def main(values: flags.FlagValues) -> None:
    """Trains, then says where everything is."""
    config = _config(values)
    train(
        config,
        values.run_dir,
        guard=values.guard,
        replace_config=values.replace_config,
        strategy=values.strategy,
    )
    run = RunFolder(values.run_dir)
    print(f"\nTrained model     {run.ladder}")
    print(f"Sample grids      {run.samples}")
    print(f"Chains            {run.chain}, {run.film}")
    print(f"Energy curves     {run.energies}")


def _config(values: flags.FlagValues) -> RunConfig:
    """What the flags describe; where they say nothing, what the folder was begun with.

    What nobody has asked for is said before it begins.
    """
    given = [row.name for rows in CONFIG_FLAGS.values() for row in rows]
    run = RunFolder(values.run_dir)
    if run.config.is_file() and all(values[name].value is None for name in given):
        print(f"Going on with the configuration in {run.config}")
        return run.read_config()
    if (values.preset, values.config, values.data) == (None, None, None):
        print(
            "Neither --data nor --preset is given: training the preset "
            f"{DEFAULT_PRESET}, on images of Fashion-MNIST."
        )
    return config_from_flags(values)
