"""Seconds that a grid of samples takes in a headless Chromium, on each backend.

The page is exported, served from this machine and driven by Playwright (extra
`browser`): its own button is pressed, and its own clock read. Beside it is the
processor time of all Chromium there is (on Linux), which a busy machine does not
stretch as much. `--screenshot` keeps how the page looks at the end, `--phone` as on a
phone.

Run from the repository's root, on an idle machine:

    python -m benchmarks.playground --json=runs/playground.json
"""

import functools
import http.server
import os
import pathlib
import re
import shutil
import statistics
import tempfile
import threading

from absl import flags

import keras_cfebm as cf
from benchmarks import _common
from keras_cfebm import datasets
from keras_cfebm.serving.web_export import EXAMPLES, export_web

#: Milliseconds that a page may take.
_PATIENCE = 600_000


def define_flags():
    flags.DEFINE_string("preset", "fashion_mnist", "Trained model.")
    flags.DEFINE_integer("count", 64, "Images of the grid.", lower_bound=1)
    flags.DEFINE_list("backends", ["wasm"], "Of wasm, webgl and cpu.")
    flags.DEFINE_integer("repeats", 3, "Runs of each backend.", lower_bound=1)
    flags.DEFINE_string("runtime", None, "Folder or address that has TensorFlow.js.")
    flags.DEFINE_string("hash", "", "More of the page's address, such as &label=7.")
    flags.DEFINE_string("screenshot", None, "PNG file of the page.")
    flags.DEFINE_boolean("phone", False, "Show the page as on a phone.")
    flags.DEFINE_string("json", None, "File for all the numbers.")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def export(folder, options):
    """Writes the page with the preset and example images."""
    model = cf.CFEBM.from_preset(options.preset)
    data = datasets.load(
        datasets.EMBEDDED, "test", resolution=model.resolution, fit="pad"
    )
    images = data.subset(limit=EXAMPLES, seed=0).images()
    export_web(model, folder, options.preset, examples=images, runtime=options.runtime)


def processor_seconds():
    """Processor time that all processes of Chromium have had so far."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:  # it has ended
            continue
        if name.startswith("chrom"):
            ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def seconds_of(page, address, backend, options):
    """Pairs of seconds and processor seconds of each run on a backend."""
    choice = f"#model={options.preset}&count={options.count}{options.hash}"
    page.goto("about:blank")
    page.goto(address + choice)
    page.wait_for_selector("#run:enabled")
    page.evaluate("document.querySelector('#settings').open = innerWidth > 900")
    page.evaluate(
        """backend => { const select = document.querySelector("#backend");
        select.value = backend; select.dispatchEvent(new Event("change")); }""",
        backend,
    )
    page.wait_for_selector("#run:disabled")
    page.wait_for_selector("#run:enabled")
    seconds = []
    for _ in range(options.repeats):
        before = processor_seconds()
        page.click("#run")
        page.wait_for_selector("#run:enabled")
        status = page.inner_text("#status")
        found = re.search(r"images? in ([\d.]+) s", status)
        if found is None:
            raise _common.BenchmarkError(f"{backend}: {status}")
        seconds.append((float(found[1]), processor_seconds() - before))
    return seconds


def run(options):
    """Times the backends and prints the table."""
    machine = _common.machine(("playwright",))
    from playwright import sync_api

    times = {}
    with tempfile.TemporaryDirectory() as folder, sync_api.sync_playwright() as driver:
        export(folder, options)
        handler = functools.partial(_Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with driver.chromium.launch(executable_path=shutil.which("chromium")) as chrome:
            machine["versions"]["Chromium"] = chrome.version
            width, height = (390, 844) if options.phone else (1280, 960)
            page = chrome.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(_PATIENCE)
            address = f"http://127.0.0.1:{server.server_port}/"
            for backend in options.backends:
                times[backend] = seconds_of(page, address, backend, options)
            if options.screenshot:
                path = pathlib.Path(options.screenshot)
                page.wait_for_timeout(1000)
                page.screenshot(path=path, full_page=options.phone)
        server.shutdown()
    rows = [
        [
            backend,
            *(f"{statistics.median(part):.1f}" for part in zip(*own, strict=True)),
        ]
        for backend, own in times.items()
    ]
    print(_common.markdown_table(["backend", "seconds", "processor seconds"], rows))
    print(
        f"\n{options.count} images of {options.preset}, median of {options.repeats}.\n"
        f"{_common.machine_line(machine)}"
    )
    return {"machine": machine, "seconds": times}


if __name__ == "__main__":
    _common.main(run, define_flags)
