"""The playground in a real browser: what it shows is what Python computes."""

import functools
import http.server
import os
import shutil
import threading

import numpy as np
import PIL.Image
import pytest

import keras_cfebm as cf
from keras_cfebm.datasets.pixels import to_float, to_uint8
from keras_cfebm.serving.web_export import export_web

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Set where a browser has to be there, as `make test-browser` does.
REQUIRED = "CFEBM_TEST_BROWSER"
SEED = 2**40 + 7
#: What the page may take, on a machine that does other work too.
PATIENCE = 120_000


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def examples(noise_images):
    """Images as the page has them, in 256 steps: `(2, 16, 16, 3)`."""
    return to_float(to_uint8(0.4 * noise_images(2, 16, 3, seed=5)))


@pytest.fixture(scope="module")
def translator(make_network):
    """A model whose chains start at grey images."""
    return cf.CFEBM(
        [make_network(8), make_network(16)],
        cf.Langevin(4, 0.3, 0.01, clip=(-0.9, 0.9)),
        chain_start="source",
    )


@pytest.fixture(scope="module")
def address(web_model, translator, examples, tensorflow_js, tmp_path_factory):
    """Where a static file server has the page, without `#`."""
    folder = str(tmp_path_factory.mktemp("page"))
    export_web(web_model, folder, "colours", examples=examples, runtime=tensorflow_js)
    export_web(translator, folder, "translator", examples=examples[..., :1])
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def context():
    """A phone's window; touch, mouse and keys work in it."""
    with playwright.sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if not (found or os.path.exists(driver.chromium.executable_path)):
            lacking = pytest.fail if os.environ.get(REQUIRED) else pytest.skip
            lacking("no Chromium is installed")
        with driver.chromium.launch(executable_path=found) as browser:
            yield browser.new_context(
                viewport={"width": 390, "height": 844}, has_touch=True
            )


@pytest.fixture
def opened(context, address):
    """A function that opens the page and waits until its first chain has ended.

    No page may report an error, or ask anything of another origin.
    """
    complaints, pages = [], []

    def open_page(choice):
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                message.type in ("error", "warning") and complaints.append(message.text)
            ),
        )
        page.on(
            "request",
            lambda request: (
                request.url.startswith((address, "data:", "blob:"))
                or complaints.append(request.url)
            ),
        )
        pages.append(page)
        page.goto(f"{address}#{choice}")
        page.wait_for_selector("#run:enabled")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def images_of(page, shape):
    return np.reshape(page.evaluate("[...playground.images]"), shape)


def run(page):
    page.click("#run")
    page.wait_for_selector("#stop:disabled")
    page.wait_for_selector("#run:enabled")


def press(page, slider, key, times=1):
    page.focus(f"#slider-{slider}")
    for _ in range(times):
        page.keyboard.press(key)


def made_by_python(page, model, image=None, mask=None):
    """What the Python that the page shows makes."""
    names = {"cf": cf, "np": np, "model": model, "image": image, "mask": mask}
    exec(page.text_content("#python"), names)
    return names["images"]


@pytest.mark.parametrize("backend", ["wasm", "cpu", "webgl"])
def test_a_chain_ends_at_the_image_of_python(opened, web_model, backend):
    page = opened(f"model=colours&seed={SEED}&count=3&label=1&guidance=0.5&speed=2")
    if backend != "wasm":
        page.evaluate("document.querySelector('#settings').open = true")
        page.select_option("#backend", backend)
        page.wait_for_selector("#run:disabled")
        page.wait_for_selector("#run:enabled")
    names = {"wasm": "WebAssembly", "cpu": "plain JavaScript", "webgl": "WebGL"}
    assert names[backend] in page.inner_text("#status")
    expected = web_model.generate(3, SEED, labels=1, guidance=0.5, speed=2.0)
    assert expected.std() > 0.1
    np.testing.assert_allclose(images_of(page, expected.shape), expected, atol=1e-3)


def test_sliders_by_keyboard_are_settings_of_python_and_kept_in_the_link(
    opened, web_model, monkeypatch
):
    page = opened("model=colours&count=2&seed=3")
    page.evaluate("document.querySelector('#settings').open = true")
    for slider, key in [
        ("steps", "ArrowRight"),
        ("step_size", "ArrowLeft"),
        ("temperature", "ArrowRight"),
        ("guidance", "ArrowRight"),
    ]:
        press(page, slider, key, 2)
    run(page)
    usual = web_model.generate(2, seed=3, labels=0)
    monkeypatch.setattr(web_model, "langevin", web_model.langevin)  # it is changed
    expected = made_by_python(page, web_model)
    found = images_of(page, expected.shape)
    assert np.abs(expected - usual).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-3)
    shared = opened(page.url.split("#")[1])
    np.testing.assert_array_equal(images_of(shared, expected.shape), found)


