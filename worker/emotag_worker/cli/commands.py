"""Every command that a user types: `emotag …`.

Modules that take long to import (the model, the Kafka client) are imported inside the commands that use them, so that
`emotag --help` and error messages appear at once.
"""

import logging
import signal

import typer
from typer.exceptions import TyperException

from emotag_worker.errors import PERSON_NEEDED

from . import config, deadletters, offsets, run, stream, tools
from .app import app, describe_error, find_exit_code, print_error, print_usage_error, was_interrupted

# The order of the commands in `emotag --help`.
run.register(app)
tools.register(app)
stream.register(app)
offsets.register(app)
deadletters.register(app)
config.register(app)


def run_command() -> int:
    """Run the command in `sys.argv`, and return its exit code.

    An error with a message for the user is one line on stderr. Any other exception is a bug and keeps its traceback.
    """
    # Only `run` configures logging. In other commands, the Kafka client's log lines would hide the error message.
    logging.getLogger("librdkafka").addHandler(logging.NullHandler())
    try:
        return app(standalone_mode=False, prog_name="emotag") or 0
    except TyperException as error:
        print_usage_error(error)
        return PERSON_NEEDED
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except Exception as error:
        if was_interrupted(error):
            return 128 + signal.SIGINT
        code = find_exit_code(error)
        if code is None:
            raise
        print_error(describe_error(error))
        return code
