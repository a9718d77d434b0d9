"""The page of a run: all that is in the folder, nothing from outside, no harm done."""

import html.parser
import json
import os
import re
import shutil
import subprocess

import numpy as np
import PIL.Image
import pytest

from keras_cfebm import configs
from keras_cfebm.callbacks import EnergyLog
from keras_cfebm.cli.main import main
from keras_cfebm.runs.report import run_report, write_report
from keras_cfebm.runs.report_data import label, tables, text_of
from keras_cfebm.runs.run_folder import RunError, RunFolder

HOSTILE = "</style></title><script>alert('x')</script>\"><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "img", "br"}


def write_picture(path, size=(40, 24), frames=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [PIL.Image.new("L", size, 60 * index + 30) for index in range(frames)]
    options = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(path, **options)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_metrics(run, epochs):
    log = EnergyLog(run.metrics)
    for number in range(epochs):
        row = {"step": 10 * (number + 1), "stage": 1, "resolution": 8, "epoch": number}
        row |= {"stage_step": 10 * (number + 1), "beta": 1.0, "seconds": 30.0}
        row |= {"data_energy": -1.0, "sample_energy": -1.1, "gap": -0.1}
        log.rows.append(row | {"gradient_norm": 2.0})
    log.write()


@pytest.fixture
def started(tmp_path):
    """A run that has only just begun: its config."""
    run = RunFolder(tmp_path / "run")
    run.prepare(configs.config("tiny"))
    return run


@pytest.fixture
def whole(started):
    """A run folder with everything in it; its pictures are plain rectangles."""
    run = started
    write_metrics(run, epochs=5)
    for path in (run.energies, run.chain, run.path / "samples.png"):
        write_picture(path)
    write_picture(run.film, frames=3)
    for place, epochs in (("01_0008px", 5), ("02_0016px", 1), ("03_0008px", 1)):
        for epoch in range(1, epochs + 1):
            name = f"{place}_epoch_{epoch:04d}.png"
            write_picture(run.samples / name)
    run.ladder.touch()
    distances = {"samples": 12.5, "test": 2.25, "uniform_noise": 250.0}
    figures = {"classifier_fid": distances, "reference": "10000 training images"}
    figures |= {"samples": 64, "training_minutes": 1.5, "classes": {"T-shirt/top": 64}}
    write_json(run.path / "figures.json", figures)
    denoise = run.path / "tasks" / "denoise"
    by_noise = {
        noise: {
            method: {"psnr": 20.0 + len(method), "ssim": 0.5}
            for method in ("noisy", "energy")
        }
        for noise in ("sigma_0.1", "sigma_0.2")
    }
    write_json(denoise / "restored_images.json", {"images": 100, "noise": by_noise})
    write_picture(denoise / "restored_images.png")
    return run


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text; fails on tags that are not balanced."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_holds_everything_that_is_in_the_folder(whole):
    reader = Reader(run_report(whole.path))
    for text in (
        "Finished",
        "fashion_mnist_embedded",
        "Classifier FID against 10000 training images",
        "250.00",
        "T-shirt/top",
        "Restored images",
        "Sigma 0.1 · Noisy",
        "PSNR",
        "Epoch 3 of 5",
        "Learning rate",
        "keras_cfebm",
        "ICLR 2021",
    ):
        assert text in reader.text, text
    assert 'class="note"' not in run_report(whole.path)
    # samples, 3 + 1 + 1 grids, strip, film, curves, and that of the task
    images = reader.all("img")
    assert len(images) == 10
    assert sum(i["src"].startswith("data:image/gif;base64,") for i in images) == 1
    assert all(image["alt"] and image["width"] == "40" for image in images)
    assert len({image["alt"] for image in images}) == 10


def test_the_page_loads_nothing(whole):
    page = run_report(whole.path)
    reader = Reader(page)
    assert not re.search(r"https?://|@import|url\(|<script", page)
    for _, attributes in reader.tags:
        for name in {"src", "href", "srcset", "data"} & set(attributes):
            assert attributes[name].startswith(("data:", "#"))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in reader.all("a")} <= set(ids)


