"""What settings of the chain do to samples of one trained model: classifier FID.

Nothing is trained: the model learned with the first row's chain, and a setting that it
is trained with may do better than here.

Run from the repository's root:

    python -m benchmarks.chains
"""

from absl import flags

from benchmarks import _common
from benchmarks._fashion import classifier_fid
from keras_cfebm import load_ladder, tasks

#: Changes of the `Langevin` that the model was trained with.
CHAINS = {
    "as trained": {},
    "one level below": {"chain_levels": 2},
    "truncated normal start": {"start_noise": "truncated_normal"},
    "a third, two thirds and all of the steps": {"steps": (1 / 3, 2 / 3, 1)},
    "ρ = 0.1 at transitions": {"transition_noise": 0.1},
    "ρ = 0.5 at transitions": {"transition_noise": 0.5},
}


def define_flags():
    flags.DEFINE_string("model", "fashion_mnist", "Model that generates.")
    flags.DEFINE_integer("samples", 2000, "Samples of a row.", lower_bound=35)
    flags.DEFINE_integer("batch", 64, "Images of a batch.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Stream of images.", lower_bound=0)
    flags.DEFINE_string("json", None, "File for all the numbers.")


def changed(settings, changes, levels):
    """A `Langevin` with those changes; every level keeps its steps, or shares of them.

    Args:
        settings: `Langevin` of a ladder.
        changes: an entry of `CHAINS`.
        levels: int, levels of the ladder.
    """
    run_through = range(levels)[-changes.get("chain_levels", levels) :]
    shares = changes.get("steps", (1,) * levels)
    return settings.replace(
        **{
            **changes,
            "steps": tuple(
                round(shares[i] * settings.steps_at(i)) for i in run_through
            ),
            "step_size": tuple(settings.step_size_at(i) for i in run_through),
        }
    )


def measured(model, changes, options):
    """Figures of one chain."""
    settings = changed(model.langevin, changes, len(model.ladder))
    ladder = settings.of_chain(model.sampling_ladder)
    images = tasks.generate(
        ladder, options.samples, options.seed, settings, batch_size=options.batch
    )
    return {
        "steps": [settings.steps_at(level) for level in range(len(ladder))],
        "classifier_fid": classifier_fid(images),
    }


def run(options):
    """Draws from every chain and prints the table."""
    machine = _common.machine()
    model = load_ladder(options.model)
    figures = {
        name: measured(model, changes, options) for name, changes in CHAINS.items()
    }
    rows = [
        [name, " + ".join(map(str, row["steps"])), f"{row['classifier_fid']:.1f}"]
        for name, row in figures.items()
    ]
    print(_common.markdown_table(["chain", "steps", "classifier FID"], rows))
    print(
        f"\n{options.samples} samples of a row, seed {options.seed}, {options.model}.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "chains": figures}


if __name__ == "__main__":
    _common.main(run, define_flags)
