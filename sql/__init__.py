"""One module per table: row structs, statements, and the functions that run them."""
