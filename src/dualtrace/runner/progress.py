"""How a run says where it stands; whoever starts it decides how that is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called when a run starts, after every task, and when it waits for something."""

    def __call__(self, done: int, total: int, message: str, /) -> None:
        """Take note.

        Parameters
        ----------
        done, total
            Different tasks whose results are stored, of all that were asked for.
        message
            What happens, in a few words.
        """


def quiet(done: int, total: int, message: str, /) -> None:
    """Say nothing."""
