"""A worker that begins while no broker answers waits for one, for as long as it would wait while it runs.

Who is refused is told so at once: a wrong password does not become right by waiting.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from mode import get_logger

from streams.clients import KafkaUnusableError
from streams.command_line import stoppable
from streams.security import NobodyAnswersError

log = get_logger(__name__)

AGAIN_SECONDS = 3.0  # between two attempts, and so between two lines in the log
BEAT_SECONDS = 0.25


def answers(ask: Callable[[], None]) -> bool:
    """Whether a broker answers; whatever else is wrong is raised."""
    try:
        ask()
    except NobodyAnswersError:
        return False
    except KafkaUnusableError as error:
        if getattr(error.__cause__, "retriable", False):  # it answered, and was gone, or not quite there yet
            return False
        raise
    return True


def wait(ask: Callable[[], None], servers: str, beat: Callable[[float], None]) -> bool:
    """Ask until a broker answers; False if we are told to stop before. `beat` hears all the while for how many seconds
    nobody has answered, and ends the waiting by an error.
    """
    began = time.monotonic()
    with stoppable() as stopped:
        while not stopped:
            log.warning("No Kafka answers at %s, asked again (for %.0f s now)", servers, time.monotonic() - began)
            again = time.monotonic() + AGAIN_SECONDS
            while time.monotonic() < again and not stopped:
                beat(time.monotonic() - began)
                time.sleep(BEAT_SECONDS)
            asked = _aside(ask)  # an address that swallows what is sent holds it up for seconds
            while not asked.done() and not stopped:
                beat(time.monotonic() - began)
                time.sleep(BEAT_SECONDS)
            if asked.done() and asked.result():
                return True
    return False


def _aside(ask: Callable[[], None]) -> Future[bool]:
    future: Future[bool] = Future()

    def run() -> None:
        try:
            future.set_result(answers(ask))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="first contact", daemon=True).start()
    return future
