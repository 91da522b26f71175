"""The public keys of access tokens."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from chat_auth.api.routing import ServicesDep
from chat_auth.schemas import JsonWebKeySet

CACHE_SECONDS = 60

router = APIRouter(tags=["keys"])


class JwkSetResponse(JSONResponse):
    """The media type of RFC 7517."""

    media_type = "application/jwk-set+json"


@router.get(
    "/.well-known/jwks.json",
    summary="Get the public keys",
    response_description="The keys",
    response_model=JsonWebKeySet,
    response_class=JwkSetResponse,
)
async def get_public_keys(services: ServicesDep) -> Any:
    """Return the public keys to check access tokens with (RFC 7517)."""
    return Response(
        services.keys.public_document(),
        media_type=JwkSetResponse.media_type,
        headers={"cache-control": f"public, max-age={CACHE_SECONDS}"},
    )
