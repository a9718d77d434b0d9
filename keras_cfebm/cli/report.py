"""Turn a run folder into one HTML page with its pictures, figures and settings."""

from absl import flags

from keras_cfebm.runs.report import write_report


def main(values: flags.FlagValues) -> None:
    """Writes the page, then says where it is."""
    path = write_report(values.run_dir, values.output)
    size = path.stat().st_size / 1e6
    print(f"Report            {path} ({size:.1f} MB, nothing else needed)")
