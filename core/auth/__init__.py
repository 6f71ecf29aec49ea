"""Authentication: tokens, sessions, password hashes and the signatures on what the API hands out."""
