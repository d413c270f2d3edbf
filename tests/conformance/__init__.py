"""A server for the official conformance suite: the product's own HTTP server, and the fixtures that the suite asks for by name."""
