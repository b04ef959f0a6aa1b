"""The one way a command refuses: a single clear line."""


class CliError(Exception):
    """What went wrong, in one line that names the thing; printed on stderr, exit status 1."""
