"""Serving: one SavedModel with a signature per task, a server of it, and a web page.

The server, `keras_cfebm.serving.server` and its REST and gRPC doors, needs the extra
`serve` and is imported by those who start one.
"""

from keras_cfebm.serving.export import MAX_ROWS, MAX_STEPS, export_saved_model
from keras_cfebm.serving.web_export import export_web

__all__ = ["MAX_ROWS", "MAX_STEPS", "export_saved_model", "export_web"]
