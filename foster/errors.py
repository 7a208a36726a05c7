"""The one exception for what a person can put right."""


class UserError(Exception):
    """Bad input at a real boundary (file, form, command line).

    The message is one line that says what was given, what is allowed and what to do next; the command line prints it
    as it is and the app shows it in a box, neither with a traceback.
    """
