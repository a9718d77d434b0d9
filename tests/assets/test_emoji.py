"""The colour image set of an emoji font: names, pairs, split, and the set itself."""

import hashlib
import sys

import numpy as np
import pytest

from keras_cfebm import datasets
from keras_cfebm.assets import emoji_sequences, make_emoji

HAND, WOMAN, MAN, PERSON = 0x1F44B, 0x1F469, 0x1F468, 0x1F9D1
JOINER, FARMER, RUNNER = 0x200D, 0x1F33E, 0x1F3C3
FEMALE, MALE, OFFICER = 0x2640, 0x2642, 0x1F46E
LIGHT, DARK = 0x1F3FB, 0x1F3FF


def test_split_tone():
    farmer = (WOMAN, JOINER, FARMER)
    assert emoji_sequences.split_tone((HAND, DARK)) == ((HAND,), "dark")
    toned = (WOMAN, LIGHT, JOINER, FARMER)
    assert emoji_sequences.split_tone(toned) == (farmer, "light")
    assert emoji_sequences.split_tone(farmer) == (farmer, None)
    couple = (MAN, LIGHT, JOINER, WOMAN, LIGHT)
    assert emoji_sequences.split_tone(couple) == ((MAN, JOINER, WOMAN), "light")
    mixed = (MAN, LIGHT, JOINER, WOMAN, DARK)
    assert emoji_sequences.split_tone(mixed) == (mixed, None)


def test_groups():
    takers = emoji_sequences.tone_takers([(HAND, DARK), (WOMAN, LIGHT, JOINER, FARMER)])
    assert takers == {HAND, WOMAN}
    for sequence, group in (
        ((HAND,), "people"),
        ((WOMAN, JOINER, FARMER), "people"),
        ((0x1F600,), "faces"),
        ((0x1F636, JOINER, 0x1F32B), "faces"),
        ((0x1F1EE, 0x1F1F9), "flags"),
        ((0x1F3F3, JOINER, 0x1F308), "flags"),
        ((0x1F408, JOINER, 0x2B1B), "nature"),
        ((0x1F34E,), "food"),
        ((0x23, 0x20E3), "symbols"),
        ((0x1F697,), "objects"),
    ):
        assert emoji_sequences.group_of(sequence, takers) == group


def test_portraits_are_of_one_person_without_a_body():
    cane, joined = 0x1F9AF, (WOMAN, LIGHT, JOINER, FARMER)
    for sequence in ((WOMAN,), (WOMAN, DARK), joined, (OFFICER, DARK, JOINER, FEMALE)):
        assert emoji_sequences.is_portrait(sequence)
    for sequence in (
        (HAND,),
        (RUNNER, DARK),
        (WOMAN, LIGHT, JOINER, cane),
        (MAN, JOINER, WOMAN),
        (WOMAN, LIGHT, JOINER, MAN, DARK),
        (FARMER,),
    ):
        assert not emoji_sequences.is_portrait(sequence)


def test_parts_do_not_stand_alone():
    for code in (0x23, 0x1F1EE, LIGHT, 0xFE4E5):
        assert not emoji_sequences.stands_alone(code)
    for code in (HAND, 0xA9, 0x1F600):
        assert emoji_sequences.stands_alone(code)


def test_variants_are_on_one_side_of_the_split():
    for code in range(0x1F300, 0x1F700):
        sides = {
            emoji_sequences.is_test(sequence)
            for sequence in (
                (code,),
                (code, DARK),
                (code, LIGHT, JOINER, FEMALE),
                (FEMALE, JOINER, code),
            )
        }
        jobs = {
            emoji_sequences.is_test(sequence)
            for sequence in (
                (PERSON, JOINER, code),
                (WOMAN, DARK, JOINER, code),
                (code, JOINER, MAN, LIGHT),
            )
        }
        assert len(sides) == len(jobs) == 1
    tests = [emoji_sequences.is_test((code,)) for code in range(0x1F300, 0x1F700)]
    assert 0.15 < np.mean(tests) < 0.25


def test_tones_are_complete_or_left_out():
    tones = {(HAND, tone): bytes([tone % 256]) for tone in emoji_sequences.TONES}
    pictures = {(HAND,): b"", **tones, (RUNNER,): b"r", (RUNNER, DARK): b"d"}
    ((base, found),) = make_emoji.toned_pictures(pictures).items()
    assert base == (HAND,)
    names = {"yellow", "light", "medium_light", "medium", "medium_dark", "dark"}
    assert set(found) == names
    assert found["yellow"] == b"" and found["light"] == bytes([LIGHT % 256])


def test_portraits_of_both_are_of_one_person_and_tone():
    pictures = {
        (WOMAN, DARK): b"w",
        (MAN, DARK): b"m",
        (OFFICER, LIGHT, JOINER, FEMALE): b"f",
        (OFFICER, LIGHT, JOINER, MALE): b"o",
        (OFFICER, DARK, JOINER, FEMALE): b"no man of this tone",
        (RUNNER, JOINER, FEMALE): b"no portrait",
        (RUNNER, JOINER, MALE): b"no portrait",
        (PERSON,): b"p",
    }
    assert make_emoji.portraits_of_both(pictures) == {
        (WOMAN, DARK): {"woman": b"w", "man": b"m"},
        (OFFICER, LIGHT, JOINER, FEMALE): {"woman": b"f", "man": b"o"},
    }


def test_a_missing_fonttools_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fontTools.ttLib", None)
    (tmp_path / "font.ttf").touch()
    with pytest.raises(ImportError, match=r'pip install "keras_cfebm\[emoji\]"'):
        make_emoji.read_font(tmp_path / "font.ttf")


def test_bad_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected a font at"):
        make_emoji.read_font(tmp_path / "missing.ttf")
    (tmp_path / "text.ttf").write_text("no font")
    with pytest.raises(ValueError, match=r"colour bitmaps .* received .*text\.ttf"):
        make_emoji.read_font(tmp_path / "text.ttf")
    with pytest.raises(FileExistsError, match="Expected nothing at"):
        make_emoji.make(tmp_path)


@pytest.fixture(scope="module")
def emoji(tmp_path_factory):
    """The folder of the set, and its number of files by folder."""
    try:
        font = make_emoji.find_font()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("fonts") / "emoji"
    return folder, make_emoji.make(folder, font)


def test_set_of_the_font(emoji):
    folder, counts = emoji
    for side, minimum in (("train", 200), ("test", 40)):
        names = set()
        for tone in (make_emoji.NO_TONE, *emoji_sequences.TONES.values()):
            files = sorted(path.name for path in folder.glob(f"tones/{tone}/{side}/*"))
            names.add(tuple(files))
        assert len(names) == 1 and len(files) > minimum
        assert f"{HAND:x}.png" in {p.name for p in folder.glob("tones/dark/*/*")}
        heads = {p.name for p in folder.glob(f"portrait_tones/dark/{side}/*")}
        assert len(heads) == counts[f"portrait_tones/yellow/{side}"] > minimum / 3
        assert heads < set(files)
    assert sum(n for name, n in counts.items() if name.startswith("groups")) > 3000
    assert counts["portraits/train"] > 700 and counts["portraits/test"] > 100
    for side, minimum in (("train", 200), ("test", 30)):
        assert counts[f"genders/woman/{side}"] == counts[f"genders/man/{side}"]
        assert counts[f"genders/woman/{side}"] > minimum
    assert "Open Font License" in (folder / "LICENSE.txt").read_text()
    # No picture is on both sides, nor twice on one.
    pictures = [path.read_bytes() for path in folder.glob("groups/*/*/*.png")]
    assert len(set(pictures)) == len(pictures)


def test_set_loads_with_labels_and_pairs(emoji):
    folder, counts = emoji
    data = datasets.load(folder / "groups", "test", resolution=32, fit="crop")
    assert data.channels == 3
    assert data.class_names == tuple(
        sorted(("flags", "people", "faces", "nature", "food", "symbols", "objects"))
    )
    assert len(data) == sum(
        n for name, n in counts.items() if name.startswith("groups/test")
    )
    assert datasets.test_split(folder / "groups", "train") == "test"
    # Of a pair only the skin differs, and yellow skin has less blue than light skin.
    yellow, light = (
        datasets.load(folder / "tones" / tone, "test", resolution=32, fit="crop")
        for tone in ("yellow", "light")
    )
    difference = light.images() - yellow.images()
    changed = (abs(difference) > 0.1).any(-1)
    assert 0.02 < changed.mean() < 0.6
    assert difference[changed].mean(0)[2] > 0.2


def test_same_font_gives_the_same_files(emoji, tmp_path):
    def digest(folder):
        total = hashlib.sha256()
        for path in sorted(folder.rglob("*.png")):
            total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
        return total.hexdigest()

    folder, counts = emoji
    assert make_emoji.make(tmp_path / "again") == counts
    assert digest(tmp_path / "again") == digest(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
