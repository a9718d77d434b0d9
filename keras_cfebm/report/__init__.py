"""A run folder as one HTML page that needs nothing else: `cfebm report`.

`markup` makes HTML in which no text can act as markup, `tables` shows any JSON value,
`training` reads what a run has logged, `sections` are the parts of the page and `page`
puts them together.
"""

from keras_cfebm.report.page import run_report, write_report

__all__ = ["run_report", "write_report"]
