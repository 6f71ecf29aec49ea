"""Files of any length, read and written in constant memory."""
