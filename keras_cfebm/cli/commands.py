"""The commands of `cfebm`: what each is for, and its flags.

The module of the same name in this folder does the work. It imports the library, so it
is itself imported only after the command line was understood.
"""

import dataclasses

from absl import flags

from keras_cfebm.cli import flag
from keras_cfebm.cli.config_flags import CONFIG_FLAGS
from keras_cfebm.cli.flag import Flag, boolean, choice, integer, number, several, string

_DEFAULTS = (
    "Where no default is shown, the run or the task decides; a preset or a --config\n"
    "brings its own values."
)


class Command:
    """One command.

    Args:
        summary: str, its line in `cfebm --help`.
        *rows: its `Flag`s, in the order of `cfebm COMMAND --help`.
    """

    def __init__(self, summary: str, *rows: Flag):
        self.summary = summary
        self.rows = rows

    def described(self) -> str:
        """What `--help` says of the command and its flags."""
        lines = [f"{self.summary[0].upper()}{self.summary[1:]}.", ""]
        if self.rows:
            lines += [_DEFAULTS, "", *(row.described() for row in self.rows)]
        return "\n".join(lines)

    def flag_values(self) -> flags.FlagValues:
        """The flags, ready to parse a command line."""
        values = flags.FlagValues()
        for row in self.rows:
            row.define(values)
        return values


_CONFIG = [row for rows in CONFIG_FLAGS.values() for row in rows]

