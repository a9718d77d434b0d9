"""Train a model in a run folder, or go on with a run that was stopped."""

from absl import flags

from keras_cfebm.cli.config import config_from_flags
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.runs.train import train


def main(values: flags.FlagValues) -> None:
    """Trains, then says where everything is."""
    config = config_from_flags(values)
    train(
        config,
        values.run_dir,
        guard=values.guard,
        replace_config=values.replace_config,
        strategy=values.strategy,
    )
    run = RunFolder(values.run_dir)
    print(f"Trained model     {run.ladder}")
    print(f"Sample grids      {run.samples}")
    print(f"Chains            {run.chain}, {run.film}")
    print(f"Energy curves     {run.energies}")
