"""The process of one job run: waits for its order, then becomes the job's script.

Started by ``local_aws.glue.script_process``, never imported. It is started ahead of time, so that
the interpreter and PySpark are loaded when a run comes; each process runs one script and ends.

Standard input is the lifeline: one line of JSON with the order, and then nothing. When it closes,
whoever started this process is gone, and the process ends with everything that it started.
The file descriptor given as first argument takes the outcome: ``{"error": "ValueError: ..."}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
import types
from typing import Any, NoReturn

MESSAGE_LIMIT = 2048


def preload() -> None:
    """Import what nearly every job imports; a job without it pays for it itself."""
    with contextlib.suppress(ImportError):
        import pyspark.sql.functions
        import pyspark.sql.types
        import pyspark.sql.window  # noqa: F401


def end_with_parent(lifeline: int) -> None:
    """Kill the process group when the other end of ``lifeline`` closes."""
    while os.read(lifeline, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def take_order(lifeline: int) -> dict[str, Any]:
    line = bytearray()
    while not line.endswith(b"\n"):
        block = os.read(lifeline, 65536)
        if not block:
            os._exit(0)
        line += block
    return json.loads(line)


def describe(error: BaseException) -> str:
    """The error as Glue shows it in ``ErrorMessage``."""
    java = getattr(error, "java_exception", None)
    if java is not None:
        first = str(getattr(error, "errmsg", "")).strip().rstrip(".")
        with contextlib.suppress(Exception):
            return f"{first}. {java.getMessage() or java.toString()}"[:MESSAGE_LIMIT]
    text = str(error)
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[:MESSAGE_LIMIT]


def run(order: dict[str, Any]) -> tuple[int, str | None]:
    """Execute the script as ``__main__``; its exit code, and the error that ended it."""
    script = order["script"]
    main = types.ModuleType("__main__")
    main.__file__ = script
    sys.modules["__main__"] = main
    try:
        with open(script, "rb") as source:
            code = compile(source.read(), script, "exec")
        exec(code, main.__dict__)  # noqa: S102 - running the script is what this process is for
    except SystemExit as end:
        if end.code is None or end.code == 0:
            return 0, None
        if isinstance(end.code, int):
            return end.code & 0xFF or 1, f"SystemExit: {end.code}"
        print(end.code, file=sys.stderr)
        return 1, f"SystemExit: {end.code}"[:MESSAGE_LIMIT]
    except BaseException as error:
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename == __file__:
            own = own.tb_next
        traceback.print_exception(type(error), error, own)
        return 1, describe(error)
    return 0, None


def main() -> NoReturn:
    outcome = int(sys.argv[1])
    os.set_inheritable(outcome, False)
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if "--preload" in sys.argv:
        preload()
    order = take_order(lifeline)
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    os.environ.update(order["environment"])
    time.tzset()
    os.chdir(order["folder"])
    sys.argv = order["arguments"]
    runtime = sys.path.pop(0)
    sys.path[:0] = [os.path.dirname(order["script"]), *order["python_path"], runtime]
    code, error = run(order)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(outcome, json.dumps({"error": error}).encode())
    sys.exit(code)


if __name__ == "__main__":
    main()
