"""The version, as a constant: reading it from the installed metadata takes longer than the front takes to start."""

VERSION = "0.1.0"
