"""The command line: `scripts/serve` and its commands."""
