"""A process: its settings, what it opens, how it starts, tells of itself and ends."""
