"""What exported signatures are asked in tests, and what the Python model answers."""

import numpy as np
import tensorflow as tf

from keras_cfebm import tasks
from keras_cfebm.tasks import saliency
from keras_cfebm.tasks.chain import Chain
from keras_cfebm.tasks.restoration import DENOISING, LADDER_INPAINTING

SEEDS = np.array([0, 7, 2**40 + 3], "int64")
OWN, THREE = np.zeros(3, "int32"), np.array([0, 2, 5], "int32")
LABELS = np.array([2, 0, 1], "int32")


def levels_of(images):
    """Images in [-1, 1] as uint8."""
    return np.rint((images + 1) * 127.5).astype("uint8")


def requests_of(model, images):
    """Cases for three images: "<signature>" or "<signature>:<case>" → inputs."""
    side = model.resolution
    chain = {"seeds": SEEDS, "steps": OWN}
    own_steps = {**chain, "steps": THREE}
    masks = np.zeros((3, side, side), bool)
    masks[:, 3:12, 5:] = True
    noisy = images + np.float32(0.5)
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
        }
    if model.num_classes is not None:
        cases = {
            case: given if case.startswith("anomaly") else {**given, "labels": LABELS}
            for case, given in cases.items()
        }
    return cases


def answers_of(model, detector, requests):
    """Cases → outputs, by the Python functions, row by row where there are seeds."""
    return {
        case: _answer(case.split(":")[0], model, detector, given)
        for case, given in requests.items()
    }


def _answer(signature, model, detector, given):
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
    found = _chains(signature, model, images, given)
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


def _chains(signature, model, images, given):
    """Each row by itself, as the first image of the stream of its own seed."""
    energies, settings = model.sampling_network, DENOISING
    if model.chain_start == "source":
        settings = model.finest_settings
    elif signature.startswith("generate"):
        energies, settings = model.sampling_ladder, model.langevin
    elif signature == "inpaint":
        energies, settings = model.sampling_ladder, LADDER_INPAINTING
    compiled, found = {}, []
    for i, (seed, steps) in enumerate(zip(SEEDS, given["steps"], strict=True)):
        if steps not in compiled:
            own = settings.replace(steps=int(steps)) if steps else settings
            compiled[steps] = Chain(energies, own)
        label = None if "labels" not in given else given["labels"][i]
        options = {"seed": int(seed), "labels": label, "saliency": True}
        one = None if images is None else images[i : i + 1]
        if one is None:
            pair = tasks.generate(compiled[steps], 1, **options)
        elif signature == "inpaint":
            pair = tasks.inpaint(compiled[steps], one, given["masks"][i], **options)
        else:
            pair = tasks.denoise(compiled[steps], one, **options)
        found.append(pair)
    images, maps = (np.concatenate(part) for part in zip(*found, strict=True))
    return {"images": images, "saliency": maps}
