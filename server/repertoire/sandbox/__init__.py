"""Sandbox: the kernel's walls around code that nobody has approved, and what shows that they stand. Imports nothing of ours."""
