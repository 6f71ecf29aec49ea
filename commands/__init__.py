"""The command line: `python app.py` and its commands."""
