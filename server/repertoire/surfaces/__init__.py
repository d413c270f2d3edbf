"""Doors of the service: each translates a protocol into one of the service's verbs and back. No logic of its own."""
