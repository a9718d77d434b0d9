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
#: Between variants of one emoji: joiner, signs for female and male, arrow to the right.
_VARIANT = {JOINER, 0x2640, 0x2642, 0x27A1, *TONES}
#: Digits, letters of flags, tones and hair are parts of emoji; the rest is private use.
_PARTS = (
    (0x0000, 0x007F),
    (0x20E3, 0x20E3),
    (0x1F1E6, 0x1F1FF),
    (0x1F3FB, 0x1F3FF),
    (0x1F9B0, 0x1F9B3),
    (0xE0000, 0x10FFFF),
)
#: First and last code points. The first group that a code point of an emoji lies in is
#: its group: a woman with an ear of rice is a person.
_GROUPS = {
    "flags": (
        (0x1F1E6, 0x1F1FF),
        (0x1F38C, 0x1F38C),
        (0x1F3C1, 0x1F3C1),
        (0x1F3F3, 0x1F3F4),
        (0x1F6A9, 0x1F6A9),
    ),
    # Those that take no skin tone.
    "people": (
        (0x1F440, 0x1F445),
        (0x1F463, 0x1F465),
        (0x1F46A, 0x1F46F),
        (0x1F5E3, 0x1F5E3),
        (0x1F93C, 0x1F93C),
        (0x1F9B4, 0x1F9B7),
        (0x1F9BE, 0x1F9BF),
        (0x1F9CC, 0x1F9CC),
        (0x1F9DE, 0x1F9E0),
        (0x1FAC0, 0x1FAC2),
    ),
    "faces": (
        (0x2639, 0x263A),
        (0x1F479, 0x1F480),
        (0x1F600, 0x1F64F),
        (0x1F910, 0x1F92F),
        (0x1F970, 0x1F97A),
        (0x1F9D0, 0x1F9D0),
        (0x1FAE0, 0x1FAE8),
    ),
    "nature": (
        (0x2618, 0x2618),
        (0x1F331, 0x1F344),
        (0x1F3F5, 0x1F3F5),
        (0x1F400, 0x1F43F),
        (0x1F490, 0x1F490),
        (0x1F54A, 0x1F54A),
        (0x1F577, 0x1F578),
        (0x1F940, 0x1F940),
        (0x1F980, 0x1F9AE),
        (0x1FAB0, 0x1FABF),
        (0x1FACE, 0x1FACF),
    ),
    "food": (
        (0x2615, 0x2615),
        (0x1F32D, 0x1F330),
        (0x1F345, 0x1F37F),
        (0x1F382, 0x1F382),
        (0x1F942, 0x1F944),
        (0x1F950, 0x1F96F),
        (0x1F9C0, 0x1F9CB),
        (0x1FAD0, 0x1FADF),
    ),
    # Hearts, arrows, signs, squared letters, clocks.
    "symbols": (
        (0x0000, 0x25FF),
        (0x2622, 0x2638),
        (0x2640, 0x2653),
        (0x2660, 0x267F),
        (0x2714, 0x2716),
        (0x271D, 0x2721),
        (0x2733, 0x2734),
        (0x2747, 0x1F265),
        (0x1F493, 0x1F49F),
        (0x1F500, 0x1F506),
        (0x1F518, 0x1F524),
        (0x1F52F, 0x1F549),
        (0x1F550, 0x1F567),
        (0x1F6AB, 0x1F6C5),
        (0x1F7E0, 0x1F7F0),
    ),
}
REST = "objects"


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
    """Takes the skin tone out of an emoji.

    Args:
        sequence: tuple of code points.

    Returns:
        `(sequence without it, tone)`, the tone a value of `TONES`. Without a tone, or
        with several (people of different tones), `(sequence, None)`.
    """
    tones = set(sequence) & set(TONES)
    if len(tones) != 1:
        return sequence, None
    (tone,) = tones
    return tuple(code for code in sequence if code != tone), TONES[tone]


def group_of(sequence: tuple[int, ...], takers: Iterable[int] = ()) -> str:
    """What an emoji shows, roughly as Unicode's charts group it.

    Args:
        sequence: tuple of code points.
        takers: code points of people and parts of them, see `tone_takers`.

    Returns:
        One of flags, people, faces, nature, food, symbols, objects.
    """
    for group, blocks in _GROUPS.items():
        if any(_within(code, blocks) for code in sequence):
            return group
        if group == "people" and not set(sequence).isdisjoint(takers):
            return group
    return REST


def is_test(sequence: tuple[int, ...]) -> bool:
    """Whether an emoji is a test image; one in five is, and all its variants with it.

    Args:
        sequence: tuple of code points, in any order.

    Returns:
        bool, a fixed function of the code points but for tone and gender.
    """
    same = {MAN: PERSON, WOMAN: PERSON}
    codes = sorted(same.get(code, code) for code in sequence if code not in _VARIANT)
    digest = hashlib.sha256(" ".join(f"{code:x}" for code in codes).encode()).digest()
    return digest[0] < 256 // 5


def _within(code, blocks):
    return any(first <= code <= last for first, last in blocks)
