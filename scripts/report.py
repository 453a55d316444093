"""Prints the results as a table and writes them as an HTML page with charts.

    zoo report --output=output --open

Reads results.jsonl, artifacts/ and sensitivity/ in OUTPUT. Writes OUTPUT/report/index.html, which
needs no network, and the charts accuracy_vs_size and accuracy_vs_latency as .svg and .png beside
it. --output_file=FILE writes only the page, to FILE.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from absl import flags

from scripts.common import cli

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("output_file", None, "write only the page, to this .html file")
flags.DEFINE_bool("open", False, "open the page in a browser")


def main(argv: list[str]) -> None:
    """Prints the table, writes the page and prints its path."""
    from converters.release.page_inputs import extras
    from zoo.report import build
    from zoo.report.terminal import print_report

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # prints ? for – on a Latin-1 terminal
    output = cli.output()
    results = build.load(output)
    print_report(results, sys.stdout)
    more, problems = extras(results, output)
    for problem in problems:
        cli.complain(problem)
    if FLAGS.output_file:
        page = Path(FLAGS.output_file).resolve()
        build.write_page(results, output, page, more)
    else:
        page = build.write(results, output, more).resolve()
    if FLAGS.open:
        import webbrowser

        if not webbrowser.open(page.as_uri()):
            cli.say("could not start a browser; open the page yourself")
    cli.say(f"\nPage: {page}")


if __name__ == "__main__":
    cli.run(main)
