"""Migrations: what the folder holds, what a database has of it, and the way between."""
