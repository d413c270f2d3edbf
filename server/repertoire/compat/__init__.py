"""Import paths of other systems, each a thin page of names over `authoring/`: their workflow files load here unchanged."""
