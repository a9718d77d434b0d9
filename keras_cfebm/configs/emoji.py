"""Presets in colour: people of an emoji font, whom a script writes as image files."""

from dataclasses import replace

from keras_cfebm.configs.preset import Preset
from keras_cfebm.configs.run_config import DataConfig, NetworkConfig, RunConfig
from keras_cfebm.configs.stages import Stage
from keras_cfebm.sampling import Langevin

ORIGIN = "python -m keras_cfebm.assets.make_emoji writes it"

#: As with garments, steps grow with the resolution. The images are few: with a longer
#: stage, the energy of 16 pixels became ever steeper and diverged.
_PORTRAITS = RunConfig(
    data=DataConfig(
        "./emoji/portraits", "train", 64, "crop", flip=True, options={"channels": 3}
    ),
    network=NetworkConfig(base_width=16, widths={4: 64, 8: 64, 16: 64, 32: 32, 64: 16}),
    langevin=Langevin(
        steps=(20, 12, 10, 8), step_size=(1.0, 4.0, 16.0, 64.0), noise_scale=0.01
    ),
    stages=(
        Stage(8, 0, 112_000, 64, 1e-3, decay_images=32_000),
        Stage(16, 12_800, 57_600, 32, 2e-3, decay_images=38_400),
        Stage(32, 12_800, 102_400, 32, 2e-3, decay_images=57_600),
        Stage(64, 12_800, 64_000, 32, 2e-3, decay_images=38_400),
    ),
    data_noise=0.01,
    ema_decay=0.999,
    coarse_pool=12_000,
    report_steps=200,
)


def _part(name):
    return replace(_PORTRAITS.data, name=f"./emoji/{name}", resolution=32)


#: A local energy, which sees some ten pixels, and faithfulness in training: more of the
#: clothes keep their colours. There is no coarser level, as tones change no shape. With
#: clipping at the end of chains grey hair turned blue.
_YELLOW_TO_DARK = RunConfig(
    data=_part("portrait_tones/dark"),
    source=_part("portrait_tones/yellow"),
    network=NetworkConfig(32, base_width=16, widths={16: 64, 32: 64}),
    langevin=Langevin(15, step_size=4.0, noise_scale=0.0, clip=None, faithfulness=0.01),
    stages=(Stage(32, 0, 19_200, 32, 1e-3, decay_images=9_600),),
    data_noise=0.03,
    ema_decay=0.995,
    chain_start_noise=0.03,
    report_steps=50,
)

#: A larger change, from few images. With more noise on them, and fewer steps, less is
#: learned by heart; faithfulness keeps the background clean.
_WOMAN_TO_MAN = _YELLOW_TO_DARK.replace(
    data=_part("genders/man"),
    source=_part("genders/woman"),
    network=NetworkConfig(32, base_width=16, widths={16: 48, 32: 64}),
    langevin=_YELLOW_TO_DARK.langevin.replace(steps=20, faithfulness=0.02),
    stages=(Stage(32, 0, 12_800, 32, 1e-3, decay_images=6_400),),
    data_noise=0.2,
    chain_start_noise=0.2,
)

PRESETS = {
    "emoji_portraits": Preset(
        "People in colour, head and shoulders, of an emoji font.",
        _PORTRAITS,
        channels=3,
        origin=ORIGIN,
    ),
    "emoji_yellow_to_dark": Preset(
        "Gives people of an emoji font, head and shoulders, dark skin.",
        _YELLOW_TO_DARK,
        channels=3,
        origin=ORIGIN,
    ),
    "emoji_woman_to_man": Preset(
        "Turns the women of an emoji font into men.",
        _WOMAN_TO_MAN,
        channels=3,
        origin=ORIGIN,
    ),
}
