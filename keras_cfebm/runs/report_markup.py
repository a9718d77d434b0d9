"""HTML by construction: `element` is the only way to a tag, all other text is escaped.

Names of image sets, classes and files come from outside. Since a plain string never
becomes a tag or an attribute here, none of them can do harm to a page.
"""

import base64
import html
import io
import pathlib
import re

import PIL.Image

_VOID = ("img", "br", "meta", "link")
# Elsewhere a line break in the source is a space on the page.
_OWN_LINE = ("dd", "div", "figure", "h2", "h3", "li", "p", "section", "table", "tr")
# Not allowed in HTML, not encodable, or able to reverse the text around them.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
_PICTURES = ("PNG", "GIF")


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


def markup(content: object) -> Markup:
    """HTML of some content.

    Args:
        content: `Markup`, kept as it is; None, nothing; an iterable of contents; or
            anything else, whose text is escaped.

    Returns:
        `Markup`.
    """
    if isinstance(content, Markup):
        return content
    if content is None:
        return Markup("")
    if hasattr(content, "__iter__") and not isinstance(content, str):
        return Markup("".join(markup(part) for part in content))
    return Markup(html.escape(_UNSAFE.sub("\ufffd", str(content))))


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """One HTML element.

    Args:
        tag: str, its name.
        *content: what is in it, see `markup`.
        **attributes: their values; None leaves one out. `class_` is written `class`,
            and `aria_label` `aria-label`.

    Returns:
        `Markup`.
    """
    opening = tag + "".join(
        f' {name.rstrip("_").replace("_", "-")}="{markup(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{opening}>")
    end = "\n" if tag in _OWN_LINE else ""
    return Markup(f"<{opening}>{markup(content)}</{tag}>{end}")


def note(*content: object) -> Markup:
    """A paragraph that says that something is missing, or why."""
    return element("p", *content, class_="note")


def figure(
    source: pathlib.Path | bytes, caption: object, alt: str, class_: str | None = None
) -> Markup:
    """A captioned picture, inside the page as a data URI.

    Args:
        source: path of a PNG or GIF file, or its bytes.
        caption: content of the caption, see `markup`.
        alt: str, what the picture shows, for those who do not see it.
        class_: str, of the figure.

    Returns:
        `Markup`; where the picture cannot be read, a note in its place.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with PIL.Image.open(io.BytesIO(data), formats=_PICTURES) as image:
            image.load()
            kind, (width, height) = image.get_format_mimetype(), image.size
    # Pillow's decoders let errors of several types out of damaged files.
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        return note(caption, ": the file cannot be read as a PNG or GIF picture.")
    uri = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    image = element("img", src=uri, alt=alt, width=width, height=height)
    return element("figure", image, element("figcaption", caption), class_=class_)
