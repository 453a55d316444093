r"""Prints what was measured as a table and writes it as one page with pictures.

    python -m scripts.report --output=output --open

Reads results.jsonl, artifacts and sensitivity in OUTPUT; writes OUTPUT/report/index.html, which
needs no network, and accuracy_vs_size and accuracy_vs_latency as .svg and .png beside it.
--page=FILE writes the page alone, to FILE.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from absl import flags

from scripts import cli

FLAGS = flags.FLAGS
cli.define_output()
flags.DEFINE_string("page", None, "write only the page, to this .html")
flags.DEFINE_bool("open", False, "show the page in the browser")


def main(argv: list[str]) -> None:
    """Prints the table, writes the page, says where it is."""
    from android_bench import report
    from android_bench.report_terminal import print_report
    from scripts.page_facts import extras

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a Latin-1 terminal shows ? for –
    output = cli.output()
    found = report.load(output)
    print_report(found, sys.stdout)
    more, problems = extras(found, output)
    for problem in problems:
        cli.complain(problem)
    if FLAGS.page:
        page = Path(FLAGS.page).resolve()
        report.write_page(found, output, page, more)
    else:
        page = report.write(found, output, more).resolve()
    if FLAGS.open:
        import webbrowser

        if not webbrowser.open(page.as_uri()):
            cli.say("No browser could be started; open the page by hand.")
    cli.say(f"\nPage: {page}")


if __name__ == "__main__":
    cli.run(main)
