"""What the report says about how its figures were made."""

RULES = """\
A target **holds** a rate when 99 % of all messages are acknowledged, 99 % of all acknowledgements and
deliveries come within 100 ms of the instant at which the message was due, none is lost or doubled and
nobody is disconnected. Ours also has to keep the order of each room. The peers promise none: what they
deliver out of order is counted, in «In order up to», and does not end the search. Rates are tried in steps
of 25 %, so a limit is known to that; a step that was not held is tried twice. A step in which the load
generator was late itself is void. Processor time is user and system time of every process that works for a
target, MongoDB, Redis and RabbitMQ included where it uses them, from `/proc`; the load generator is not in
it. All of it ran on the same machine, one target at a time."""

STORM = """\
Everybody connects at the same moment and joins a room, several times over; the middle round by processor
time. What is put off until after the last join, such as presence at ours, is in it."""

IDLE = """\
Memory is the proportional set size of the processes that hold connections; that of the kernel for sockets,
the same for all, is not in it. Each user has several connections, at every target."""

STALLED = """\
The rooms of `rooms`, at the highest rate that was found there, and one connection that is in all of them and
reads nothing. Memory as above, once a second."""

HISTORY = """\
One connection opens a room with a short and one with a long history in turn, and takes the time until the
newest messages are there; then pages of 50 come over REST, one after another. Our gateway keeps the last
messages of rooms that somebody listens to in memory, so its joins do not show what the log costs: the
pages do."""

FLOOR = """\
What a process in C spends on writing the same frame to that many sockets: less is not possible without
leaving `write()` behind."""