def test_a_diagnosis_is_shown_first_and_in_full(started):
    path = started.path / "tasks" / "diagnose" / "figures.json"
    checks = {
        name: {"verdict": verdict, "meaning": f"{name} are such."}
        for name, verdict in (("chains_from_noise", "fault"), ("energies", "sound"))
    }
    figures = {"verdict": "fault", "meaning": "See chains.", "checks": checks}
    write_json(path, {"figures": figures})
    reader = Reader(run_report(started.path))
    for words in (
        "Diagnosisfault",
        "Chains from noise faultchains_from_noise are such.",
        "Energies soundenergies are such.",
    ):
        assert words in reader.text
    classes = [span.get("class") for span in reader.all("span")]
    assert "status fault" in classes and "status sound" in classes
    assert "Figures · Checks" not in reader.text


@pytest.mark.parametrize(
    "figures",
    [[1, 2], {"checks": 3}, {"checks": {"a": 4}}, {"checks": {"a": {"b": 5}}}],
)
def test_other_figures_are_no_diagnosis(started, figures):
    path = started.path / "tasks" / "diagnose" / "figures.json"
    write_json(path, {"figures": figures})
    page = run_report(started.path)
    assert 'class="checks"' not in page and "<dt>Diagnosis" not in page


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 30),
        ({"langevin": {"steps": [4, 3]}}, 7),
        ({"langevin": {"steps": [4, 3]}, "source_noise": 0.1}, 3),
    ],
)
def test_the_steps_of_a_chain(started, changes, steps):
    config = configs.config("tiny").to_dict() | changes
    if "source_noise" in changes:
        config["source"] = config["data"]
    config["langevin"] = {**configs.config("tiny").to_dict()["langevin"]} | (
        changes.get("langevin", {})
    )
    write_json(started.config, config)
    assert f"Langevin steps per image{steps}" in Reader(run_report(started.path)).text


def test_hostile_names_are_text(started):
    config = configs.config("tiny").to_dict()
    config["data"]["name"] = HOSTILE
    config["data"]["options"] = {HOSTILE: [HOSTILE]}
    write_json(started.config, config)
    figures = {"classifier_fid": {HOSTILE: 1.0, "b": 2}, "reference": HOSTILE}
    figures |= {"samples": "\ud800\x00\u202e" + HOSTILE, HOSTILE: {HOSTILE: HOSTILE}}
    write_json(started.path / "figures.json", figures)
    task = started.path / "tasks" / "<b onclick=x>&amp;"
    write_json(task / "\"'<i>.json", [[HOSTILE, {HOSTILE: None}], 10**400])
    write_picture(task / "\"'<i>.png")
    page = write_report(started.path).read_text(encoding="utf-8")
    reader = Reader(page)
    assert "<script" not in page and "<b " not in page and "<i>" not in page
    assert not any(
        name in tag for _, tag in reader.tags for name in ("onerror", "onclick")
    )
    assert reader.text.count("alert('x')") >= 8
    assert any("\"'<i>" in image["alt"] for image in reader.all("img"))
    assert not re.search("[\x00\ud800\u202e]", page)


def test_an_unfinished_run_says_what_is_missing(started):
    reader = Reader(run_report(started.path))
    assert "Unfinished: 0 of" in reader.text
    assert [tag.get("class") for tag in reader.all("p")].count("note") == 4
    assert reader.all("img") == []


def test_curves_are_drawn_from_the_log_while_training(started):
    write_metrics(started, epochs=2)
    reader = Reader(run_report(started.path))
    assert "Unfinished: 20 of" in reader.text
    [curves] = reader.all("img")
    assert "20 training steps" in curves["alt"]


def test_a_damaged_picture_is_named_and_the_rest_is_shown(whole):
    data = whole.chain.read_bytes()
    whole.chain.write_bytes(data[: len(data) // 2])
    reader = Reader(run_report(whole.path))
    assert len(reader.all("img")) == 9
    assert "cannot be read as a PNG or GIF picture" in reader.text


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys):
    with pytest.raises(RunError, match=r"Expected a run folder, with the config\.json"):
        run_report(tmp_path)
    assert main(["report", f"--run_dir={tmp_path}"]) == 1
    assert "Expected a run folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "{}"),
        ("figures.json", "{"),
        ("figures.json", "[" * 100_000),
        ("tasks/x/y.json", "\udcff"),
        ("metrics.csv", "step,loss\n1,2\n"),
        ("metrics.csv", "step\none\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(started, name, text):
    path = started.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=re.escape(path.name)):
        run_report(started.path)


def test_the_command_writes_the_page_where_it_is_wanted(whole, tmp_path, capsys):
    assert main(["report", f"--run_dir={whole.path}"]) == 0
    wanted = tmp_path / "pages" / "page.html"
    assert main(["report", f"--run_dir={whole.path}", f"--output={wanted}"]) == 0
    assert str(wanted) in capsys.readouterr().out
    for path in (whole.path / "report.html", wanted):
        assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in wanted.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12800, "12,800"),
        (0.0010000000474974513, "0.001"),
        (-0.25, "−0.25"),
        (123456.7, "123,457"),
        (1.5e-9, "1.500e−09"),
        (float("nan"), "nan"),
        ([8, 16], "8, 16"),
        ({"4": 64, "8": 32}, "4: 64, 8: 32"),
        (list(range(100)), "0, 1, 2, 3, 4, 5, 6, 7, … (100 in all)"),
        ({}, "–"),
    ],
)
def test_values_on_one_line(value, text):
    assert text_of(value) == text


