"""Makes a colour image set, with true pairs, of the font Noto Color Emoji.

    python -m keras_cfebm.assets.make_emoji --output=emoji

It needs the extra `emoji` of this package (fonttools), and the font's build with
bitmaps, `NotoColorEmoji.ttf` (SIL Open Font License): Debian's package
fonts-noto-color-emoji, or https://github.com/googlefonts/noto-emoji.

    emoji/groups/{train,test}/<group>/<code points>.png
        every emoji; the groups are the classes
    emoji/tones/<tone>/{train,test}/<code points>.png
        the emoji that have skin tones once more: files of one name are one picture in
        six tones, so a translation from tone to tone has a right answer
    emoji/portraits/{train,test}/<code points>.png
        the people of whom head and shoulders are drawn once more: one subject, in one
        place, in all tones
    emoji/portrait_tones/<tone>/{train,test}/<code points>.png
        of the toned emoji, the portraits once more
    emoji/genders/{woman,man}/{train,test}/<code points of the woman>.png
        the portraits that there are of a woman and of a man once more, as pairs; some
        differ in the colour of their clothes, too

All variants of one emoji (tone, gender) are on the same side of the split. Files are
the font's own, 136 x 128 on a transparent ground; `fit="crop"` takes the square in the
middle, in which the pictures lie. The same font gives the same files.
"""

import argparse
import collections
import itertools
import pathlib

from matplotlib import font_manager

from keras_cfebm.assets.emoji_sequences import (
    TONES,
    group_of,
    is_portrait,
    is_test,
    man_of,
    split_tone,
    stands_alone,
    tone_takers,
)
from keras_cfebm.utils import atomic_files
from keras_cfebm.utils.optional import optional_import
from keras_cfebm.utils.paths import user_path
from keras_cfebm.utils.typing import PathLike

FONT = "NotoColorEmoji.ttf"
NO_TONE = "yellow"
#: Places in a font's table of names: copyright, version, licence, its address.
_NOTICE = (0, 5, 13, 14)


def find_font() -> pathlib.Path:
    """Finds the font in the system; FileNotFoundError where it is not installed."""
    for path in sorted(font_manager.findSystemFonts()):
        if pathlib.Path(path).name == FONT:
            return pathlib.Path(path)
    raise FileNotFoundError(
        f"Expected {FONT} among the fonts of this system, found none. Install it "
        "(Debian, Ubuntu: apt install fonts-noto-color-emoji) or give its path."
    )


def read_font(path: PathLike) -> tuple[dict[tuple[int, ...], bytes], str]:
    """Reads the pictures of a font with colour bitmaps, and its words on its licence.

    The pictures are PNG files by sequence of code points, in order, without those that
    repeat an earlier one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no font with colour bitmaps.
        ImportError: if fonttools is missing.
    """
    path = user_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a font at {path}, found none.")
    ttlib = optional_import("fontTools.ttLib", "emoji")
    try:
        font = ttlib.TTFont(path)
        bitmaps = font["CBDT"].strikeData[0]
    except Exception as error:  # files of strangers fail in many ways
        raise ValueError(
            f"Expected a font with colour bitmaps (table CBDT), received {path}: "
            f"{error!r}"
        ) from error
    pictures, seen = {}, set()
    for sequence, glyph in sorted(_spellings(font, bitmaps).items()):
        data = bitmaps[glyph].imageData
        if data not in seen:
            pictures[sequence] = data
            seen.add(data)
    names = (font["name"].getDebugName(number) for number in _NOTICE)
    return pictures, "\n".join(name for name in names if name)


