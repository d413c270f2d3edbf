"""What a workflow file uses, and how its `run` is read. Light; knows the outside only as the `Doors` Protocol."""
