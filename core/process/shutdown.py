"""How a process ends: a signal announces it, what was accepted is finished, and the exit code is 0."""

import asyncio
import logging
import math
import multiprocessing
import signal

import uvicorn

GRACE_SECONDS = 20  # for the requests under way, where uvicorn was not told otherwise
LAST_SECONDS = 4  # to close what they used

# A terminal, systemd and Heroku signal every process, and the parent of several passes its own on within half a
# second: that is one signal, heard twice.
ECHO_SECONDS = 0.1
PARENT_ECHO_SECONDS = 1.0

SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("ventas")


class Shutdown:
    """`begun` as soon as a signal is heard: from then on /readyz says 503, and answers close their connections.

    SIGTERM leaves load balancers `drain` seconds to notice, in which new connections are still welcome; SIGINT, from
    a person, does not. Then the server accepts no more, and finishes what it has accepted. A second signal ends
    the process at once, unless `repeats` says that the platform itself may send one."""

    def __init__(self, drain: float, *, repeats: bool) -> None:
        self.begun = False
        self._drain = drain
        self._repeats = repeats

    def heed_signals(self) -> bool:
        """Takes the place of uvicorn's handlers, which would raise the signal again at the end.

        False where there are none: the process is not a server's, or runs it in a thread."""
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if not isinstance(server, uvicorn.Server):
            return False
        server.config.timeout_graceful_shutdown = server.config.timeout_graceful_shutdown or GRACE_SECONDS
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._begin, number, server)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # the parent of several blocks SIGINT until here
        return True

    def _begin(self, number: signal.Signals, server: uvicorn.Server) -> None:
        if self.begun:
            return
        self.begun = True
        drain = self._drain if number == signal.SIGTERM else 0
        log.info("%s: no longer ready, stopping in %g seconds", number.name, drain)
        loop = asyncio.get_running_loop()
        loop.call_later(drain, setattr, server, "should_exit", True)
        if not self._repeats:
            echo = PARENT_ECHO_SECONDS if multiprocessing.parent_process() else ECHO_SECONDS
            loop.call_later(echo, self._let_signals_end)
        grace = server.config.timeout_graceful_shutdown or GRACE_SECONDS
        signal.alarm(math.ceil(drain + grace + LAST_SECONDS))  # ends the process, whatever holds it up

    def _let_signals_end(self) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
