"""Source: from a version's stored text to a function that can be called.

`transform` (with `awaited`) rewrites the source, `shims` makes its builtins, `loader` executes the module, `siblings` finds the modules
beside it, `entry` and `class_entry` find the callable and bind its arguments. `suspects` explains why a replay may have differed.
"""
