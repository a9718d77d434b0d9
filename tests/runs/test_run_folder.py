"""The folder of a run: whose it is, what it holds, and who is in it."""

import dataclasses
import multiprocessing

import pytest

from keras_cfebm import configs
from keras_cfebm.runs.run_folder import RunError, RunFolder

TINY = configs.config("tiny")


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "runs" / "tiny")


def begun(run, place="000001_0016px_step_3"):
    """The same folder with a checkpoint in it."""
    run.prepare(TINY)
    (run.checkpoints / place).mkdir(parents=True)
    return run


def test_a_new_folder_holds_the_configuration(run):
    run.prepare(TINY)
    assert run.read_config() == TINY
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_a_folder_without_checkpoints_is_as_new(run):
    run.prepare(TINY)
    run.prepare(TINY.replace(seed=1))
    assert run.read_config().seed == 1


def test_a_run_goes_on_with_the_same_configuration_only(run):
    begun(run).prepare(TINY)
    other = TINY.replace(seed=7, langevin=TINY.langevin.replace(steps=3))
    with pytest.raises(RunError) as error:
        run.prepare(other)
    lines = str(error.value).splitlines()
    assert "  langevin.steps: 15 there, 3 now" in lines
    assert "  seed: 0 there, 7 now" in lines
    assert sum(line.startswith("  ") for line in lines) == 2
    assert "--replace_config" in lines[-1]
    assert run.read_config() == TINY


def test_a_finished_run_is_not_begun_anew(run):
    run.prepare(TINY)
    run.ladder.touch()
    with pytest.raises(RunError, match="seed: 0 there, 1 now"):
        run.prepare(TINY.replace(seed=1))


def test_a_configuration_can_be_replaced(run):
    begun(run).prepare(TINY.replace(report_steps=9), replace_config=True)
    assert run.read_config().report_steps == 9


def test_the_network_of_checkpoints_cannot_be_replaced(run):
    begun(run)
    network = dataclasses.replace(TINY.network, base_width=17)
    with pytest.raises(RunError, match="base_width: 16 there, 17 now"):
        run.prepare(TINY.replace(network=network), replace_config=True)
    translation = TINY.replace(source=TINY.data, source_noise=0.1)
    with pytest.raises(RunError, match="translates: False there, True now"):
        run.prepare(translation, replace_config=True)
    later = TINY.replace(
        stages=TINY.stages[1:], network=dataclasses.replace(TINY.network, widths={})
    )
    with pytest.raises(RunError, match="first resolution: 8 there, 16 now"):
        run.prepare(later, replace_config=True)
    assert run.read_config() == TINY


def test_stages_have_to_go_as_far_as_the_checkpoints(run):
    begun(run)
    shorter = TINY.replace(
        data=dataclasses.replace(TINY.data, resolution=8), stages=TINY.stages[:1]
    )
    with pytest.raises(RunError, match=r"16 pixels.* already, received stages up to 8"):
        run.prepare(shorter, replace_config=True)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="Cannot write to"):
        RunFolder(tmp_path / "file" / "run").prepare(TINY)
    with (
        pytest.raises(RunError, match="Cannot write to"),
        RunFolder(tmp_path / "file" / "run").locked(),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "JSON"),
        ("[1]", "an object at config"),
        ('{"data": {"name": "x"}}', "'langevin', 'stages'"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(run, text, message):
    run.path.mkdir(parents=True)
    if text is not None:
        run.config.write_text(text)
    with pytest.raises(RunError, match=rf"config\.json.*{message}"):
        run.read_config()


def test_a_lock_that_is_a_link_is_not_followed(run, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    run.path.mkdir(parents=True)
    lock = run.path / ".lock"
    lock.symlink_to(precious)
    with pytest.raises(RunError, match="Cannot write to"), run.locked():
        pass
    lock.unlink()
    lock.write_text("kept")
    with run.locked():
        pass
    assert (precious.read_text(), lock.read_text()) == ("precious", "kept")


def _enter(path, results):
    try:
        with RunFolder(path).locked():
            results.put("in")
    except RunError as error:
        results.put(str(error))


def test_a_second_process_is_kept_out_until_the_first_has_left(run):
    pytest.importorskip("fcntl")
    context = multiprocessing.get_context("fork")
    results = context.Queue()

    def other():
        process = context.Process(target=_enter, args=(run.path, results))
        process.start()
        answer = results.get(timeout=60)
        process.join()
        return answer

    with run.locked():
        assert "nother process is training in" in other()
    assert other() == "in"


def test_a_ladder_that_is_none_is_named(run):
    with pytest.raises(RunError, match=r"Expected a trained model at .*ladder\.keras"):
        run.load()
    run.path.mkdir(parents=True)
    run.ladder.write_bytes(b"no model")
    with pytest.raises(RunError, match=r"ladder\.keras"):
        run.load()
