"""The PostgreSQL of one's own machine."""
