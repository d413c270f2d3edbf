"""Registry: finds workflows in folders and in the store, reads and reviews their sources, and searches them.

- `catalog.Catalog`: all folders and created workflows; `caller_view.View`: the part that one caller sees.
- `folder.Folder`, `bundle.Bundle`: one folder of workflow files; the modules and data that a file imports from its own folder.
- `source`, `class_finder`, `source_imports`: facts of one source, from its syntax tree.
- `review`: remarks on a source before it is published. `expectations`: whether a run ended as an example expects.
- `search.Finder`, `embedding_index.EmbeddingIndex`: search by words, and by meaning with the encoder.

Used by the service. It executes no workflow: `app` gives it the engine's function that loads one in a worker.
"""
