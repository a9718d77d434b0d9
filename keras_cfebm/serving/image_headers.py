"""What image files say about themselves, read in the graph before anything is decoded.

A file is a string tensor `()`; its bytes are an int32 tensor, with zeros behind them.
"""

from typing import NamedTuple

import tensorflow as tf

#: Zeros behind a file: enough for every place that is looked at.
_ZEROS = 4096
#: Entries of an EXIF directory that are looked at.
_ENTRIES = 64
#: Of a GIF: extensions before its first frame, parts of each, and of the frame.
_EXTENSIONS, _EXTENSION_PARTS, _FRAME_PARTS = 16, 256, 4096


class Header(NamedTuple):
    """A file once its header has been read.

    Attributes:
        size: int32 tensor `(2,)`, height and width that the decoder allocates, at most.
        whole: bool tensor, whether the end of the file is there.
        plain: bool tensor, whether pixels are stored in a way that is known.
        file: string tensor, what of the file is to be decoded.
    """

    size: tf.Tensor
    whole: tf.Tensor
    plain: tf.Tensor
    file: tf.Tensor


def codes_of(file: tf.Tensor) -> tf.Tensor:
    """The bytes of a file, with zeros behind them."""
    codes = tf.io.decode_raw(tf.strings.join([file, b"\0" * _ZEROS]), tf.uint8)
    return tf.cast(codes, tf.int32)


def starts_with(codes: tf.Tensor, magic: bytes) -> tf.Tensor:
    """Whether a file begins with these bytes."""
    return tf.reduce_all(tf.equal(codes[: len(magic)], list(magic)))


def png(file: tf.Tensor, codes: tf.Tensor) -> Header:
    size = tf.stack([_number(codes, 20, 4), _number(codes, 16, 4)])
    _, whole = _find(codes, b"IEND")
    return Header(size, whole, tf.constant(True), file)


def png_has_alpha(file: tf.Tensor) -> tf.Tensor:
    """Whether a PNG file has a channel or a colour that is transparent."""
    codes = codes_of(file)
    _, has_colour = _find(codes, b"tRNS")
    return has_colour | (codes[25] >= 4)


def jpeg(file: tf.Tensor, codes: tf.Tensor) -> Header:
    _, whole = _find(codes, b"\xff\xd9")
    size = tf.cond(
        whole,
        lambda: tf.image.extract_jpeg_shape(file)[:2],
        lambda: tf.zeros(2, tf.int32),
    )
    return Header(size, whole, tf.constant(True), file)


def bmp(file: tf.Tensor, codes: tf.Tensor) -> Header:
    """Bitmaps of 8 grey, 24 or 32 bits; palettes of colours are not resolved."""
    width, height = _number(codes, 18, 4, "little"), _number(codes, 22, 4, "little")
    # Rows from top to bottom have a negative height.
    height = tf.where(height < 0, -tf.maximum(height, -tf.int32.max), height)
    bits = _number(codes, 28, 2, "little")
    levels = tf.range(256)
    palette = tf.reshape(
        tf.gather(
            codes, 14 + _at_most(_number(codes, 14, 4, "little")) + tf.range(1024)
        ),
        (256, 4),
    )
    is_grey = tf.reduce_all(tf.equal(palette[:, :3], levels[:, None]))
    plain = tf.equal(_number(codes, 30, 4, "little"), 0)
    plain &= tf.equal(bits, 24) | tf.equal(bits, 32) | (tf.equal(bits, 8) & is_grey)
    row = (tf.cast(width, tf.int64) * tf.cast(bits, tf.int64) + 31) // 32 * 4
    end = tf.cast(_number(codes, 10, 4, "little"), tf.int64)
    end += row * tf.cast(height, tf.int64)
    whole = end <= tf.cast(tf.strings.length(file), tf.int64)
    return Header(tf.stack([height, width]), whole, plain, file)


