"""The route that tells what kind of installation this is."""

from chat_shared.contracts.envelope import Success

from chat_auth.api.routing import ServicesDep, SlashTolerantRouter
from chat_auth.schemas import EnvironmentItem

router = SlashTolerantRouter(prefix="/api/v1/auth", tags=["environment"])


@router.get(
    "/environment", summary="Get the kind of installation", response_description="Development or production"
)
async def get_environment(services: ServicesDep) -> Success[EnvironmentItem]:
    """Tell whether this is a production installation; tools ask before they put demo data into it."""
    return Success(data=EnvironmentItem(environment=services.environment))
