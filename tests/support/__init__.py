"""Support: fixtures and helpers that several test files share, one module for each subject; no tests."""
