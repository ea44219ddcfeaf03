"""Entry point of the `kitt` command."""


def main() -> int:
    """Run the command line."""
    return 0
