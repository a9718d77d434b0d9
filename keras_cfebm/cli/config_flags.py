"""The flags that make a training configuration, section by section.

Not one has a value that is not given: that is as the preset or the file has it. What
`--help` shows as the default is that of images without either.
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
            "fashion_mnist_quick (of the demo fashion_mnist_demo), or the paper's "
            "values if --data names other images.",
        ),
        string("config", None, "JSON file to start from, such as a run's config.json."),
    ),
    "data": (
        string("data", None, "Embedded set, folder, .npy/.npz file or TFDS name."),
        string("split", None, "Split of the data.", usual="train, or a whole folder"),
        integer(
            "resolution", None, "Side of the finest images, in pixels.", usual="32"
        ),
        string(
            "fit",
            None,
            "How images are resized: exact, pad, resize or crop.",
            usual="crop for a folder, else exact",
        ),
        boolean(
            "flip", None, "Mirror half of the images left to right.", usual="false"
        ),
        number(
            "random_crop",
            None,
            "Smallest share of the area of random crops; 1 for none.",
            usual="1.0",
        ),
        several("classes", None, "Classes to keep; none named keeps all.", usual="all"),
        integer(
            "channels",
            None,
            "1 for grey, 3 for colour; for folders and TFDS.",
            usual="those of the files",
        ),
        integer(
            "crop_size",
            None,
            "Side of the square of --fit=crop before it is resized.",
            usual="the largest that fits",
        ),
        string("data_dir", None, "Where TFDS keeps its data.", usual="TFDS decides"),
    ),
    "source": (
        string(
            "source",
            None,
            "Images that chains start at, to translate them.",
            usual="none: chains start at noise",
        ),
        string("source_split", None, "Split of the source; by default as of the data."),
        several("source_classes", None, "Classes of the source to keep.", usual="all"),
        number(
            "source_noise",
            None,
            "Largest σ of white noise on source images.",
            usual="0.0",
        ),
    ),
    "network": (
        integer(
            "base_resolution", None, "Side of the coarsest level, in pixels.", usual="8"
        ),
        integer("base_width", None, "Sets the channels of every level.", usual="32"),
        string(
            "activation",
            None,
            "swish, silu, gelu, elu, celu, relu or leaky_relu.",
            usual="swish",
        ),
        boolean("spectral_norm", None, "Normalise the convolutions.", usual="true"),
        string(
            "inner",
            None,
            "Width between the convolutions of a block: that of its input, or output.",
            usual="input",
        ),
        boolean(
            "equalized",
            None,
            "Equalise the learning rate of 1×1 and linear layers.",
            usual="false",
        ),
        boolean(
            "conditional",
            None,
            "Learn an energy of image and class label.",
            usual="false",
        ),
        string(
            "dtype",
            None,
            "float32, or mixed_bfloat16 for faster convolutions on GPUs.",
            usual="float32",
        ),
    ),
    "langevin": (
        several(
            "steps",
            None,
            "Langevin steps: of every level, or level by level.",
            usual="15",
        ),
        number("step_size", None, "Langevin step size η.", usual="1.0"),
        number(
            "noise_scale", None, "Langevin noise σ at the first step.", usual="0.015"
        ),
        number(
            "final_noise_scale", None, "Langevin noise σ at the last step.", usual="0.0"
        ),
        string(
            "start_noise",
            None,
            "Where chains start: uniform or truncated_normal.",
            usual="uniform",
        ),
        integer(
            "chain_levels",
            None,
            "How many of the finest levels a chain runs through; None for all.",
            usual="None",
        ),
        number(
            "transition_noise",
            None,
            "Share ρ of fresh noise where a chain enters a finer level.",
            usual="0.0",
        ),
        number(
            "faithfulness",
            None,
            "How much source images hold their chains back: the weight λ of "
            "‖x − source‖² in the energy.",
            usual="0.0",
        ),
    ),
    "stages": (
        string(
            "fade_images",
            None,
            f"Images per fade-in: {_BY_LEVEL}",
            usual="500000, none at the coarsest",
        ),
        string(
            "stabilise_images",
            None,
            f"Images at β = 1: {_BY_LEVEL}",
            usual="500000, twice at the coarsest",
        ),
        string(
            "batch_size",
            None,
            f"Images per step: {_BY_LEVEL}",
            usual="8:256,16:128,32:64,64:64,128:32,256:16,512:16",
        ),
        string(
            "learning_rate",
            None,
            f"Learning rate of Adam: {_BY_LEVEL}",
            usual="8:0.001,16:0.001,32:0.001,64:0.0012,128:0.0015,256:0.002,512:0.002",
        ),
        string(
            "decay_images",
            None,
            f"Last images, while the learning rate falls: {_BY_LEVEL}",
            usual="0",
        ),
        string(
            "accumulation",
            None,
            f"Parts of a batch, to save memory: {_BY_LEVEL}",
            usual="1",
        ),
        string(
            "data_chains",
            None,
            f"Share of the chains that start at images, 0 or 1/n: {_BY_LEVEL}",
            usual="0.0",
        ),
        string(
            "data_chain_steps",
            None,
            f"Steps of those chains: {_BY_LEVEL}",
            usual="60",
        ),
        string(
            "data_chain_noise",
            None,
            f"Largest σ of the noise on images where those chains start: {_BY_LEVEL}",
            usual="0.0",
        ),
    ),
    "training": (
        number(
            "data_noise",
            None,
            "Standard deviation of the noise on data images.",
            usual="0.0",
        ),
        number(
            "chain_start_noise",
            None,
            "Standard deviation of the noise on source images.",
            usual="0.0",
        ),
        integer(
            "coarse_pool",
            None,
            "Samples of the coarser levels that chains of training start at; 0 for "
            "chains from noise.",
            usual="0",
        ),
        number("energy_l2", None, "Weight of the L2 penalty on energies.", usual="0.0"),
        number("ema_decay", None, "Decay of the average of weights.", usual="0.99"),
        integer(
            "seed",
            None,
            "Seed of weights, noise and the order of the images.",
            usual="0",
        ),
        integer("report_steps", None, "Training steps per epoch, about.", usual="100"),
    ),
}
