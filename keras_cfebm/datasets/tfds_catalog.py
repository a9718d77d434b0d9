"""What is known of sets of TensorFlow Datasets before they are downloaded."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One set.

    Attributes:
        splits: names of its splits; empty if not known.
        manual: what the user has to put into `<data_dir>/downloads/manual`.
    """

    splits: tuple[str, ...] = ()
    manual: str | None = None


_TRAIN_TEST = Recipe(splits=("train", "test"))
_TRAIN_VALIDATION = Recipe(splits=("train", "validation"))
_TWO_DOMAINS = Recipe(splits=("trainA", "trainB", "testA", "testB"))
#: Shorter names of ours.
_NAMES = {
    "lsun/church": "lsun/church_outdoor",
    "cycle_gan/summer2winter": "cycle_gan/summer2winter_yosemite",
}
_RECIPES = {
    "mnist": _TRAIN_TEST,
    "fashion_mnist": _TRAIN_TEST,
    "cifar10": _TRAIN_TEST,
    "cifar100": _TRAIN_TEST,
    "svhn_cropped": Recipe(splits=("train", "test", "extra")),
    # The ImageNet 32 x 32 of likelihood models. Its old address is gone: the two .tar
    # files have to be in downloads/manual. `imagenet_resized` can be downloaded.
    "downsampled_imagenet/32x32": _TRAIN_VALIDATION,
    "imagenet_resized/32x32": _TRAIN_VALIDATION,
    # 218 x 178: fit="resize" takes the whole image, fit="crop" the square in the
    # middle; crop_size=140 leaves the face (Song and Ermon, NeurIPS 2019, section 5).
    "celeb_a": Recipe(splits=("train", "validation", "test")),
    "celeb_a_hq/256": Recipe(splits=("train",), manual="data256x256.tar"),
    "celeb_a_hq/512": Recipe(splits=("train",), manual="data512x512.tar"),
    "lsun/church_outdoor": _TRAIN_VALIDATION,
    "cats_vs_dogs": Recipe(splits=("train",)),
    "cycle_gan/apple2orange": _TWO_DOMAINS,
    "cycle_gan/horse2zebra": _TWO_DOMAINS,
    "cycle_gan/summer2winter_yosemite": _TWO_DOMAINS,
    "cycle_gan/vangogh2photo": _TWO_DOMAINS,
}


def find_recipe(name: str) -> tuple[str, Recipe]:
    """Looks a set up.

    Args:
        name: str, ours or that of TensorFlow Datasets.

    Returns:
        `(name in TensorFlow Datasets, Recipe)`; an empty one for any other set.
    """
    name = _NAMES.get(name, name)
    return name, _RECIPES.get(name, Recipe())


def held_out_split(name: str, split: str) -> str:
    """The split that is kept for judging what was trained on another.

    Args:
        name: str, as for `find_recipe`.
        split: str, the split that was trained on.

    Returns:
        The set's test split, of two domains the matching one, or else its validation
        split. Of sets without any: what `split` leaves of a split, `"train[90%:]"` for
        `"train[:90%]"`, or `split` itself. A set without a recipe is taken to have a
        test split.
    """
    _, recipe = find_recipe(name)
    test = re.sub(r"\[.*?\]", "", split).replace("train", "test")
    if not recipe.splits or test in recipe.splits:
        return test
    if "validation" in recipe.splits:
        return "validation"
    return re.sub(r"^(\w+)\[:(\d+%?)\]$", r"\1[\2:]", split)
