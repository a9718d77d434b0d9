"""What the code points of an emoji say: its skin tone, its group, its side of a split.

An emoji is a sequence of code points, of which U+200D joins several pictures to one.
See Unicode Technical Standard 51.
"""

import hashlib
import itertools
from collections.abc import Iterable

JOINER = 0x200D
TONES = {
    0x1F3FB: "light",
    0x1F3FC: "medium_light",
    0x1F3FD: "medium",
    0x1F3FE: "medium_dark",
    0x1F3FF: "dark",
}
PERSON, MAN, WOMAN = 0x1F9D1, 0x1F468, 0x1F469
FEMALE, MALE = 0x2640, 0x2642
#: Between variants of one emoji: joiner, signs for female and male, arrow to the right.
_VARIANT = {JOINER, FEMALE, MALE, 0x27A1, *TONES}


def _blocks(text):
    """The ranges of code points, first and last, that a text names as Unicode does."""
    ends = (block.split("-") for block in text.split())
    return [(int(block[0], 16), int(block[-1], 16)) for block in ends]


#: Digits, letters of flags, tones and hair are parts of emoji; the rest is private use.
_PARTS = _blocks("0-7F 20E3 1F1E6-1F1FF 1F3FB-1F3FF 1F9B0-1F9B3 E0000-10FFFF")
#: The first group that a code point of an emoji lies in is its group: a woman with an
#: ear of rice is a person.
_GROUPS = {
    "flags": _blocks("1F1E6-1F1FF 1F38C 1F3C1 1F3F3-1F3F4 1F6A9"),
    # Those that take no skin tone.
    "people": _blocks(
        "1F440-1F445 1F463-1F465 1F46A-1F46F 1F5E3 1F93C 1F9B4-1F9B7 1F9BE-1F9BF "
        "1F9CC 1F9DE-1F9E0 1FAC0-1FAC2"
    ),
    "faces": _blocks(
        "2639-263A 1F479-1F480 1F600-1F64F 1F910-1F92F 1F970-1F97A 1F9D0 1FAE0-1FAE8"
    ),
    "nature": _blocks(
        "2618 1F331-1F344 1F3F5 1F400-1F43F 1F490 1F54A 1F577-1F578 1F940 1F980-1F9AE "
        "1FAB0-1FABF 1FACE-1FACF"
    ),
    "food": _blocks(
        "2615 1F32D-1F330 1F345-1F37F 1F382 1F942-1F944 1F950-1F96F 1F9C0-1F9CB "
        "1FAD0-1FADF"
    ),
    # Hearts, arrows, signs, squared letters, clocks.
    "symbols": _blocks(
        "0-25FF 2622-2638 2640-2653 2660-267F 2714-2716 271D-2721 2733-2734 "
        "2747-1F265 1F493-1F49F 1F500-1F506 1F518-1F524 1F52F-1F549 1F550-1F567 "
        "1F6AB-1F6C5 1F7E0-1F7F0"
    ),
}
REST = "objects"
#: People of whom head and shoulders are drawn; and what stands for a whole body beside
#: one of them: canes, wheelchairs, bottles.
_PORTRAITS = _blocks(
    "1F385 1F466-1F469 1F46E 1F470-1F478 1F47C 1F481-1F482 1F486-1F487 1F575 "
    "1F645-1F647 1F64B 1F64D-1F64E 1F926 1F934-1F937 1F9D1-1F9D6 1F9D9 1F9DB 1F9DD "
    "1FAC5"
)
_WHOLE_BODY = _blocks("1F37C 1F9AF 1F9BC-1F9BD")


def stands_alone(code: int) -> bool:
    """Whether one code point is an emoji by itself, rather than a part of some."""
    return not _within(code, _PARTS)


def tone_takers(emoji: Iterable[tuple[int, ...]]) -> set[int]:
    """The code points that are followed by a skin tone in any of the emoji."""
    return {
        code
        for sequence in emoji
        for code, after in itertools.pairwise(sequence)
        if after in TONES and code != JOINER
    }


def split_tone(sequence: tuple[int, ...]) -> tuple[tuple[int, ...], str | None]:
    """An emoji without its skin tone, and the tone, a value of `TONES`.

    Without a tone, or with several (people of different ones), itself and None.
    """
    tones = set(sequence) & set(TONES)
    if len(tones) != 1:
        return sequence, None
    (tone,) = tones
    return tuple(code for code in sequence if code != tone), TONES[tone]


def man_of(sequence: tuple[int, ...]) -> tuple[int, ...]:
    """The emoji of a man who does what a woman does in this one.

    Of an emoji that says of nobody that she is a woman, itself.
    """
    other = {WOMAN: MAN, FEMALE: MALE}
    return tuple(other.get(code, code) for code in sequence)


def group_of(sequence: tuple[int, ...], takers: Iterable[int] = ()) -> str:
    """What an emoji shows, roughly as Unicode's charts group it.

    `takers` are code points of people and parts of them, see `tone_takers`.
    """
    for group, blocks in _GROUPS.items():
        if any(_within(code, blocks) for code in sequence):
            return group
        if group == "people" and not set(sequence).isdisjoint(takers):
            return group
    return REST


def is_portrait(sequence: tuple[int, ...]) -> bool:
    """Whether an emoji shows one person, head and shoulders."""
    people = [code for code in sequence if _within(code, _PORTRAITS)]
    return (
        sequence[:1] == tuple(people)
        and not any(_within(code, _WHOLE_BODY) for code in sequence)
        and len(set(sequence) & set(TONES)) <= 1
    )


def is_test(sequence: tuple[int, ...]) -> bool:
    """Whether an emoji is a test image; one in five is, with all of its variants."""
    same = {MAN: PERSON, WOMAN: PERSON}
    codes = sorted(same.get(code, code) for code in sequence if code not in _VARIANT)
    digest = hashlib.sha256(" ".join(f"{code:x}" for code in codes).encode()).digest()
    return digest[0] < 256 // 5


def _within(code, blocks):
    return any(first <= code <= last for first, last in blocks)
