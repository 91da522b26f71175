"""Which pages there are, for whom, and in which order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from docs_site.markdown import Page


@dataclass(frozen=True)
class Entry:
    """A page in the navigation."""

    name: str
    label: str
    about: str

    @property
    def href(self) -> str:
        """Return the page's address."""
        return f"/docs/{self.name}.html"


@dataclass(frozen=True)
class Group:
    """The pages for one kind of reader."""

    title: str
    entries: tuple[Entry, ...]


#: A page that no reader has yet in the repository is left out; one that is not named here comes last.
GROUPS = (
    Group(
        "You build a client",
        (
            Entry(
                "clients",
                "A client that loses nothing",
                "The rules, with an example in Python and one in JavaScript",
            ),
            Entry(
                "socket-protocol",
                "Socket protocol",
                "How to connect, positions, presence, why a socket is closed",
            ),
            Entry("events", "Socket events", "Each event with its payload, acknowledgement and errors"),
            Entry("api", "REST API", "Each request of the five services, to read and to try"),
            Entry("guarantees", "Guarantees", "What is promised, its limits, and what proves it"),
            Entry("from-express", "From the Express original", "What stays, what is new, how to move"),
        ),
    ),
    Group(
        "You run it",
        (
            Entry("docker", "Docker compose", "One host: settings, secrets, new versions without a gap"),
            Entry("kubernetes", "Kubernetes", "The first deployment, scaling, a node lost"),
            Entry("settings", "Settings", "Each setting of each service, with its default"),
            Entry(
                "operations", "Operations", "What breaks, what users see, what to look at, backups, growth"
            ),
            Entry("metrics", "Metrics", "What each process counts"),
            Entry("cli", "Command line", "The `chat` command"),
        ),
    ),
    Group(
        "You change it",
        (
            Entry("architecture", "Architecture", "What the services are and how a message travels"),
            Entry("decisions", "Decisions", "Why things are as they are"),
            Entry("performance", "Performance", "Measured beside two peers, and how to measure again"),
        ),
    ),
)
MORE = "More"


def navigation(pages: Mapping[str, Page], fixed: frozenset[str]) -> Iterator[Group]:
    """Yield the groups with the pages that exist.

    Args:
        pages: the Markdown files of docs/ by name.
        fixed: names of the pages that are made from other sources.
    """
    present = pages.keys() | fixed
    for group in GROUPS:
        yield Group(group.title, tuple(entry for entry in group.entries if entry.name in present))
    named = {entry.name for group in GROUPS for entry in group.entries}
    others = tuple(Entry(name, pages[name].title, "") for name in sorted(present - named))
    if others:
        yield Group(MORE, others)
