"""Start of the command line: `python -m chat_local`."""

from chat_local.cli import app

if __name__ == "__main__":
    app()
