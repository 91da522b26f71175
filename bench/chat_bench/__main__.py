"""Start of the command line: `python -m chat_bench`."""

from chat_bench.cli import app

if __name__ == "__main__":
    app()
