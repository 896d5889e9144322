"""The Python runtime inside a Lambda execution environment. Runs alone, in its own process.

Started as ``python -I -S bootstrap.py REQUESTS ANSWERS LIFE``, three file descriptors:

* REQUESTS: one JSON object a line, an invocation;
* ANSWERS: one JSON object a line, first the outcome of loading the handler, then one for each
  invocation;
* LIFE: closed by the server's death, upon which this process group ends itself.

What the handler writes goes to standard output. After each phase the phase's mark is written
there too, so that the server knows that it has read everything.
"""

import base64
import importlib
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
from types import SimpleNamespace

NEWLINE_IN_EVENT = "\x1e"


class Context:
    """What a handler receives as its second argument."""

    def __init__(self, invocation):
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = invocation["arn"]
        self.aws_request_id = invocation["id"]
        self.identity = SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = None
        if invocation.get("client_context"):
            given = json.loads(base64.b64decode(invocation["client_context"]))
            self.client_context = SimpleNamespace(
                custom=given.get("custom"),
                env=given.get("env"),
                client=SimpleNamespace(**given["client"]) if given.get("client") else None,
            )
        self._deadline = invocation["deadline"]

    def get_remaining_time_in_millis(self):
        return max(0, int((self._deadline - time.time()) * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class EventHandler(logging.Handler):
    """A logging record becomes one event, its line breaks included."""

    def emit(self, record):
        try:
            write_event(self.format(record))
        except Exception:
            self.handleError(record)


class RequestId(logging.Filter):
    current = ""

    def filter(self, record):
        record.aws_request_id = self.current
        return True


def write_event(text):
    sys.stdout.write(text.rstrip("\n").replace("\n", NEWLINE_IN_EVENT) + "\n")


def install_logging():
    logging.Formatter.converter = time.gmtime
    handler = EventHandler()
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
    )
    handler.addFilter(RequestId())
    logging.getLogger().addHandler(handler)


def watch(life):
    """End the whole process group when the server is gone."""
    while os.read(life, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def error_of(error, frames, kind=None):
    root = os.environ["LAMBDA_TASK_ROOT"]
    return {
        "errorMessage": str(error),
        "errorType": kind or type(error).__name__,
        "stackTrace": [line.replace(root, "/var/task") for line in traceback.format_list(frames)],
    }


def log_error(error):
    head = f"[ERROR] {error['errorType']}: {error['errorMessage']}"
    trace = "".join(error["stackTrace"])
    write_event(f"{head}\nTraceback (most recent call last):\n{trace}" if trace else head)


def own_frames(error):
    """The error's frames without those of this file."""
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]


def load(name):
    """The handler named ``module.function`` and None, or None and the error."""
    module_name, _, function_name = name.rpartition(".")
    module_path = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_path)
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        return None, error_of(message, own_frames(error), "Runtime.ImportModuleError")
    except SyntaxError as error:
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text or ""}'
        message = f"Syntax error in module '{module_name}': {error}"
        failure = error_of(message, [], "Runtime.UserCodeSyntaxError")
        failure["stackTrace"] = [where.replace(os.environ["LAMBDA_TASK_ROOT"], "/var/task")]
        return None, failure
    except Exception as error:
        return None, error_of(error, own_frames(error))
    function = getattr(module, function_name, None)
    if not callable(function):
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        return None, error_of(message, [], "Runtime.HandlerNotFound")
    return function, None


def invoke(function, invocation):
    """``(result as JSON text, error)``, one of them None."""
    try:
        result = function(json.loads(invocation["payload"]), Context(invocation))
    except Exception as error:
        return None, error_of(error, own_frames(error))
    try:
        return json.dumps(result, ensure_ascii=False), None
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        return None, error_of(message, [], "Runtime.MarshalError")


def main():
    requests, answers, life = (int(number) for number in sys.argv[1:4])
    for descriptor in (requests, answers, life):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=watch, args=(life,), daemon=True).start()
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"]]
    sys.path.append(os.environ["LAMBDA_RUNTIME_DIR"])
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    install_logging()
    given = os.fdopen(requests, "r", encoding="utf-8")

    def answer(mark, **body):
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, f"\0{mark}\0\n".encode())
        body["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        text = json.dumps(body).encode() + b"\n"
        while text:
            text = text[os.write(answers, text) :]

    function, failure = load(os.environ["_HANDLER"])
    if failure:
        log_error(failure)
    answer("init", error=failure)
    for line in given:
        invocation = json.loads(line)
        RequestId.current = invocation["id"]
        result, error = invoke(function, invocation)
        if error:
            error["requestId"] = invocation["id"]
            log_error(error)
        answer(invocation["id"], result=result, error=error)


if __name__ == "__main__":
    main()
