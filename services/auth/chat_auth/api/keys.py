"""The public keys of access tokens."""

from typing import Any

from fastapi import APIRouter, Response

from chat_auth.api.routing import ServicesDep
from chat_auth.schemas import JsonWebKeySet

CACHE_SECONDS = 60

router = APIRouter(tags=["keys"])


@router.get("/.well-known/jwks.json", response_model=JsonWebKeySet)
async def json_web_key_set(services: ServicesDep) -> Any:
    """Return the public keys to check access tokens with (RFC 7517)."""
    return Response(
        services.keys.public_document(),
        media_type="application/jwk-set+json",
        headers={"cache-control": f"public, max-age={CACHE_SECONDS}"},
    )
