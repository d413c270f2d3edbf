"""Workspace: the folder of one run, with its files and its shell. `folder` holds files, `shell` runs commands, `operations` is the table.

Used by the service's WorkspaceDoors, by LocalDoors, and by `agents` in a plain script. Standard library only. It knows nothing of runs.
"""
