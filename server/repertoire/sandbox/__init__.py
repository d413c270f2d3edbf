"""Sandbox: walls of the Linux kernel around the process that forks workers for untrusted code.

Theory of operation.

1. The host starts the zygote inside namespaces (`launch`): by bubblewrap, else by `unshare`. It has no network, sees no process of the
   machine, and its files are the interpreter and its packages, read-only.
2. The zygote locks itself in once (`inside`): scratch folders of a fixed size, another user, no capabilities, Landlock, seccomp. Nothing
   of an untrusted workflow has run before that, and nothing of it runs in the zygote ever.
3. Each fork closes two more doors behind itself: it sees its own scratch folder only, and it can start no process and send no signal.

Each wall stops its own kind of attack, and most attacks meet two of them. `layers` names the walls, and says which are there on this machine.

Used by `engine` (launch, layers) and by the worker's Zygote (inside). Standard library and msgspec only; it knows nothing of runs.
"""