COMMANDS = {
    "train": Command(
        "train a model, or go on with a run that was stopped",
        flag.RUN_DIR,
        boolean("guard", True, "Roll back when training diverges."),
        boolean(
            "replace_config",
            False,
            "Go on in a folder that holds another configuration, with the new one.",
        ),
        choice(
            "strategy",
            None,
            "Train on all GPUs of this machine, or with all workers in TF_CONFIG; by "
            "default on one device.",
            enum_values=["mirrored", "multi_worker"],
        ),
        *_CONFIG,
    ),
    "presets": Command("list the named configurations of training"),
    "sample": Command(
        "generate images with a trained model",
        flag.MODEL,
        string("output", "samples.png", "PNG grid; all images go beside it as .npy."),
        *flag.images(64, seed=None),
        flag.LABEL,
        flag.GUIDANCE,
        flag.SPEED,
    ),
    "demo": Command(
        "train on the embedded images and judge the samples",
        string("run_dir", "runs/demo", "Run folder."),
        integer("samples", 2000, "Samples to judge.", lower_bound=65),
        # Its defaults are the preset's.
        *(dataclasses.replace(row, usual=None) for row in _CONFIG),
    ),
    "interpolate": Command(
        "go from one sample to another through the noise (Sec. 4.1)",
        *flag.task(8, seed=None),
        integer("columns", 8, "Images per row; there are --count rows.", lower_bound=2),
        boolean("even", False, "Even steps of what is seen, not of the starts."),
        flag.LABEL,
        flag.SPEED,
    ),
    "neighbours": Command(
        "show samples beside their nearest training images",
        *flag.task(256),
        *flag.DATA,
    ),
    "denoise": Command(
        "remove noise from images, beside classical filters (Sec. 4.2)",
        *flag.task(200),
        *flag.DATA,
        *flag.CHAIN,
        flag.SAMPLES,
        several(
            "sigma",
            ["0.1", "0.2", "0.3"],
            "Standard deviations of the noise, on images in [-1, 1].",
        ),
    ),
    "inpaint": Command(
        "fill missing pixels, beside classical methods (Sec. 4.2)",
        *flag.task(100),
        *flag.DATA,
        *flag.CHAIN,
        flag.SPEED,
        flag.SAMPLES,
        string(
            "mask",
            "center",
            "center, left_half, random_25, or an image file that is white where pixels "
            "are missing.",
        ),
        boolean("ladder", True, "Fill from coarse to fine; or at the finest level."),
    ),
    "restore": Command(
        "restore measured images: enlarge, colourise, fill, denoise",
        *flag.task(100),
        *flag.DATA,
        *flag.CHAIN,
        flag.SPEED,
        flag.SAMPLES,
        string(
            "operator",
            "mean_pool_2",
            "What was measured: mean_pool_2, mean_pool_4 … (small images), grey (of "
            "colours), identity, or the pixels that a mask leaves, see inpaint --mask.",
        ),
        number("sigma", 0.0, "Standard deviation of its noise, on images in [-1, 1]."),
        string(
            "initial",
            None,
            "Classical method at whose images the chains start, such as bicubic, "
            "biharmonic or non_local_means; by default at noise.",
        ),
    ),
    "detect": Command(
        "tell anomalies from normal images, with a threshold (Sec. 4.3)",
        *flag.task(1000),
        *flag.DATA,
        several(
            "against",
            None,
            "Anomalies: digits, uniform, constant, interpolation, held_out_classes (of "
            "a model of some classes only), grey, black, inverted, noisy, blurred, "
            "rotated, shuffled, or image sets such as svhn_cropped; by default the "
            "first five.",
        ),
        flag.FALSE_POSITIVE_RATE,
    ),
    "translate": Command(
        "turn images of one domain into another's (Sec. 4.4)",
        *flag.task(200),
        *flag.SOURCE,
        *flag.DATA,
        boolean("paired", False, "Whether target i is the translation of source i."),
        number(
            "faithfulness",
            None,
            "How much the source holds its image back: the weight λ of ‖x − source‖² "
            "in the energy; 0.01 to 0.1 is usual, by default it is that of training.",
            lower_bound=0,
        ),
        flag.SPEED,
    ),
    "saliency": Command(
        "show what a chain changes, and which pixels an energy depends on",
        *flag.task(8),
        *flag.DATA,
        *flag.SOURCE,
        choice(
            "of",
            None,
            "Task whose chain is shown; by default what the model was trained for.",
            enum_values=["denoise", "translate"],
        ),
        number("sigma", 0.3, "Standard deviation of the noise that denoise removes."),
        boolean(
            "defects",
            False,
            "Also map how far features are from those of training images, and judge "
            "maps by defects that are made here.",
        ),
    ),
    "export": Command(
        "write a SavedModel for TensorFlow Serving, or a web page",
        flag.MODEL,
        choice(
            "format",
            "saved_model",
            "saved_model, or web: a page that runs the model in the reader's browser.",
            enum_values=["saved_model", "web"],
        ),
        string(
            "output",
            None,
            "Folder of versions, by default serving/RUN beside the model; or of the "
            "page, by default web, to which further models are added.",
        ),
        string(
            "runtime",
            None,
            "Folder or address that has TensorFlow.js for a page; by default npm "
            "fetches it.",
        ),
        integer("version", None, "By default the next one.", lower_bound=1),
        integer("max_steps", 200, "Most Langevin steps of a request.", lower_bound=1),
        integer("max_rows", 1024, "Most rows of a (merged) request.", lower_bound=1),
        choice(
            "image_fit",
            None,
            "How image files fit: exactly, or smaller ones padded with black; by "
            "default pad if the run pads its images.",
            enum_values=["exact", "pad"],
        ),
        several(
            "signatures", None, "Names of those to write beside energy; by default all."
        ),
        choice(
            "dtype",
            "float32",
            "Images of requests and answers: floats, or bytes, 0 to 255.",
            enum_values=["float32", "uint8"],
        ),
        boolean("threshold", True, "Fit anomaly_score's threshold to held-out images."),
        choice(
            "score",
            "ladder",
            "Anomaly score: ladder, of all levels, or one of the finest energy.",
            enum_values=["ladder", "energy", "gradient_norm", "typicality"],
        ),
        flag.FALSE_POSITIVE_RATE,
        *flag.DATA,
        *flag.SOURCE,
    ),
    "serve": Command(
        "answer REST and gRPC requests to a SavedModel",
        dataclasses.replace(
            flag.MODEL,
            text="Folder of versions that cfebm export wrote, or the model that it "
            "wrote them of, as other commands take it.",
        ),
        string("name", None, "Name of the model; by default the folder's."),
        string("host", "127.0.0.1", "Address."),
        integer("rest_port", 8501, "0 for a free one."),
        integer("grpc_port", 8500, "0 for a free one."),
        integer(
            "max_batch_size",
            0,
            "Merge waiting requests up to so many rows; 0 runs each by itself.",
            lower_bound=0,
        ),
        integer("max_waiting", 128, "Requests that may wait.", lower_bound=1),
        number("timeout", 30.0, "Seconds that an answer may take.", lower_bound=0.1),
    ),
    "evaluate": Command(
        "measure the distance of samples to real images: FID and its kin",
        *flag.task(50_000),
        *flag.DATA,
        string(
            "inception",
            None,
            "Weights file of the Inception network of the literature, for what is "
            "called FID; by default the shipped Fashion-MNIST classifier encodes.",
        ),
        string("cache_dir", None, "Where to keep statistics of the reference."),
        boolean(
            "train_reference",
            True,
            "Compare with the training images, as the literature does, or with the "
            "test split.",
        ),
        flag.GUIDANCE,
        flag.SPEED,
    ),
    "diagnose": Command(
        "judge an energy: longer chains, detail, images of nothing",
        *flag.task(128),
        *flag.DATA,
        several(
            "factors",
            ["1", "3", "10"],
            "Lengths of chains, as multiples of the trained one; they ascend.",
        ),
    ),
    "report": Command(
        "turn a run folder into one HTML page",
        flag.RUN_DIR,
        string("output", None, "HTML file; by default RUN_DIR/report.html."),
    ),
}
