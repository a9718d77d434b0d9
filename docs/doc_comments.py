"""Comments that begin with `#:` are the docstrings of the constants below them."""

import griffe


class DocComments(griffe.Extension):
    """Gives constants their comment as a docstring, which the API pages show."""

    def on_attribute_instance(self, *, attr, **options):
        """Called by griffe for each constant."""
        if attr.docstring or not attr.lineno or not attr.parent.is_module:
            return
        lines = attr.lines_collection[attr.filepath][: attr.lineno - 1]
        comment = []
        while lines and lines[-1].startswith("#:"):
            comment.insert(0, lines.pop().removeprefix("#:").strip())
        if comment:
            attr.docstring = griffe.Docstring("\n".join(comment), parent=attr)
