"""The acceptance cases as data; `tests/project/test_cases.py` compares them with the tests, in both directions."""
