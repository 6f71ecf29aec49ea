"""What a process does while no request waits for it."""
