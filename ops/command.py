"""What every command of `ops` does with an error: a sentence for who typed it, and exit code 1."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from ops.settings import OpsError


def command(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate a `main`: what the person at the keyboard can mend is told without a traceback."""

    @functools.wraps(main)
    def told(*args: list[str] | None) -> int:
        try:
            return main(*args)
        except OpsError as error:
            said = str(error)
        except ClientError as error:
            said = (
                f"The embedded AWS refused {error.operation_name}:"
                f" {error.response['Error']['Code']}: {error.response['Error']['Message']}\n"
                "What it says of that: make logs LOG=aws. Something that was removed by hand is not"
                " deployed again by itself: put it back, or begin anew with make clean."
            )
        except BotoCoreError as error:
            said = f"The embedded AWS does not answer ({error}). Start it with: make up"
        print(said, file=sys.stderr)
        return 1

    return told
