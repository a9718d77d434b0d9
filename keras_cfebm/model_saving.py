"""How a `CFEBM` is written and read: its configuration, presets and plain exports."""

import dataclasses
from typing import Any

import keras

from keras_cfebm.sampling import Langevin
from keras_cfebm.utils.typing import PathLike


class Saving:
    """Configuration, `from_preset` and `export` of a model with a ladder; a mixin.

    The model offers `ladder`, `sampling_network` and `_arguments`, those of its
    constructor but for the ladder.
    """

    def export(self, filepath: PathLike, **kwargs: Any) -> None:
        """Writes the energy of the finest level by itself; see `EnergyNetwork.export`.

        Not what a server needs to generate: that is `keras_cfebm.export_saved_model`.
        """
        self.sampling_network.export(filepath, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            **self._arguments(),
            "langevin": dataclasses.asdict(self.langevin),
            "ladder": [keras.saving.serialize_keras_object(n) for n in self.ladder],
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["ladder"] = [
            keras.saving.deserialize_keras_object(network)
            for network in config["ladder"]
        ]
        config["langevin"] = Langevin(**config["langevin"])
        return cls(**config)

    @classmethod
    def from_preset(cls, name: str, load_weights: bool = True) -> Any:
        """The model of a named configuration.

        Args:
            name: str, a key of `keras_cfebm.configs.PRESETS`.
            load_weights: bool, whether to load pretrained weights. Without any for this
                preset the model is untrained, and a warning says so.

        Returns:
            `CFEBM`: the pretrained ladder, or the untrained model of the preset's first
            stage. Data are neither read nor downloaded.

        Raises:
            ValueError: if the name is unknown; the message lists all names.
        """
        # Here, because presets are made of models.
        from keras_cfebm.configs import pretrained

        return pretrained.model_of(name, load_weights)
