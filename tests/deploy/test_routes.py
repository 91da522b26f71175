"""The public paths are the same wherever this runs: `make run`, docker compose, Kubernetes."""

from pathlib import Path
from typing import Any

import yaml
from chat_local.routing import ROUTES, STICKY_COOKIE, dynamic_config

DEPLOY = Path(__file__).parents[2] / "deploy"
ROUTER = "traefik.http.routers."
BALANCER = "traefik.http.services."


def compose_services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
    return services


def labels() -> dict[str, str]:
    """Return all labels of all services, as Traefik sees them: `$$` is how compose writes a dollar."""
    return {
        name: value.replace("$$", "$")
        for service in compose_services().values()
        for name, value in service.get("labels", {}).items()
    }


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "k8s" / "base" / name).read_text()))


def on_the_host(match: str) -> str:
    """Return the rule of a route of Kubernetes without the host, which other routes there have too."""
    host, _, rule = match.partition(" && ")
    assert host == "Host(`chat.example.com`)", match
    return rule.removeprefix("(").removesuffix(")") if "||" in rule else rule


def test_compose_has_the_routes_of_make_run() -> None:
    found = labels()
    names = {name.removeprefix(ROUTER).partition(".")[0] for name in found if name.startswith(ROUTER)}
    assert names == {route.name for route in ROUTES}
    for route in ROUTES:
        of_route = {
            name.removeprefix(f"{ROUTER}{route.name}."): value
            for name, value in found.items()
            if name.startswith(f"{ROUTER}{route.name}.")
        }
        bound = {"middlewares": "json-body@file"} if route.bounded else {}
        expected = {"rule": route.rule, "priority": str(route.priority), "service": route.service}
        assert of_route == expected | bound, route.name


def test_compose_routes_lead_to_the_service_that_bears_them() -> None:
    for name, service in compose_services().items():
        for label, value in service.get("labels", {}).items():
            if label.startswith(ROUTER) and label.endswith(".service"):
                assert value == name


def test_compose_balances_like_make_run() -> None:
    found = labels()
    for name, service in dynamic_config({route.service: [] for route in ROUTES})["http"]["services"].items():
        check = service["loadBalancer"]["healthCheck"]
        for key in ("path", "interval", "timeout"):
            assert found[f"{BALANCER}{name}.loadbalancer.healthcheck.{key}"] == check[key]
    cookie = f"{BALANCER}gateway-ws.loadbalancer.sticky.cookie"
    assert found[f"{cookie}.name"] == STICKY_COOKIE
    assert found[f"{cookie}.path"] == "/socket.io"


def test_kubernetes_has_the_routes_of_make_run() -> None:
    ingress, middleware = documents("routes.yaml")
    found = {on_the_host(route["match"]): route for route in ingress["spec"]["routes"]}
    assert set(found) == {route.rule for route in ROUTES}
    for route in ROUTES:
        [service] = found[route.rule]["services"]
        assert (service["name"], found[route.rule]["priority"]) == (route.service, route.priority)
        assert ("middlewares" in found[route.rule]) == route.bounded
        assert ("sticky" in service) == (route.service == "gateway-ws")
    body = dynamic_config({})["http"]["middlewares"]["json-body"]
    assert middleware["spec"] == body


def test_bodies_are_bounded_alike() -> None:
    file = yaml.safe_load((DEPLOY / "traefik" / "middlewares.yml").read_text())
    assert file["http"]["middlewares"] == dynamic_config({})["http"]["middlewares"]
