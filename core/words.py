"""Numbers inside of sentences."""


def counted(number: int, plural: str) -> str:
    """`1 request`, `2 requests`, `0 requests`; the plural ends in s."""
    return f"{number:,} {plural.removesuffix('s') if number == 1 else plural}"
