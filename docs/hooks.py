"""Links of a page that leave `docs/`: GitHub follows them, and so should the site.

A picture of the repository is copied into the site; any other file is linked to where
the repository is published. MkDocs calls these functions by their names.
"""

import pathlib
import posixpath
import re
import runpy

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
_VERSION = runpy.run_path(str(ROOT / "keras_cfebm" / "utils" / "version.py"))
_LINK = re.compile(r"(?<=\]\()\.\./[^)\s#]+")


def on_config(config):
    """The repository's address, from the only place that knows it."""
    config.repo_url = _VERSION["REPOSITORY_URL"]
    config.repo_name = config.site_name
    return config


def on_page_markdown(markdown, page, config, files):
    """Rewrites the links that leave `docs/`."""
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def rewritten(match):
        target = posixpath.normpath(posixpath.join(folder, match[0]))
        if target.startswith("docs/"):
            return match[0]
        if not target.endswith(".png"):
            return f"{config.repo_url}/blob/main/{target}"
        if target not in files.src_uris:
            path = str(ROOT / target)
            files.append(File.generated(config, target, abs_src_path=path))
        return posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")

    return _LINK.sub(rewritten, markdown)