def test_a_painted_hole_is_filled_and_known_pixels_are_kept(
    opened, web_model, examples
):
    page = opened("model=colours&task=inpaint&count=2&label=2&example=1&mask=left_half")
    page.check('input[value="hole"]')
    box = page.locator("#editor").bounding_box()
    pixel = box["width"] / 16
    page.touchscreen.tap(box["x"] + 12.5 * pixel, box["y"] + 3.5 * pixel)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    run(page)
    mask = np.zeros((16, 16), bool)
    mask[:, :8] = mask[3:6, 12:14] = True
    found = images_of(page, (2, 16, 16, 3)).astype("float32")
    expected = made_by_python(page, web_model, examples[1], mask)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    image = np.reshape(page.evaluate("[...playground.own.image]"), (16, 16, 3))
    known = np.broadcast_to(image.astype("float32"), found.shape)[:, ~mask]
    np.testing.assert_array_equal(found[:, ~mask], known)


def test_a_painted_image_is_judged_and_denoised_as_in_python(opened, web_model):
    page = opened("model=colours&task=image&count=2&label=1&sigma=0.3")
    page.click("#clear")
    page.fill("#colour", "#ff8000")
    box = page.locator("#editor").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=2)
    page.mouse.up()
    image = np.reshape(page.evaluate("[...playground.own.image]"), (16, 16, 3))
    painted = (image[..., 0] == 1).sum()
    assert 10 < painted < 100
    network = web_model.sampling_network
    page.wait_for_selector("#judgement[aria-busy=false]")
    energy = float(network((image[None].astype("float32"), np.array([1])))[0])
    score = float(web_model.detector.scores(image[None].astype("float32"))[0])
    for name, expected in (("Energy at 16", energy), ("Detector", score)):
        shown = page.locator("#judgement tr", has_text=name).locator("td")
        found = float(shown.inner_text().replace("−", "-"))
        assert found == pytest.approx(expected, rel=1e-3, abs=0.006)
    run(page)
    expected = made_by_python(page, web_model, image.astype("float32"))
    np.testing.assert_allclose(images_of(page, (2, 16, 16, 3)), expected, atol=1e-3)
    assert page.is_visible("#movement")


def test_an_opened_file_is_translated(opened, translator, tmp_path, noise_images):
    page = opened("model=translator&count=1&seed=5")
    pixels = to_uint8(noise_images(1, 16, 1, seed=8))[0]
    PIL.Image.fromarray(pixels[..., 0]).save(tmp_path / "image.png")
    before = page.inner_text("#judgement")
    page.set_input_files("#file", tmp_path / "image.png")
    playwright.expect(page.locator("#judgement")).not_to_have_text(before)
    for key in ("Home", "ArrowRight"):  # as trained, and with larger steps
        page.evaluate("document.querySelector('#settings').open = true")
        press(page, "speed", key)
        run(page)
        expected = made_by_python(page, translator, to_float(pixels))
        np.testing.assert_allclose(images_of(page, (1, 16, 16, 1)), expected, atol=1e-3)
        press(page, "step_size", "ArrowRight")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_chain_can_be_stopped_and_a_film_looked_at(opened):
    page = opened("model=colours&count=1&steps=3")
    total = int(page.get_attribute("#step", "max")) + 1
    assert total == 9 + 15
    page.focus("#step")
    page.keyboard.press("Home")
    caption = page.locator("#caption")
    playwright.expect(caption).to_have_text(f"Step 1 of {total}, 8×8 pixels")
    # This one is too long to begin by itself.
    page = opened("model=colours&count=64&steps=4000")
    page.click("#run")
    page.click("#stop")
    page.wait_for_selector("#run:enabled")
    assert "Stopped" in page.inner_text("#status")


def test_every_control_has_a_name(opened):
    page = opened("model=colours&task=inpaint&count=1")
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input, select")].filter((control) =>
        !(control.labels?.length || control.ariaLabel || control.textContent.trim())
        ).map((control) => control.outerHTML)"""
    )
    assert unnamed == []
