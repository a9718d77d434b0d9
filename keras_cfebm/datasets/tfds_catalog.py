"""What is known of sets of TensorFlow Datasets before they are downloaded."""

import re

_TRAIN_TEST = ("train", "test")
_TRAIN_VALIDATION = ("train", "validation")
_TWO_DOMAINS = ("trainA", "trainB", "testA", "testB")
#: The splits of some sets.
SPLITS = {
    "mnist": _TRAIN_TEST,
    "fashion_mnist": _TRAIN_TEST,
    "cifar10": _TRAIN_TEST,
    "cifar100": _TRAIN_TEST,
    "svhn_cropped": ("train", "test", "extra"),
    # The ImageNet 32 x 32 of likelihood models. Its old address is gone: the two .tar
    # files have to be in downloads/manual. `imagenet_resized` can be downloaded.
    "downsampled_imagenet/32x32": _TRAIN_VALIDATION,
    "imagenet_resized/32x32": _TRAIN_VALIDATION,
    # 218 x 178: fit="resize" takes the whole image, fit="crop" the square in the
    # middle; crop_size=140 leaves the face (Song and Ermon, NeurIPS 2019, section 5).
    "celeb_a": ("train", "validation", "test"),
    "celeb_a_hq/256": ("train",),
    "celeb_a_hq/512": ("train",),
    "lsun/church_outdoor": _TRAIN_VALIDATION,
    "cats_vs_dogs": ("train",),
    "cycle_gan/apple2orange": _TWO_DOMAINS,
    "cycle_gan/horse2zebra": _TWO_DOMAINS,
    "cycle_gan/summer2winter_yosemite": _TWO_DOMAINS,
    "cycle_gan/vangogh2photo": _TWO_DOMAINS,
}
#: What the user has to put into `<data_dir>/downloads/manual`.
MANUAL_FILES = {
    "celeb_a_hq/256": "data256x256.tar",
    "celeb_a_hq/512": "data512x512.tar",
}
_SHORT_NAMES = {
    "lsun/church": "lsun/church_outdoor",
    "cycle_gan/summer2winter": "cycle_gan/summer2winter_yosemite",
}


def full_name(name: str) -> str:
    """The name in TensorFlow Datasets of a set that may be known by a shorter one."""
    return _SHORT_NAMES.get(name, name)


def tfds_test_split(name: str, split: str) -> str:
    """The split that is kept for judging what was trained on another.

    Args:
        name: str, of a set of TensorFlow Datasets, or a shorter one of ours.
        split: str, the split that was trained on.

    Returns:
        The set's test split, of two domains the matching one, or else its validation
        split. Of sets without any: what `split` leaves of a split, `"train[90%:]"` for
        `"train[:90%]"`, or `split` itself. A set that is not listed here is taken to
        have a test split.
    """
    splits = SPLITS.get(full_name(name))
    test = re.sub(r"\[.*?\]", "", split).replace("train", "test")
    if splits is None or test in splits:
        return test
    if "validation" in splits:
        return "validation"
    return re.sub(r"^(\w+)\[:(\d+%?)\]$", r"\1[\2:]", split)
