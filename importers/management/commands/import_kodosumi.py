import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.formatting import counted
from core.progress import Progress
from executions.file_storage import FilesUnavailable, root_problem, storage_problem
from importers.kodosumi.folders import DataFolder
from importers.kodosumi.follow import Follower
from importers.kodosumi.importer import MAX_FILE_BYTES, Report, importer
from organizations.management.lookup import organization_named

MEBIBYTE = 1 << 20
STOPPED = 130


class Command(BaseCommand):
    help = (
        "Import the executions of a kodosumi deployment into an organization. Each run "
        "imports only what is new. The source folder is never changed. What cannot be read is "
        "skipped and listed at the end."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder", type=Path, help="kodosumi's data folder, which contains `execution`"
        )
        parser.add_argument(
            "--organization", required=True, help="the organization's slug or id (org-…)"
        )
        parser.add_argument(
            "--watch", action="store_true", help="keep importing new rows until stopped"
        )
        parser.add_argument(
            "--interval",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help="seconds between two imports with --watch; default: %(default)s",
        )
        parser.add_argument(
            "--largest-file",
            type=int,
            default=MAX_FILE_BYTES // MEBIBYTE,
            metavar="MIB",
            help=("skip the files of executions that are larger than this; default: %(default)s"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if why := root_problem():
            raise CommandError(why)
        organization = organization_named(options["organization"])
        try:
            source = DataFolder(options["folder"])
        except OSError as error:
            raise CommandError(
                f"{options['folder']} is not the data folder of a kodosumi deployment: "
                f"{error.filename}: {error.strerror}"
            ) from None
        progress = Progress(self.stderr, "executions")
        with closing(source), _stop_on_signal() as stop, _error_as_sentence():
            with importer(
                source,
                organization,
                largest_file=options["largest_file"] * MEBIBYTE,
                warn=self._warn if options["watch"] else lambda path, what: None,
            ) as work:
                if options["watch"]:
                    self.stdout.write(f"Following {source.path}. Ctrl-C or SIGTERM stops.")
                    follower = Follower(source, organization, work)
                    follower.run(stop, options["interval"], progress.show)
                else:
                    work.update_users()
                    folders = [folder for folder, _ in source.executions(work.warn)]
                    work.run(
                        folders,
                        should_stop=stop.is_set,
                        advanced=lambda count: progress.show(count, len(folders)),
                    )
                progress.clear()
                self._summarize(work.report)
            if stop.is_set() and not options["watch"]:
                raise CommandError(
                    "Stopped. The next import continues from here.", returncode=STOPPED
                )

    def _summarize(self, report: Report) -> None:
        self.stdout.write(
            f"{counted(report.looked_at, 'executions')} looked at: {report.imported:,} new, "
            f"{report.updated:,} changed, {report.deleted:,} deleted, "
            f"{report.left_out:,} deleted earlier. "
            f"{counted(report.events, 'new events')}, {counted(report.files, 'new files')}, "
            f"{counted(report.files_removed, 'files')} removed."
        )
        if report.problems:
            self.stdout.write(f"{counted(len(report.problems), 'problems')}:")
        for path, what in sorted(report.problems.items()):
            self.stdout.write(f"  {_printable(path)} {_printable(what)}")

    def _warn(self, path: str, what: str) -> None:
        self.stderr.write(f"{_printable(path)} {_printable(what)}")


@contextmanager
def _error_as_sentence() -> Iterator[None]:
    """Turn a failure into one sentence. What was stored stays, and the next import continues
    there.
    """
    try:
        yield
    except FilesUnavailable as error:
        why = storage_problem() or error.message
        raise CommandError(f"{why} The next import continues from here.") from None


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set. A second signal has its usual effect."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)


def _printable(text: str) -> str:
    """The text without control characters, since names from others must not control the
    terminal.
    """
    return "".join(
        letter
        if letter.isprintable()
        else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )
