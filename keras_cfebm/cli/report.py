"""Turn a run folder into one HTML page with its pictures, figures and settings."""

from absl import flags

from keras_cfebm.runs.report import write_report


def define_flags(values: flags.FlagValues) -> None:
    """Adds the flags of this command."""
    flags.DEFINE_string("run_dir", None, "Run folder.", flag_values=values)
    flags.mark_flag_as_required("run_dir", flag_values=values)
    flags.DEFINE_string(
        "output", None, "HTML file; default RUN/report.html.", flag_values=values
    )


def main(values: flags.FlagValues) -> None:
    """Writes the page, then says where it is."""
    path = write_report(values.run_dir, values.output)
    size = path.stat().st_size / 1e6
    print(f"Report            {path} ({size:.1f} MB, nothing else needed)")