def test_keys_become_words():
    assert label("classifier_fid") == "Classifier FID"
    assert label("fpr_at_tpr_0.95") == "FPR at TPR 0.95"


def test_a_column_of_numbers_has_as_many_decimals_in_each_row():
    values = {"a": {"psnr": 9.25, "n": 1}, "b": {"psnr": 31.0, "n": 2}}
    [table] = tables("Restored", values)
    assert table.columns == ["PSNR", "N"]
    assert table.rows == [("A", ["9.25", "1"]), ("B", ["31.00", "2"])]


def test_records_of_other_keys_have_tables_of_their_own():
    values = {"a": {"x": 1, "y": 2}, "b": {"z": 3}, "c": [1, [2]]}
    captions = [table.caption for table in tables("All", values)]
    assert captions[:3] == ["All · A", "All · B", "All · C"]


@pytest.mark.parametrize("value", [3, "text", None, [], {}, {"a": {}}, [[]], [{}]])
def test_any_json_value_can_be_shown(started, value):
    write_json(started.path / "figures.json", value)
    write_json(started.path / "tasks" / "x" / "y.json", value)
    Reader(run_report(started.path))


def test_long_and_deep_values_are_cut_short(started):
    deep = 0
    for _ in range(500):
        deep = {"a": deep, "b": [deep]} if deep == 0 else {"a": deep}
    write_json(started.path / "tasks" / "x" / "deep.json", deep)
    write_json(started.path / "tasks" / "x" / "long.json", list(range(1000)))
    reader = Reader(run_report(started.path))
    assert "nested too deeply" in reader.text
    assert "And 900 more rows" in reader.text
    [table] = tables("Long", list(range(1000)))
    assert len(table.rows) == 100


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
# What a reader would notice: pictures that are not shown, and a page that must be
# scrolled sideways. The report itself has no script, so a copy of it is given one.
PROBE = """<script>addEventListener("load", () => {
  const images = [...document.images];
  document.title = JSON.stringify({
    images: images.length,
    broken: images.filter(image => !image.naturalWidth).map(image => image.alt),
    sideways: document.documentElement.scrollWidth > innerWidth,
  });
});</script>"""


@pytest.fixture
def browser(tmp_path):
    """A function that runs a headless Chromium on a file."""
    names = [os.environ.get("CHROME"), *BROWSERS]
    paths = [path for name in names if name and (path := shutil.which(name))]
    if not paths:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)}, CHROME is not set")
    profile = tmp_path / "profile"

    def run(page, *arguments):
        own = f"--user-data-dir={profile}"
        command = [paths[0], *FLAGS, own, *arguments, page.as_uri()]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=120
        )

    return run


@pytest.mark.parametrize("width", [500, 1280])
def test_a_browser_shows_the_page(whole, browser, width, tmp_path):
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (200, 2400, 3), dtype=np.uint8)
    PIL.Image.fromarray(wide).save(whole.chain)
    page = write_report(whole.path)
    picture = tmp_path / "screenshot.png"
    size = f"--window-size={width},1600"
    shown = browser(page, f"--screenshot={picture}", size)
    # A script, style or file that its policy keeps out would be an error here.
    assert "CONSOLE" not in shown.stderr
    with PIL.Image.open(picture) as screenshot:
        assert screenshot.size == (width, 1600)
        assert len(screenshot.convert("L").getcolors()) > 100

    text = page.read_text(encoding="utf-8")
    text = text.replace("default-src 'none'", "script-src 'unsafe-inline'")
    probed = tmp_path / "probed.html"
    probed.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    dumped = browser(probed, "--dump-dom", size)
    assert "CONSOLE" not in dumped.stderr
    found = re.search(r"<title>(.*?)</title>", dumped.stdout).group(1)
    assert json.loads(found) == {"images": 9, "broken": [], "sideways": False}
