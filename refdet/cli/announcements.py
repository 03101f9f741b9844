"""What the backends announce while a command runs: which function they compile, as that takes seconds."""

from __future__ import annotations

import logging

from refdet.cli.messages import errors

LOGGER = "refdet.backends"


class _Announcements(logging.Handler):
    """Prints each announcement once, dimmed, on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line, above a progress bar if there is one."""
        text = record.getMessage()
        if text not in self._told:
            self._told.add(text)
            errors.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


def show_announcements() -> None:
    """Show what the backends announce from now on."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, _Announcements) for handler in logger.handlers):
        logger.addHandler(_Announcements())