def _spellings(font, bitmaps):
    """The sequence of code points that each picture is drawn for: {sequence: glyph}."""
    code_of = {glyph: code for code, glyph in font.getBestCmap().items()}
    sequences: dict[str, list[tuple]] = {
        glyph: [(code,)] for glyph, code in code_of.items()
    }
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for table in lookup.SubTable:
            for first, ligatures in getattr(table, "ligatures", {}).items():
                for ligature in ligatures:
                    codes = tuple(code_of.get(g) for g in (first, *ligature.Component))
                    if None not in codes:
                        sequences.setdefault(ligature.LigGlyph, []).append(codes)
    takers = tone_takers(s for several in sequences.values() for s in several)
    chosen = {}
    for glyph in sequences.keys() & bitmaps.keys():
        whole = [s for s in sequences[glyph] if len(s) > 1 or stands_alone(s[0])]
        if whole:
            # Text that runs from right to left puts the person last.
            chosen[min(whole, key=lambda s: (s[0] not in takers, s))] = glyph
    return chosen


def toned_pictures(
    pictures: dict[tuple[int, ...], bytes],
) -> dict[tuple[int, ...], dict[str, bytes]]:
    """The pictures that there are in every skin tone, by sequence without it, by tone.

    That without a tone is `"yellow"`.
    """
    found: dict[tuple, dict] = {}
    for sequence, data in pictures.items():
        base, tone = split_tone(sequence)
        found.setdefault(base, {})[tone or NO_TONE] = data
    complete = {NO_TONE, *TONES.values()}
    return {base: tones for base, tones in found.items() if tones.keys() == complete}


def portraits_of_both(
    pictures: dict[tuple[int, ...], bytes],
) -> dict[tuple[int, ...], dict[str, bytes]]:
    """The portraits of a woman that there are of a man too, by her sequence and gender.

    The genders are `"woman"` and `"man"`.
    """
    pairs = {sequence: man_of(sequence) for sequence in pictures}
    return {
        woman: {"woman": pictures[woman], "man": pictures[man]}
        for woman, man in pairs.items()
        if man != woman and man in pictures and is_portrait(woman)
    }


def make(output: PathLike, font: PathLike | None = None) -> dict[str, int]:
    """Writes the image set; returns how many files each of its folders has.

    Raises:
        FileExistsError: if there is something at `output`.
        FileNotFoundError, ValueError, ImportError: as `find_font` and `read_font`.
    """
    output = user_path(output)
    if output.exists():
        raise FileExistsError(f"Expected nothing at {output}, found something.")
    pictures, notice = read_font(font or find_font())
    takers = tone_takers(pictures)
    files = {}
    for sequence, data in pictures.items():
        folder = f"groups/{_side(sequence)}/{group_of(sequence, takers)}"
        files[folder, _name(sequence)] = data
        if is_portrait(sequence):
            files[f"portraits/{_side(sequence)}", _name(sequence)] = data
    for sequence, tones in toned_pictures(pictures).items():
        folders = ["tones", *(["portrait_tones"] if is_portrait(sequence) else [])]
        for folder, (tone, data) in itertools.product(folders, tones.items()):
            files[f"{folder}/{tone}/{_side(sequence)}", _name(sequence)] = data
    for sequence, genders in portraits_of_both(pictures).items():
        for gender, data in genders.items():
            files[f"genders/{gender}/{_side(sequence)}", _name(sequence)] = data

    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_files.new_folder(output) as draft:
        for (folder, name), data in files.items():
            (draft / folder).mkdir(parents=True, exist_ok=True)
            (draft / folder / name).write_bytes(data)
        (draft / "LICENSE.txt").write_text(f"{notice}\n", encoding="utf-8")
    return collections.Counter(folder for folder, _ in files)


def _side(sequence):
    return "test" if is_test(sequence) else "train"


def _name(sequence):
    return "-".join(f"{code:x}" for code in sequence) + ".png"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="emoji", help="folder to make")
    parser.add_argument("--font", help=f"path of {FONT}; by default that of the system")
    arguments = parser.parse_args()
    for folder, count in sorted(make(arguments.output, arguments.font).items()):
        print(f"{count:>5}  {pathlib.Path(arguments.output, folder)}")
