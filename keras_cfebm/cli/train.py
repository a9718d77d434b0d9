"""Train a model in a run folder, or go on with a run that was stopped."""

from absl import flags

from keras_cfebm.cli.config_flags import config_from_flags, define_config_flags
from keras_cfebm.runs.run_folder import RunFolder
from keras_cfebm.runs.train import train


def define_flags(values):
    """Adds the flags of this command."""
    flags.DEFINE_string("run_dir", None, "Run folder.", flag_values=values)
    flags.mark_flag_as_required("run_dir", flag_values=values)
    flags.DEFINE_boolean(
        "guard", True, "Roll back when training diverges.", flag_values=values
    )
    flags.DEFINE_boolean(
        "replace_config",
        False,
        "Go on in a folder that holds another configuration, with the new one.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "strategy",
        None,
        ["mirrored", "multi_worker"],
        "Train on all GPUs of this machine, or with all workers in TF_CONFIG.",
        flag_values=values,
    )
    define_config_flags(values)


def main(values):
    """Trains, then says where everything is."""

    config = config_from_flags(values, default_preset="fashion_mnist_quick")
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
