"""Training in a folder with callbacks of one's own."""

import json

import keras

from keras_cfebm import configs, train
from keras_cfebm.configs.stages import Stage


class Counting(keras.callbacks.Callback):
    """Counts epochs, and travels with checkpoints."""

    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def get_state(self):
        return {"epochs": self.epochs}

    def get_arrays(self):
        return {}

    def set_state(self, state, arrays):
        self.epochs = state["epochs"]


def test_extra_callbacks_see_every_epoch_and_are_in_the_checkpoint(tmp_path):
    tiny = configs.config("tiny")
    config = tiny.replace(
        stages=(Stage(8, 0, 8, batch_size=8), Stage(16, 8, 8, batch_size=8)),
        langevin=tiny.langevin.replace(steps=1),
    )
    own, plain = Counting(), keras.callbacks.LambdaCallback()
    train(config, tmp_path / "run", extra_callbacks=[own, plain], verbose=0)
    assert own.epochs == 2
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    assert len(state["companions"]) == 3 and state["companions"][-1] == {"epochs": 2}
