"""How long the event loop is held: by the processor time of its thread, which other programs do not lengthen."""

import asyncio
import time

TICK_SECONDS = 0.005


class Watchdog:
    """Looks every few milliseconds; `longest` is the most that the loop's thread worked between two, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            self.longest = max(self.longest, time.thread_time() - began)
