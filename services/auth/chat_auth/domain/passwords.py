"""Which passwords are good enough (NIST SP 800-63B §3.1.1.2: length and a list, no composition rules)."""

from importlib.resources import files

from chat_auth.errors import WeakPassword

MIN_LENGTH = 8
MAX_LENGTH = 128

#: Lower-case passwords of eight and more characters that guessers try first.
COMMON_PASSWORDS = frozenset(
    files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8").split()
)


def check_new_password(password: str, *own_names: str, field: str = "password") -> None:
    """Accept a password that its owner chose.

    Args:
        own_names: what everybody can guess: the username and the email address.
        field: the name of the password in the request.

    Raises:
        WeakPassword: when it is too short, too long, well known or one of the names.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise WeakPassword(field, f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    guess = password.casefold()
    if guess in COMMON_PASSWORDS:
        raise WeakPassword(field, "This password is among those that everybody tries first")
    if guess in {name.casefold() for name in own_names}:
        raise WeakPassword(field, "A password must differ from the username and the email address")
