"""Service defaults: health, readiness, metrics, request ids, logs, error bodies, start and shutdown."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import uvicorn
from fastapi import FastAPI, Response
from pydantic import ValidationError
from pydantic_settings import SettingsError

from chat_shared.effective_settings import effective_settings
from chat_shared.error_handlers import install_error_handlers
from chat_shared.errors import Unavailable
from chat_shared.garbage import spare_what_stays
from chat_shared.leaving import ROUTABLE_PATH, Leaving, LeavingServer
from chat_shared.lifecycle import Component
from chat_shared.logging import configure_logging, get_logger
from chat_shared.loop_health import LoopHealth
from chat_shared.metrics import metrics_endpoint
from chat_shared.middleware import PreparationGate, RequestContextMiddleware
from chat_shared.openapi import install_openapi, operation_id
from chat_shared.settings import KEEP_ALIVE_SECONDS, ServiceSettings
from chat_shared.tracing import configure_tracing

log = get_logger(__name__)

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
Check = Callable[[], Awaitable[None]]

MAX_JSON_BODY = 256 * 1024
CHECK_SECONDS = 2.0
EXIT_BAD_SETTINGS = 2
SHOW_SETTINGS = "config"


def create_service_app(
    settings: ServiceSettings,
    *,
    title: str,
    description: str,
    components: Sequence[Component],
    checks: Mapping[str, Check],
    is_prepared: Callable[[], bool] = lambda: True,
    max_body_size: int = MAX_JSON_BODY,
    leaving: Leaving | None = None,
) -> FastAPI:
    """Return an app with everything a service of ours has besides its own routes.

    Args:
        components: started in this order, stopped in reverse.
        checks: name of a dependency -> raises when it is not usable; all of them make `/readyz`.
        is_prepared: false until the service may work at all (its indexes stand); 503 until then.
        max_body_size: bytes of a request body; larger is 413. A route may set its own.
        leaving: the end of this process, for who does more then than to wait.
    """
    leaving = leaving or Leaving(settings.drain_wait)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for component in (LoopHealth(), *components):
                await component.start()
                stack.push_async_callback(component.stop)
            log.info("service started", port=settings.port)
            yield
            log.info("service stops")

    app = FastAPI(
        title=title,
        description=description,
        version="1.0.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        max_body_size=max_body_size,
        generate_unique_id_function=operation_id,
    )
    app.state.leaving = leaving
    app.state.service_token = settings.service_token.get_secret_value()
    app.add_middleware(PreparationGate, is_prepared=is_prepared)
    install_error_handlers(app)
    _add_probes(app, {**checks, "leaving": leaving.check})
    _add_routez(app, leaving, is_prepared)
    install_openapi(app)
    _wrap(app, leaving)
    return app


def _add_probes(app: FastAPI, checks: Mapping[str, Check]) -> None:
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    async def readyz(response: Response) -> dict[str, str]:
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        response.status_code = 200 if all(outcome == "ok" for outcome in outcomes) else 503
        return dict(zip(checks, outcomes, strict=True))

    app.add_api_route("/healthz", healthz, include_in_schema=False)
    app.add_api_route("/readyz", readyz, include_in_schema=False)
    app.add_route("/metrics", metrics_endpoint, include_in_schema=False)


def _add_routez(app: FastAPI, leaving: Leaving, is_prepared: Callable[[], bool]) -> None:
    """Tell load balancers whether to send anything here: from when this process may work until it is to stop.

    Unlike `/readyz` this asks for no dependency: all processes would leave at once.
    """

    async def routez() -> dict[str, str]:
        if not is_prepared():
            raise Unavailable("The service is starting; try again")
        await leaving.check()
        return {"status": "routable"}

    app.add_api_route(ROUTABLE_PATH, routez, include_in_schema=False)


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Unavailable as error:
        return error.message
    except Exception as error:
        return type(error).__name__
    return "ok"


def _wrap(app: FastAPI, leaving: Leaving) -> None:
    """Put the request context around everything, also around the framework's own outer layers."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: RequestContextMiddleware(build(), leaving)  # type: ignore[method-assign]


async def _serve(app: FastAPI, settings: ServiceSettings) -> None:
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    await LeavingServer(config, app.state.leaving).serve()


def load_settings(load: Callable[[], SettingsT]) -> SettingsT:
    """Read the settings of a program; it exits with 2 and one line per setting when they are not usable."""
    try:
        return load()
    except (ValidationError, SettingsError) as error:
        sys.stderr.write(_explain(error))
        sys.exit(EXIT_BAD_SETTINGS)


def run_service(
    load: Callable[[], SettingsT],
    create_app: Callable[[SettingsT], FastAPI],
    serve: Callable[[FastAPI, SettingsT], Awaitable[None]] = _serve,
) -> None:
    """Run a service until SIGTERM: the whole of a `__main__`; with `config` only show its settings.

    Exits with 2 and one line per setting when the settings are not usable.

    Args:
        load: reads the settings.
        create_app: wires the service; called inside the running event loop.
        serve: runs the app; the gateway brings its own.
    """
    settings = load_settings(load)
    if sys.argv[1:] == [SHOW_SETTINGS]:
        sys.stdout.writelines(f"{name}={value}\n" for name, value in effective_settings(settings))
        return
    configure_logging(settings.service, settings.instance, settings.log_level)
    configure_tracing(settings)

    async def main() -> None:
        app = create_app(settings)
        spare_what_stays()
        await serve(app, settings)

    with asyncio.Runner(loop_factory=_event_loop_factory()) as runner:
        runner.run(main())


def _event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _explain(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        why = f": {error.__cause__}" if error.__cause__ else ""
        return f"This service cannot start: {error}{why}\n"
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        lines.append(f"  {name}: {problem['msg']}" if name else f"  {problem['msg']}")
    return "This service cannot start. Set these and try again:\n" + "\n".join(lines) + "\n"
