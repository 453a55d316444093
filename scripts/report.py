r"""Prints what was measured as a table and writes it as one page with pictures.

    python -m scripts.report --output=output --open

Reads results.jsonl, artifacts and sensitivity in OUTPUT; writes OUTPUT/report/index.html, which
needs no network, and accuracy_vs_size and accuracy_vs_latency as .svg and .png beside it.
--output_file=FILE writes the page alone, to FILE.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from absl import flags

from scripts.common import cli

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("output_file", None, "write only the page, to this .html")
flags.DEFINE_bool("open", False, "show the page in the browser")


def main(argv: list[str]) -> None:
    """Prints the table, writes the page, says where it is."""
    from converters.release.page_inputs import extras
    from zoo.report import build
    from zoo.report.terminal import print_report

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a Latin-1 terminal shows ? for –
    output = cli.output()
    found = build.load(output)
    print_report(found, sys.stdout)
    more, problems = extras(found, output)
    for problem in problems:
        cli.complain(problem)
    if FLAGS.output_file:
        page = Path(FLAGS.output_file).resolve()
        build.write_page(found, output, page, more)
    else:
        page = build.write(found, output, more).resolve()
    if FLAGS.open:
        import webbrowser

        if not webbrowser.open(page.as_uri()):
            cli.say("No browser could be started; open the page by hand.")
    cli.say(f"\nPage: {page}")


if __name__ == "__main__":
    cli.run(main)
