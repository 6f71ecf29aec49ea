"""The database: connections, lanes, and what their errors mean."""
