"""The chaos campaign: real daemon, clients and processes under random kills, locks and full disks. `python -m tests.chaos --help`."""
