"""Finds it: which workflows exist, where they come from, what they say of themselves. Runs nothing itself."""
