"""Energies made of energies: sums, negations, one class of many, guidance.

A sum of energies is the energy of a product of densities, a weight is a power, and a
negative weight keeps away from what that energy finds likely (Du, Li and Mordatch,
*Compositional visual generation with energy based models*, NeurIPS 2020):

    weighted([(E1, 1.0), (E2, 1.0)])     p1 · p2       likely to both
    weighted([(E1, 1.0), (E2, -0.3)])    p1 / p2^0.3   likely to E1, and less to E2
    weighted([(E1, 0.5)])                p1^0.5        a higher temperature

Nothing is trained. What is made is an energy as a network is one, so that every task
takes it; of ladders it is made level by level. As the densities are not normalised, no
task knows how likely the result is.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from keras import ops

from keras_cfebm.sampling import bind
from keras_cfebm.utils.typing import Energy, Tensor
from keras_cfebm.utils.validation import check_labels, check_number


@dataclasses.dataclass(frozen=True)
class ComposedEnergy:
    """An energy made of others, with what tasks ask of one.

    Args:
        bind: function of labels, a tensor or None, that returns the energy as a
            function of images; see `keras_cfebm.sampling.bind`. It treats each image by
            itself, unless one of `terms` does not.
        image_shape: tuple of ints, shape of one image; None if it is not known.
        num_classes: int; None if it takes no labels.
        class_names: tuple of str, the names of the classes; None without any.
        terms: tuple of the energies it is made of, where they may be any functions.

    Call arguments:
        images: tensor of shape `(batch, height, width, channels)`.
        labels: integer tensor of shape `(batch,)`; required with classes.

    Returns:
        Energies of shape `(batch,)`, low = likely.
    """

    bind: Callable[[Tensor | None], Energy]
    image_shape: tuple[int, ...] | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    terms: tuple[Any, ...] = ()

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.bind(labels)(images)


def weighted(terms: Iterable[tuple[Any, float]]) -> ComposedEnergy:
    """The energy Σ w_i · E_i(x), of the density Π p_i(x)^w_i.

    The gradient of the sum has to suit the step size: with weights that add up to 1,
    chains may keep the settings that the energies were trained with.

    Args:
        terms: pairs of an energy and a float, its weight, which may be negative. An
            energy is a function of images, or what has `bind`, such as a network. All
            energies with classes get the same labels.

    Returns:
        `ComposedEnergy`.

    Raises:
        ValueError: if there are no terms, an energy cannot be called, a weight is not
            finite, or the energies differ in the shape of their images or in classes.

    Example:

    ```python
    ladder = [
        weighted([(of_class(network, "Sandal"), 1.5), (of_class(network, "Bag"), -0.5)])
        for network in model.sampling_ladder
    ]
    images = tasks.generate(ladder, 8, settings=model.langevin)
    ```
    """
    terms = [(energy, check_number(w, "weight", "(-inf, inf)")) for energy, w in terms]
    energies = [energy for energy, _ in terms]
    if not energies or not all(map(callable, energies)):
        raise ValueError(
            "Expected at least one pair of an energy, a function of images, and its "
            f"weight, received {terms!r}."
        )

    def bound(labels: Tensor | None = None) -> Energy:
        parts = [
            (bind(energy, labels if _takes_labels(energy) else None), weight)
            for energy, weight in terms
        ]
        return lambda x: sum(weight * part(x) for part, weight in parts)

    return ComposedEnergy(
        bound,
        _common(energies, "image_shape"),
        _common(energies, "num_classes"),
        _common(energies, "class_names"),
        tuple(energies),
    )


def of_class(energy: Any, label: int | str) -> ComposedEnergy:
    """The energy E(x, label) of one class, an energy without classes.

    Args:
        energy: conditional energy, such as an `EnergyNetwork` with classes.
        label: int or, of an energy that knows their names, str; the class.

    Returns:
        `ComposedEnergy`.

    Raises:
        ValueError: if the energy takes no labels, or has no such class.
    """
    _require_classes(energy)
    names = getattr(energy, "class_names", None)
    number = check_labels(label, 1, energy.num_classes, names)

    def bound(labels: Tensor | None = None) -> Energy:
        return bind(energy, ops.convert_to_tensor(number))  # serves all images

    shape = getattr(energy, "image_shape", None)
    return ComposedEnergy(bound, shape, terms=(energy,))


def any_class(network: Any) -> ComposedEnergy:
    """The energy −log Σ_y exp(−E(x, y)) of a conditional one: of an image of any class.

    Args:
        network: `EnergyNetwork` with classes.

    Returns:
        `ComposedEnergy` without classes.

    Raises:
        ValueError: if the network has no classes.
    """
    _require_classes(network)

    def bound(labels: Tensor | None = None) -> Energy:
        features = network.bind_features()
        return lambda x: features(x)[-1]

    return ComposedEnergy(bound, network.image_shape)


def guided(network: Any, guidance: float) -> ComposedEnergy:
    """A conditional energy that tells classes apart more, or less, than was learned.

    The energy of image and class is linear(f(x)) + ⟨e(y), f(x)⟩ with features f and
    the embedding e of the class. Guidance w moves e(y) away from its mean over classes:

        E_w(x, y) = linear(f(x)) + ⟨ē + (1 + w) · (e(y) − ē), f(x)⟩
                  = E(x, y) + w · (E(x, y) − mean_c E(x, c))

    So images are more likely the more their class stands out, at the price of their
    variety. 0 is the model itself, −1 forgets the class.

    Args:
        network: `EnergyNetwork` with classes.
        guidance: float, w; 0.5 to 2 is usual.

    Returns:
        `ComposedEnergy` with the classes of the network.

    Raises:
        ValueError: if the network has no classes, or the guidance is not finite.

    Example:

    ```python
    ladder = [guided(network, 1.0) for network in model.sampling_ladder]
    images = tasks.generate(ladder, 8, settings=model.langevin, labels=3)
    ```
    """
    _require_classes(network)
    check_number(guidance, "guidance", "(-inf, inf)")

    def bound(labels: Tensor | None = None) -> Energy:
        return network.bind(labels, guidance)

    return ComposedEnergy(
        bound,
        network.image_shape,
        network.num_classes,
        getattr(network, "class_names", None),
    )


def _takes_labels(energy):
    return getattr(energy, "num_classes", None) is not None


def _require_classes(energy):
    if not _takes_labels(energy):
        raise ValueError(
            "Expected an energy with classes, one whose num_classes is a number, "
            f"received {energy!r}."
        )


def _common(energies, name):
    """What all energies that have this attribute agree on, or None."""
    found = {value for e in energies if (value := getattr(e, name, None)) is not None}
    if len(found) > 1:
        raise ValueError(
            f"Expected energies of one {name}, received {sorted(found, key=str)}."
        )
    return found.pop() if found else None
