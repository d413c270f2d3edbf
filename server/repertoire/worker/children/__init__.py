"""Children: processes that a body starts.

`forks` serves children that the body forks. `spawned` serves children that are new Python processes, and lets them import the workflow.
"""
