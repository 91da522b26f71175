"""The answer to a batch in two parts: the head when it is in line, the outcomes when they are known."""

from chat_shared.contracts.internal import SendResults
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chat_messaging.sending import Admitted


class OutcomesResponse(Response):
    """Begins at once, so that the caller may send what comes behind this batch while it waits for the rest.

    Starlette's own streaming has a second task per response, which listens for a caller that goes away; an
    append does not stop for that.
    """

    media_type = "application/json"

    def __init__(self, admitted: Admitted) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._admitted = admitted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        results = SendResults(results=await self._admitted.results())
        body = results.model_dump_json(exclude_none=True).encode()
        await send({"type": "http.response.body", "body": body})
