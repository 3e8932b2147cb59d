"""The one exception that stands for a mistake in what the user gave us."""


class InputError(ValueError):
    """Bad input: the message is one line that names the value, the limit and the fix.

    Commands print it without a traceback and exit with code 2; library callers catch it as
    a ``ValueError``.
    """
