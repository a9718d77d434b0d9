"""Pictures: the right pixels in the right place, and clear errors for the rest."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from keras_cfebm import visualization
from keras_cfebm.datasets.pixels import to_uint8
from keras_cfebm.visualization.sheet import caption_font, wrapped


def noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, shape).astype("float32")


def chain(chains=2, channels=1):
    sizes = (8, 8, 16, 32)
    return [noise(chains, s, s, channels, seed=i) for i, s in enumerate(sizes)]


def log(count=12, **changes):
    row = {
        "beta": 1.0,
        "data_energy": 0.1,
        "sample_energy": 0.2,
        "gap": -0.1,
        "gradient_norm": 1.0,
    }
    rows = [
        row | {"step": i, "stage": i * 3 // count, "resolution": 8 << (i * 3 // count)}
        for i in range(count)
    ]
    rows[-1] |= changes
    return rows


def stage_lines(axes):
    return [line for line in axes.lines if line.get_linestyle() == "--"]


def is_blank(image):
    return (np.asarray(image) == 255).all()


def png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("titles", [None, "abcde"])
def test_a_plot_is_crisp(tmp_path, channels, titles):
    images = noise(5, 8, 6, channels)
    path = tmp_path / "plot.png"
    visualization.plot(images, 3, 2, titles=titles and list(titles), path=path)
    shown = np.asarray(Image.open(path).convert("RGB"))
    expected = np.broadcast_to(to_uint8(images), (5, 8, 6, 3)).repeat(2, 1).repeat(2, 2)
    room = 20 * bool(titles)
    for k, image in enumerate(expected):
        y, x = 4 + room + (k // 3) * (16 + 4 + room), 4 + (k % 3) * (12 + 4)
        np.testing.assert_array_equal(shown[y : y + 16, x : x + 12], image)
    assert shown.shape[1] == 4 + 3 * (12 + 4)


def test_bytes_are_plotted_on_the_screen_as_floats_are(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "matplotlib.pyplot.show",
        lambda: seen.append([a.images[0].get_array() for a in pyplot.gcf().axes]),
    )
    images = noise(2, 8, 8, 1)
    for each in (images, to_uint8(images)):
        visualization.plot(each)
        pyplot.close()
    np.testing.assert_array_equal(*seen)
    with pytest.raises(ValueError, match="titles as 2 strings"):
        visualization.plot(images, titles=["a"])


@pytest.mark.parametrize("channels", [1, 3])
def test_every_tile_of_a_grid_is_its_image(channels):
    images = noise(5, 8, 6, channels)
    pixels = np.asarray(visualization.image_grid(images, 3, scale=2, padding=4))
    for k, image in enumerate(to_uint8(images)):
        y, x = 4 + (k // 3) * (16 + 4), 4 + (k % 3) * (12 + 4)
        tile = pixels[y : y + 16, x : x + 12]
        np.testing.assert_array_equal(tile[::2, ::2], np.broadcast_to(image, (8, 6, 3)))
        np.testing.assert_array_equal(tile[1::2, 1::2], tile[::2, ::2])
    assert is_blank(pixels[24:40, 36:])  # the sixth place stays empty


@pytest.mark.parametrize(("size", "tile"), [(7, 70), (8, 64), (28, 84), (100, 100)])
def test_tiles_are_at_least_64_pixels_by_default(size, tile):
    grid = visualization.image_grid(noise(1, size, size, 1), padding=0)
    assert grid.size == (tile, tile)


def test_a_grid_is_square_by_default():
    grid = visualization.image_grid(noise(9, 8, 8, 1), padding=0)
    assert grid.size == (3 * 64, 3 * 64)


def test_captions_add_paper_and_move_no_pixel():
    images = noise(4, 8, 8, 1)
    plain = visualization.image_grid(images)
    captioned = visualization.image_grid(
        images, row_captions=["a", "b"], column_captions=["c", "d"]
    )
    left = captioned.width - plain.width
    below = captioned.height - plain.height
    assert left > 0 and below > 0
    body = captioned.crop((left + 4, 0, captioned.width, plain.height))
    np.testing.assert_array_equal(body, plain.crop((4, 0, *plain.size)))
    assert not is_blank(captioned.crop((0, 0, left, plain.height)))
    assert not is_blank(captioned.crop((left, plain.height, *captioned.size)))


def test_long_captions_do_not_run_into_each_other():
    images = noise(2, 8, 8, 1)
    names = ["incomprehensibilities", "unmistakably"]
    grid = visualization.image_grid(images, 2, padding=4, column_captions=names)
    strip = np.asarray(grid)[72:]
    word = caption_font(64).getlength(names[0])
    assert grid.width >= 2 * word
    ink = (strip != 255).any(axis=(0, 2))
    gap = ink[: grid.width // 2 + 4].nonzero()[0].max()
    assert not ink[gap + 1 : gap + 9].any()


def test_captions_break_at_separators_before_words():
    assert wrapped("8 px · step 5", caption_font(64), 64) == "8 px\nstep 5"
    assert wrapped("8 px · step 5", caption_font(64), 640) == "8 px · step 5"


def test_chain_strip_enlarges_coarse_states_to_the_finest():
    states = chain()
    pixels = np.asarray(visualization.chain_strip(states, scale=1, padding=0))
    # Captions are wider than these tiny tiles, which sit in the middle of columns.
    pitch = pixels.shape[1] // len(states)
    for j, state in enumerate(to_uint8(s) for s in states):
        factor = 32 // state.shape[1]
        x = j * pitch + (pitch - 32) // 2
        column = pixels[:64, x : x + 32, 0].reshape(2, 32, 32)
        expected = state[..., 0].repeat(factor, 1).repeat(factor, 2)
        np.testing.assert_array_equal(column, expected)


def test_chain_strip_names_each_resolution_once_by_default():
    strip = np.asarray(visualization.chain_strip(chain()))
    captions = strip[4 + 2 * 68 :]
    inked = [not is_blank(captions[:, 4 + 68 * j : 68 + 68 * j]) for j in range(4)]
    assert inked == [True, False, True, True]


@pytest.mark.parametrize("channels", [1, 3])
def test_chain_film_has_one_frame_per_state_and_holds_the_last(tmp_path, channels):
    path = tmp_path / "film.gif"
    states = chain(4, channels)
    last = visualization.chain_film(states, path, frames_per_second=5, hold_seconds=3)
    with Image.open(path) as film:
        durations = []
        for i in range(film.n_frames):
            film.seek(i)
            durations.append(film.info["duration"])
        assert film.info["loop"] == 0
        shown = np.asarray(film.convert("RGB")).astype(int)
    assert durations == [200, 200, 200, 3000]
    error = np.abs(shown - np.asarray(last))
    assert error.max() == 0 if channels == 1 else error.mean() < 16


def test_every_frame_is_the_grid_of_its_state_over_its_caption(tmp_path):
    path, states = tmp_path / "film.gif", chain(4)
    captions = ["", "a caption of several lines", "incomprehensibilities", "σ = 1"]
    visualization.chain_film(states, path, captions=captions, columns=1)
    with Image.open(path) as film:
        for i, state in enumerate(states):
            film.seek(i)
            grid = visualization.image_grid(state, 1, scale=64 // state.shape[1])
            left = (film.width - grid.width + 1) // 2
            frame = film.convert("RGB").crop((left, 0, left + grid.width, film.height))
            shown = np.asarray(frame)
            np.testing.assert_array_equal(shown[: grid.height], grid)
            assert is_blank(shown[grid.height :]) == (captions[i] == "")


@pytest.mark.parametrize("speed", [0, -1, 51, float("nan")])
def test_chain_film_refuses_speeds_no_viewer_shows(tmp_path, speed):
    with pytest.raises(ValueError, match="frames_per_second"):
        visualization.chain_film(chain(), tmp_path / "film.gif", speed)
    with pytest.raises(ValueError, match=r"\.gif"):
        visualization.chain_film(chain(), tmp_path / "film.png")


def test_comparison_mixes_resolutions_and_colours():
    grid = visualization.comparison_grid(
        {"fine": noise(3, 32, 32, 3), "coarse": noise(3, 8, 8, 1)}, padding=0
    )
    assert grid.height == 2 * 64
    assert grid.width > 3 * 64


def test_overlay_is_the_image_where_the_map_is_zero():
    images, maps = noise(1, 64, 64, 3), np.zeros((1, 64, 64))
    maps[0, :32] = 5.0
    grid = visualization.saliency_overlay(images, maps, alpha=1.0, padding=0)
    image, heat, overlay = np.asarray(grid)[:, -64:].reshape(3, 64, 64, 3)
    np.testing.assert_array_equal(image, to_uint8(images)[0])
    np.testing.assert_array_equal(overlay[32:], image[32:])
    np.testing.assert_array_equal(overlay[:32], heat[:32])


def test_joint_normalization_keeps_maps_comparable():
    images = np.zeros((2, 64, 64, 1), "float32")
    maps = np.ones((2, 64, 64)) * np.array([1.0, 4.0])[:, None, None]

    def heats(normalization):
        grid = visualization.saliency_overlay(
            images, maps, colormap="gray", normalization=normalization, padding=0
        )
        return np.asarray(grid)[96, [-96, -32], 0].tolist()

    assert heats("image") == [255, 255]
    assert heats("joint") == [64, 255]


def test_a_map_of_zeros_is_no_division_by_zero():
    with np.errstate(all="raise"):
        visualization.saliency_overlay(noise(1, 8, 8, 1), np.zeros((1, 8, 8)))


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (np.zeros((2, 8, 7)), {}, "shape"),
        (-np.ones((2, 8, 8)), {}, "non-negative"),
        (np.full((2, 8, 8), np.nan), {}, "finite"),
        (np.zeros((2, 8, 8)), {"normalization": "all"}, "'image' or 'joint'"),
        (np.zeros((2, 8, 8)), {"alpha": 1.5}, "alpha"),
        (np.zeros((2, 8, 8)), {"colormap": "no such"}, "colormap"),
    ],
)
def test_bad_saliency_is_explained(maps, options, message):
    with pytest.raises(ValueError, match=message):
        visualization.saliency_overlay(noise(2, 8, 8, 1), maps, **options)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 1), "float32"), r"shape.*\(8, 8, 1\)"),
        (np.zeros((2, 8, 8, 2), "float32"), "1 or 3"),
        (np.zeros((0, 8, 8, 1), "float32"), "n >= 1"),
        (np.zeros((2, 8, 8, 1), "uint8"), "uint8"),
        (np.full((2, 8, 8, 1), np.nan, "float32"), "NaN"),
        (
            np.full((2, 8, 8, 1), 1.01, "float32"),
            r"\[-1, 1\], received values from 1.01",
        ),
    ],
)
def test_bad_images_are_explained(images, message):
    for draw in (
        visualization.image_grid,
        lambda x: visualization.chain_strip([x]),
        lambda x: visualization.comparison_grid({"a": x}),
        lambda x: visualization.saliency_overlay(x, np.zeros((2, 8, 8))),
    ):
        with pytest.raises(ValueError, match=message):
            draw(images)


def test_rounding_outside_the_range_is_clipped():
    images = np.full((1, 64, 64, 1), 1.0005, "float32")
    assert is_blank(visualization.image_grid(images))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda x: visualization.image_grid(x, columns=0), "columns"),
        (lambda x: visualization.image_grid(x, scale=1.5), "scale"),
        (lambda x: visualization.image_grid(x, padding=-1), "padding"),
        (lambda x: visualization.image_grid(x, column_captions=["a"]), "2 strings"),
        (lambda x: visualization.image_grid(x, row_captions="ab"), "row_captions"),
        (lambda x: visualization.chain_strip([]), "at least one state"),
        (lambda x: visualization.chain_strip([x, x[:1]]), "as many chains"),
        (lambda x: visualization.chain_strip([x, noise(2, 12, 12, 1)]), "whole factor"),
        (lambda x: visualization.chain_strip([x], ["a", "b"]), "1 strings"),
        (lambda x: visualization.comparison_grid({}), "at least one"),
        (lambda x: visualization.comparison_grid([x]), "dictionary.*received list"),
        (lambda x: visualization.comparison_grid({"a": x, "b": x[:1]}), "'b': 1"),
    ],
)
def test_bad_layouts_are_explained(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(noise(2, 8, 8, 1))


def test_energy_curves_mark_the_stages(tmp_path):
    figure = visualization.energy_curves(log(), tmp_path / "curves.png")
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "8 px",
        "16 px",
        "32 px",
    ]
    for panel in figure.axes[:3]:
        assert [line.get_xdata()[0] for line in stage_lines(panel)] == [3, 7]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 1000


def test_energy_curves_sort_by_step():
    rows = log()
    curves = [
        visualization.energy_curves(r).axes[0].lines[0].get_xydata()
        for r in (rows, rows[::-1])
    ]
    np.testing.assert_array_equal(*curves)


def test_a_diverged_run_still_makes_a_readable_figure():
    calm = visualization.energy_curves(log())
    assert calm.axes[0].get_yscale() == "linear"
    wild = log(300, data_energy=1e9, gap=-1e9, sample_energy=np.nan)
    figure = visualization.energy_curves(wild)
    assert [axes.get_yscale() for axes in figure.axes[:2]] == ["symlog"] * 2
    assert "not finite" in [text.get_text() for text in figure.legends[0].texts]
    assert not is_blank(png(figure))


@pytest.mark.parametrize("count", [1, 2, 199, 201, 1000])
def test_energy_curves_take_any_number_of_rows(count):
    assert not is_blank(png(visualization.energy_curves(log(count))))


def test_bad_logs_are_explained():
    with pytest.raises(ValueError, match="at least one"):
        visualization.energy_curves([])
    rows = log()
    del rows[3]["gap"]
    with pytest.raises(ValueError, match=r"row 3 without \['gap'\]"):
        visualization.energy_curves(rows)


def test_histograms_show_shares_of_each_set():
    rng = np.random.default_rng(0)
    energies = {"test": rng.normal(size=900), "digits": rng.normal(4, 1, (50, 1))}
    figure = visualization.energy_histogram(energies, threshold=2.0)
    bars = figure.axes[0].patches
    assert [patch.get_data().values.sum() for patch in bars] == pytest.approx([1, 1])
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["test (n = 900)", "digits (n = 50)", "threshold 2"]


def test_one_wild_energy_does_not_flatten_a_histogram():
    values = np.append(np.random.default_rng(0).normal(size=999), 1e8)
    axes = visualization.energy_histogram({"test": values}).axes[0]
    assert axes.get_xlim()[1] < 10


def test_a_histogram_of_equal_energies_is_drawn():
    assert not is_blank(png(visualization.energy_histogram({"a": [3.0, 3.0]})))


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [[1.0, 2.0], [3.0, 4.0]]])
def test_bad_scores_are_explained(bad):
    with pytest.raises(ValueError, match="digits"):
        visualization.energy_histogram({"digits": bad})
    with pytest.raises(ValueError, match="digits"):
        visualization.roc_curves({"digits": ([1.0], bad)})


@pytest.mark.parametrize(
    ("normal", "anomalous", "area"),
    [([0, 1], [2, 3], 1.0), ([2, 3], [0, 1], 0.0), ([1, 1], [1], 0.5)],
)
def test_roc_areas_of_known_cases(normal, anomalous, area):
    figure = visualization.roc_curves({"digits": (normal, anomalous)})
    assert figure.legends[0].texts[0].get_text() == f"digits: {area:.3f}"


def test_roc_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    normal, anomalous = rng.integers(0, 9, 80), rng.integers(2, 12, 50)
    pairs = anomalous[:, None] - normal[None]
    area = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    figure = visualization.roc_curves({"digits": (normal, anomalous)})
    assert figure.legends[0].texts[0].get_text() == f"digits: {area:.3f}"


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "new_folder" / "grid.png"
    visualization.image_grid(noise(1, 8, 8, 1), path=path)
    before = path.read_bytes()

    def half(self, temporary, **options):
        temporary.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="disk full"):
        visualization.image_grid(noise(1, 8, 8, 1, seed=1), path=path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_path_without_extension_is_refused(tmp_path):
    with pytest.raises(ValueError, match="extension"):
        visualization.energy_histogram({"a": [1.0]}, path=tmp_path / "histogram")


def test_drawing_leaves_pyplot_and_the_backend_alone():
    from matplotlib import pyplot

    before = pyplot.get_fignums(), matplotlib.get_backend(), dict(matplotlib.rcParams)
    visualization.energy_curves(log())
    visualization.roc_curves({"a": ([0.0], [1.0])})
    after = pyplot.get_fignums(), matplotlib.get_backend(), dict(matplotlib.rcParams)
    assert after == before


def test_the_style_gives_curves_the_colours_of_the_package():
    with matplotlib.rc_context():
        visualization.use_style()
        figure, axes = pyplot.subplots()
        curves = [axes.plot([0, 1], [k, k])[0] for k in range(3)]
        colours = [matplotlib.colors.to_hex(curve.get_color()) for curve in curves]
        assert colours == ["#0072b2", "#d55e00", "#009e73"]
        assert figure.get_constrained_layout()
        pyplot.close(figure)


def test_in_a_notebook_the_style_doubles_the_pixels(monkeypatch):
    magics = []

    class Shell:
        kernel = None
        run_line_magic = staticmethod(lambda *line: magics.append(line))

    monkeypatch.setattr("IPython.get_ipython", lambda: Shell)
    with matplotlib.rc_context():
        visualization.use_style()
    assert ("config", "InlineBackend.figure_formats = ['retina']") in magics
