"""One module per resource: decode, call sql, respond."""