def gif(file: tf.Tensor, codes: tf.Tensor) -> Header:
    """The first frame as a file of its own, its transparent colour made white.

    A decoder would read all frames, of whatever sizes, and show the colour as it is. A
    frame that does not fill the screen is not plain.
    """
    first = _within(13 + _palette_length(codes[10]), file)

    def extension(place, clear):
        # The label F9 has a flag and the index of the transparent colour.
        is_clear = tf.equal(codes[place + 1], 0xF9) & tf.equal(codes[place + 3] & 1, 1)
        clear = tf.where(is_clear, codes[place + 6], clear)
        return _after_parts(codes, place + 2, _EXTENSION_PARTS), clear

    frame, clear = tf.while_loop(
        lambda place, _: tf.equal(codes[place], 0x21),
        extension,
        (first, -1),
        maximum_iterations=_EXTENSIONS,
    )
    data = frame + 11 + _palette_length(codes[frame + 9])
    end = _after_parts(codes, data, _FRAME_PARTS)
    whole = tf.equal(codes[frame], 0x2C) & tf.equal(codes[end - 1], 0)
    whole &= end <= tf.strings.length(file)
    numbers = [_number(codes, frame + place, 2, "little") for place in (1, 3, 7, 5)]
    left, top, height, width = numbers
    screen = [_number(codes, 8, 2, "little"), _number(codes, 6, 2, "little")]
    fills = tf.equal(left + top, 0) & tf.reduce_all(tf.equal(screen, [height, width]))
    size = tf.maximum(tf.stack([height, width]), tf.stack(screen))
    has_own = codes[frame + 9] >= 0x80
    place = tf.where(has_own, 10, 13) + 3 * tf.maximum(clear, 0)
    header = tf.strings.substr(file, 0, first)
    header = _whitened(header, place, ~has_own & (clear >= 0))
    image = tf.strings.substr(file, _within(frame, file), end - frame)
    image = _whitened(image, place, has_own & (clear >= 0))
    return Header(size, whole, fills, tf.strings.join([header, image, b";"]))


def _after_parts(codes, place, most):
    """The place behind parts of a GIF that begin with their length, the last with 0."""
    (last,) = tf.while_loop(
        lambda place: codes[place] > 0,
        lambda place: [place + codes[place] + 1],
        [place],
        maximum_iterations=most,
    )
    return last + 1


def _palette_length(flags):
    return tf.where(flags >= 0x80, 3 * tf.bitwise.left_shift(2, flags & 7), 0)


def _whitened(text, place, wanted):
    """A text with the three bytes of a colour made white."""
    length = tf.strings.length(text)
    wanted &= place + 3 <= length
    place = tf.where(wanted, place, 0)
    start = tf.strings.substr(text, 0, place)
    rest = tf.strings.substr(text, tf.minimum(place + 3, length), length)
    return tf.where(wanted, tf.strings.join([start, b"\xff" * 3, rest]), text)


def orientation(codes: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a JPEG or PNG file, 1 … 8; 1 if it has none."""
    jpeg_place, in_jpeg = _find(codes, b"Exif\0\0")
    png_place, in_png = _find(codes, b"eXIf")
    place = tf.where(starts_with(codes, b"\x89PNG"), png_place + 4, jpeg_place + 6)
    known = tf.where(starts_with(codes, b"\x89PNG"), in_png, in_jpeg)
    return tf.cond(known, lambda: _orientation_at(codes, place), lambda: 1)


def _orientation_at(codes, place):
    little = tf.equal(codes[place], ord("I"))
    last = tf.size(codes) - 1

    def numbers(places, length):
        found = tf.gather(codes, tf.minimum(places[:, None] + tf.range(length), last))
        found = tf.where(little, found[:, ::-1], found)
        return tf.reduce_sum(found * 256 ** tf.range(length)[::-1], axis=1)

    directory = place + _at_most(numbers(tf.stack([place + 4]), 4)[0], 2**20)
    entries = directory + 2 + 12 * tf.range(_ENTRIES)
    there = tf.range(_ENTRIES) < numbers(tf.stack([directory]), 2)[0]
    matches = there & tf.equal(numbers(entries, 2), 0x0112)
    values = numbers(entries + 8, 2)
    found = tf.reduce_max(tf.where(matches, values, 0))
    return tf.where((found >= 1) & (found <= 8), found, 1)


def _find(codes, text):
    """Where a text begins first, and whether it is there."""
    count = tf.size(codes) - len(text) + 1
    same = tf.fill([count], True)
    for index, code in enumerate(text):
        same &= tf.equal(codes[index : index + count], code)
    return tf.argmax(same, output_type=tf.int32), tf.reduce_any(same)


def _number(codes, place, length, order="big"):
    """The integer of so many bytes; one of four bytes has a sign."""
    found = codes[place : place + length]
    found = found[::-1] if order == "little" else found
    return tf.reduce_sum(found * 256 ** tf.range(length)[::-1])


def _at_most(number, most=_ZEROS // 2):
    return tf.clip_by_value(number, 0, most)


def _within(place, file):
    return tf.minimum(place, tf.strings.length(file))
