"""What exported signatures are asked in tests, and what the Python model answers."""

import numpy as np
import tensorflow as tf

from keras_cfebm import tasks
from keras_cfebm.tasks import saliency
from keras_cfebm.tasks.chain import Chain
from keras_cfebm.tasks.energies import guided
from keras_cfebm.tasks.inverse_problems import RESTORATION
from keras_cfebm.tasks.restoration import DENOISING, LADDER_INPAINTING
from keras_cfebm.tasks.translation import single_settings

SEEDS = np.array([0, 7, 2**40 + 3], "int64")
OWN, THREE = np.zeros(3, "int32"), np.array([0, 2, 5], "int32")
LABELS = np.array([2, 0, 1], "int32")
ONE, SPEEDS = np.ones(3, "float32"), np.array([3, 1, 2.5], "float32")
GUIDANCE, GUIDANCES = np.full(3, 1.5, "float32"), np.array([0, 1.5, -1], "float32")
NOISE = np.array([0, 0.1, 0.3], "float32")
SAMPLES = np.array([3, 1, 2], "int32")


def levels_of(images):
    """Images in [-1, 1] as uint8."""
    return np.rint((images + 1) * 127.5).astype("uint8")


def requests_of(model, images):
    """Cases for three images: "<signature>" or "<signature>:<case>" → inputs."""
    side = model.resolution
    chain = {"seeds": SEEDS, "steps": OWN, "speed": ONE}
    own_steps = {**chain, "steps": THREE, "speed": SPEEDS}
    masks = np.zeros((3, side, side), bool)
    masks[:, 3:12, 5:] = True
    noisy = images + np.float32(0.5)
    restoration = {"noise": NOISE, "samples": SAMPLES, **chain}
    some = masks & (np.arange(3) < 2)[:, None, None]
    measured = np.where(NOISE[:, None, None, None] > 0, noisy, images)
    small = levels_of(images[:, 2:, 1:])
    files = {"image_bytes": np.array([tf.io.encode_png(i).numpy() for i in small])}
    cases = {
        "energy": {"images": images},
        "serving_default": {"images": images},
        "anomaly_score": {"images": images},
        "saliency": {"images": images},
        "denoise": {"images": noisy, **chain},
        "energy_bytes": files,
        "anomaly_score_bytes": files,
    }
    if model.chain_start == "source":
        cases |= {
            "translate": {"images": images, **chain},
            "translate:steps": {"images": images, **own_steps},
            "translate_png": {**files, **chain},
        }
    else:
        cases |= {
            "denoise:steps": {"images": noisy, **own_steps},
            "generate": chain,
            "generate:steps": own_steps,
            "inpaint": {"images": images, "masks": masks, **chain},
            "generate_png": chain,
            "restore": {"images": measured, "masks": some, **restoration},
        }
        for name in ["mean_pool_2", "mean_pool_4"] + ["grey"] * (images.shape[-1] == 3):
            seen = np.asarray(tasks.operator_of(name).forward(measured))
            cases[f"restore_{name}"] = {"images": seen, **restoration}
    if model.num_classes is not None:
        for case, given in cases.items():
            if not case.startswith("anomaly"):
                cases[case] = {**given, "labels": LABELS}
                if "seeds" in given:  # each chain of its own settings is compiled anew
                    of_rows = GUIDANCES if case.endswith(":steps") else GUIDANCE
                    cases[case]["guidance"] = of_rows
    return cases


def answers_of(model, detector, requests):
    """Cases → outputs, by the Python functions, row by row where there are seeds."""
    chains = {}
    return {
        case: _answer(case.split(":")[0], model, detector, given, chains)
        for case, given in requests.items()
    }


def _answer(signature, model, detector, given, chains):
    labels = given.get("labels")
    network = model.sampling_network
    images = _padded(given, model) if "image_bytes" in given else given.get("images")
    if signature in ("energy", "serving_default", "energy_bytes"):
        return {"energy": tasks.anomaly_scores(network, images, labels=labels)}
    if signature.startswith("anomaly_score"):
        score = detector.scores(images, labels)
        return {"score": score, "anomalous": detector.detect(images, labels)}
    if signature == "saliency":
        return {"saliency": saliency.input_gradient(network, images, labels)}
    rows = [_row(signature, model, images, given, index, chains) for index in range(3)]
    found = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    if signature.endswith("_png"):
        return {"levels": levels_of(found["images"])}
    if signature == "generate":
        del found["saliency"]
    return found


def _padded(given, model):
    """The images of the files, one row or column of black around them."""
    files = given["image_bytes"]
    small = np.stack([tf.io.decode_png(file).numpy() for file in files])
    padded = np.full((len(files), *model.image_shape), -1.0, "float32")
    padded[:, 1:-1, :-1] = small / np.float32(127.5) - 1
    return padded


def _row(signature, model, images, given, index, chains):
    """A row by itself, as the first image of the stream of its own seed."""
    values = {name: value[index] for name, value in given.items()}
    task = signature.split("_")[0]
    dials = [values.get(name, 0) for name in ("steps", "speed", "guidance")]
    key = task, *map(float, dials)
    if key not in chains:
        chains[key] = _chain(task, model, *dials)
    options = {"seed": int(values["seeds"]), "labels": values.get("labels")}
    one = None if images is None else images[index : index + 1]
    if task == "restore":
        operator = tasks.Identity()
        if values.get("masks", np.False_).any():
            operator = tasks.Mask(values["masks"])
        elif signature != "restore":
            operator = tasks.operator_of(signature.removeprefix("restore_"))
        noise, samples = float(values["noise"]), int(values["samples"])
        options["image_shape"] = model.image_shape
        found = tasks.restore(chains[key], one, operator, noise, samples, **options)
        return found._asdict()
    options["saliency"] = True
    if one is None:
        pair = tasks.generate(chains[key], 1, **options)
    elif task == "inpaint":
        pair = tasks.inpaint(chains[key], one, values["masks"], **options)
    else:
        pair = tasks.denoise(chains[key], one, **options)
    return dict(zip(("images", "saliency"), pair, strict=True))


def _chain(task, model, steps, speed, guidance):
    energies = model.sampling_ladder
    if task in ("denoise", "translate"):
        energies, settings = energies[-1:], single_settings(model, DENOISING)
    elif task == "generate":
        settings = model.langevin
    else:
        default = {"inpaint": LADDER_INPAINTING, "restore": RESTORATION}[task]
        settings = model.adapted(default)
    if guidance:
        energies = [guided(network, float(guidance)) for network in energies]
    settings = settings.replace(steps=int(steps)) if steps else settings
    return Chain(energies, settings.faster(float(speed)))
