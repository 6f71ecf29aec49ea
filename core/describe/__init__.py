"""The description of the API: OpenAPI, and the JSON Schemas in it."""
