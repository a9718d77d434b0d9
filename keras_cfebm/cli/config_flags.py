"""The flags that make a training configuration, section by section.

Not one has a default: what is not given is as the preset or the file has it.
"""

from keras_cfebm.cli.flag import boolean, integer, number, several, string

#: Values by resolution are written 8:256,16:128.
_BY_LEVEL = "a number, or by resolution as in 8:256,16:128."

#: Section → its flags. The flags of "network", "langevin" and "stages" are fields of
#: `NetworkConfig`, `Langevin` and `Stage`, those of "training" fields of `RunConfig`.
CONFIG_FLAGS = {
    "start": (
        string(
            "preset",
            None,
            "Configuration to start from, see cfebm presets; by default "
            "fashion_mnist_quick, or the paper's values if --data names other images.",
        ),
        string("config", None, "JSON file to start from, such as a run's config.json."),
    ),
    "data": (
        string("data", None, "Embedded set, folder, .npy/.npz file or TFDS name."),
        string("split", None, "Split of the data."),
        integer("resolution", None, "Side of the finest images, in pixels."),
        string("fit", None, "How images are resized: exact, pad, resize or crop."),
        boolean("flip", None, "Mirror half of the images left to right."),
        several("classes", None, "Classes to keep; none named keeps all."),
        integer("channels", None, "1 for grey, 3 for colour; for folders and TFDS."),
        integer(
            "crop_size", None, "Side of the square of --fit=crop before it is resized."
        ),
        string("data_dir", None, "Where TFDS keeps its data."),
    ),
    "source": (
        string("source", None, "Images that chains start at, to translate them."),
        string("source_split", None, "Split of the source; by default as of the data."),
        several("source_classes", None, "Classes of the source to keep."),
        number("source_noise", None, "Largest σ of white noise on source images."),
    ),
    "network": (
        integer("base_resolution", None, "Side of the coarsest level, in pixels."),
        integer("base_width", None, "Sets the channels of every level."),
        string("activation", None, "swish, silu, gelu, elu, celu, relu or leaky_relu."),
        boolean("spectral_norm", None, "Normalise the convolutions."),
        boolean("conditional", None, "Learn an energy of image and class label."),
        string(
            "dtype", None, "float32, or mixed_bfloat16 for faster convolutions on GPUs."
        ),
    ),
    "langevin": (
        several("steps", None, "Langevin steps: of every level, or level by level."),
        number("step_size", None, "Langevin step size η."),
        number("noise_scale", None, "Langevin noise σ at the first step."),
        number("final_noise_scale", None, "Langevin noise σ at the last step."),
    ),
    "stages": (
        string("fade_images", None, f"Images per fade-in: {_BY_LEVEL}"),
        string("stabilise_images", None, f"Images at β = 1: {_BY_LEVEL}"),
        string("batch_size", None, f"Images per step: {_BY_LEVEL}"),
        string("learning_rate", None, f"Learning rate of Adam: {_BY_LEVEL}"),
        string("accumulation", None, f"Parts of a batch, to save memory: {_BY_LEVEL}"),
    ),
    "training": (
        number("data_noise", None, "Standard deviation of the noise on data images."),
        number("energy_l2", None, "Weight of the L2 penalty on energies."),
        number("ema_decay", None, "Decay of the average of weights."),
        integer("seed", None, "Seed of weights, noise and the order of the images."),
        integer("report_steps", None, "Training steps per epoch, about."),
    ),
}
