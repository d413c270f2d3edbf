"""Surroundings: process-wide state, compared and reset between two runs of one process.

`comparison` has the theory and the entry point. `resets` (with `environment`, `log_levels`) puts settings back. `heap` (with `groups`,
`written`, `caches`) compares Python objects, `probes` compares state in C and in the operating system. `import_watch` reports imports.
"""
