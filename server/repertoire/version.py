"""The version, as a constant: reading it from the installed metadata takes longer than the front takes to start."""

VERSION = "0.1.0"


def as_numbers(version: str) -> tuple[int, ...]:
    """`0.10.2rc1` as (0, 10, 2): enough to see which of two releases is the newer one."""
    numbers: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
